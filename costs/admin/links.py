"""Links between the admin pages of the costs app."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString


def change_link(obj: Model | None, text: str = "") -> SafeString | str:
    """Return a link to an object's page under its name, or a dash."""
    if obj is None:
        return "–"
    address = reverse(f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change", args=[obj.pk])
    return format_html('<a class="af-link" href="{}">{}</a>', address, text or str(obj))


def linked(page: str, key: Any, text: str) -> SafeString | str:
    """Return a link to the object of this key without reading it, or a dash where there is none."""
    if not key:
        return "–"
    return format_html('<a class="af-link" href="{}">{}</a>', reverse(f"admin:{page}_change", args=[key]), text)


def list_link(page: str, query: str, text: str) -> SafeString:
    """Return a link to a filtered list."""
    return format_html('<a class="af-link" href="{}?{}">{}</a>', reverse(f"admin:{page}_changelist"), query, text)
