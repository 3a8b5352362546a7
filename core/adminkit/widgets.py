"""The theme's form widgets and account forms under our own names, and the one that knows exact money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminSplitDateTimeWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from core.money import to_text

TextInput = UnfoldAdminTextInputWidget
Textarea = UnfoldAdminTextareaWidget
Select = UnfoldAdminSelectWidget
CheckboxSelectMultiple = UnfoldAdminCheckboxSelectMultipleWidget
SplitDateTime = UnfoldAdminSplitDateTimeWidget
PasswordInput = UnfoldAdminPasswordWidget


class MoneyInput(UnfoldAdminDecimalFieldWidget):  # type: ignore[misc]  # the theme ships no types
    """An amount without the zeros that the column's twelve decimals would add."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs={"step": "any", "inputmode": "decimal", **(attrs or {})})

    def format_value(self, value: Any) -> str | None:
        if isinstance(value, Decimal):
            return to_text(value)
        text: str | None = super().format_value(value)
        return text


__all__ = [
    "AdminPasswordChangeForm",
    "CheckboxSelectMultiple",
    "MoneyInput",
    "PasswordInput",
    "Select",
    "SplitDateTime",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
]
