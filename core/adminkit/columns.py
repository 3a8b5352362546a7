"""Columns that many lists have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display as theme_display

from core.money import to_text

_Function = TypeVar("_Function", bound=Callable[..., Any])


def display(**options: Any) -> Callable[[_Function], _Function]:
    """Describe a display method: description, ordering, boolean, empty_value, label (a coloured tag), header."""

    def decorate(function: _Function) -> _Function:
        decorated: _Function = theme_display(**options)(function)
        return decorated

    return decorate


def grouped(amount: Decimal) -> str:
    """Return an exact amount with thousands separated, for reading: 1,234,567.0042."""
    whole, point, fraction = to_text(amount).partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(digits):,}{point}{fraction}"


def money_column(field: str, *, currency: str = "", description: str = "", ordering: str | None = None) -> Any:
    """Return a display method for an exact amount, aligned by its digits; `currency` names a column or path."""

    def column(_: Any, obj: Any) -> SafeString | str:
        value = _follow(obj, field)
        if value is None:
            return "–"
        return format_html('<span class="af-amount">{} {}</span>', grouped(value), _follow(obj, currency) or "")

    options = {"description": description or field.replace("_", " "), "ordering": ordering or field}
    return display(**options)(column)


def _follow(obj: Any, path: str) -> Any:
    for name in path.split("__") if path else ():
        obj = getattr(obj, name, None)
    return obj if path else None
