"""The forms of channels: each kind asks for what it needs. Secrets are typed in and never shown again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms

from alerts.channels import Setting
from alerts.channels.checking import settings_of
from alerts.choices import ChannelKind
from alerts.models import Channel
from alerts.services.channels import ChannelTerms, secret_names
from core.adminkit import DialogForm, PasswordInput, ReasonForm, Select, TextInput
from core.errors import FieldError, Invalid

WHAT_KINDS_ARE = {
    ChannelKind.EMAIL: "To addresses, or to everybody in a role; one thread per group of alerts.",
    ChannelKind.SLACK: "A Slack channel, by an incoming webhook.",
    ChannelKind.TEAMS: "A Teams channel or chat, by a workflow's webhook.",
    ChannelKind.PAGERDUTY: "A PagerDuty service: triggers, acknowledges and resolves its incidents.",
    ChannelKind.WEBHOOK: "Your own service: JSON, signed as Standard Webhooks describes.",
    ChannelKind.APPRISE: "More than a hundred other services, when the Apprise library is installed. Superusers only.",
    ChannelKind.LOG: "The platform's own log, for trying things out.",
}


class NewChannelForm(forms.Form):
    """A channel of one kind, to be made."""

    def __init__(self, kind: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        add_fields(self, kind, None)

    def terms(self) -> ChannelTerms:
        """Return what was filled in, as the service wants it."""
        return terms_of(self.kind, self.cleaned_data)


class EditChannelForm(DialogForm):
    """A channel as it is, with empty fields where secrets are set."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.channel = Channel.objects.get(pk=self.object_id)
        add_fields(self, self.channel.kind, self.channel)

    def terms(self) -> ChannelTerms:
        """Return what was filled in, as the service wants it; secrets that were left empty stay as they are."""
        return terms_of(self.channel.kind, self.cleaned_data)


class DisableForm(ReasonForm):
    """Why a channel is switched off."""


def add_fields(form: forms.BaseForm, kind: str, channel: Channel | None) -> None:
    """Give the form the fields that every channel has and those of its kind."""
    form.fields["name"] = forms.CharField(
        max_length=120, widget=TextInput, help_text="How people call it.", initial=channel.name if channel else ""
    )
    known = secret_names(channel) if channel else []
    for setting in settings_of(kind):
        name = f"{'secret' if setting.secret else 'config'}_{setting.name}"
        value = None if setting.secret or channel is None else channel.config.get(setting.name)
        form.fields[name] = _field(setting, value, is_set=setting.name in known)
    form.fields["rate_per_minute"] = forms.IntegerField(
        min_value=0, max_value=6000, widget=TextInput, label="Messages a minute at most",
        initial=channel.rate_per_minute if channel else 60,
        help_text="0 for no limit. PagerDuty takes 120, Slack about 60.",
    )  # fmt: skip
    others = Channel.objects.exclude(pk=channel.pk) if channel else Channel.objects.all()
    form.fields["failover"] = forms.ChoiceField(
        required=False, widget=Select, label="Failover",
        choices=[("", "none"), *((str(other.pk), other.name) for other in others.order_by("name"))],
        initial=str(channel.failover_id or "") if channel else "",
        help_text="Critical messages go there too after two failures, or a minute.",
    )  # fmt: skip


def terms_of(kind: str, given: Mapping[str, Any]) -> ChannelTerms:
    """Return the terms that a filled form states."""
    config, secrets = {}, {}
    for setting in settings_of(kind):
        value = given.get(f"{'secret' if setting.secret else 'config'}_{setting.name}")
        if setting.secret and value:
            secrets[setting.name] = [value] if (kind, setting.name) == (ChannelKind.WEBHOOK, "secrets") else value
        elif not setting.secret:
            config[setting.name] = _addresses(value) if setting.kind == "addresses" else value
    return ChannelTerms(
        name=given["name"],
        kind=kind,
        config=config,
        secrets=secrets,
        rate_per_minute=given["rate_per_minute"],
        failover=given["failover"] or None,
    )


def at_fields(refusal: Invalid) -> Invalid:
    """Return the refusal with its mistakes pointing at the form's fields."""
    moved = [FieldError(_field_name(error.pointer), error.code, error.detail) for error in refusal.errors]
    return Invalid(refusal.detail, code=refusal.code, errors=moved)


def _field_name(pointer: str) -> str:
    place, _, name = pointer.strip("/").partition("/")
    return {"config": f"config_{name}", "secrets": f"secret_{name}"}.get(place, place)


def _addresses(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").replace("\n", ",").replace(";", ",").split(",") if part.strip()]


def _field(setting: Setting, value: Any, *, is_set: bool) -> forms.Field:
    required = setting.required and not is_set
    common: dict[str, Any] = {"label": setting.label, "required": required, "help_text": setting.help}
    if setting.secret:
        kept = "Set. Leave it empty to keep it; what you type replaces it. " if is_set else ""
        widget = PasswordInput(attrs={"autocomplete": "new-password", "placeholder": "••••••••" if is_set else ""})
        return forms.CharField(**{**common, "help_text": kept + setting.help}, widget=widget, max_length=2000)
    if setting.kind == "choice":
        return forms.ChoiceField(
            **common, choices=setting.choices, widget=Select, initial=value or setting.choices[0][0]
        )
    if setting.kind == "number":
        return forms.IntegerField(**common, min_value=1, max_value=65535, widget=TextInput, initial=value)
    text = ", ".join(value) if isinstance(value, list) else value
    return forms.CharField(**common, widget=TextInput, max_length=2000, initial=text)
