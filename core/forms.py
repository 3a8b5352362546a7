"""Forms of the platform's own pages."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.core.exceptions import ValidationError


class SetupForm(forms.Form):
    """What the first administrator chooses."""

    username = forms.CharField(max_length=150, widget=forms.TextInput(attrs={"autocomplete": "username"}))
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    password = forms.CharField(widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))
    repeated = forms.CharField(
        label="Password again", widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["password"].help_text = password_validators_help_text_html()

    def clean_username(self) -> str:
        """Refuse what the user model would refuse, and a name that is taken."""
        username: str = self.cleaned_data["username"]
        model = get_user_model()
        model._meta.get_field(model.USERNAME_FIELD).run_validators(username)  # type: ignore[union-attr]  # a column
        if model._default_manager.filter(**{f"{model.USERNAME_FIELD}__iexact": username}).exists():
            raise ValidationError("This user name is taken.")
        return username

    def clean(self) -> dict[str, Any]:
        """Check the password against the rules and its repetition."""
        values = super().clean() or {}
        password = values.get("password")
        if password and password != values.get("repeated"):
            self.add_error("repeated", "The two passwords differ.")
        if password:
            user = get_user_model()(username=values.get("username", ""), email=values.get("email", ""))
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.add_error("password", error)
        return values
