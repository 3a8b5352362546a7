"""The audit log."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.admin.doings import as_link
from core.adminkit import LargeTableAdmin, ReadOnlyModelAdmin, display, period_filter
from core.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(LargeTableAdmin[AuditEntry], ReadOnlyModelAdmin[AuditEntry]):
    """Who did what to which object. Search takes a whole action, subject id, actor id or request id."""

    list_display = ("at", "action", "subject", "actor", "channel", "reason", "request_id")
    list_filter = ("actor_kind", period_filter("at"))
    search_fields = ("action__exact", "subject_id__exact", "actor_id__exact", "request_id__exact")
    search_help_text = "Exact action, subject, actor or request id"
    list_display_links = ("at",)
    fieldsets = (
        (None, {"fields": ("at", "action", "reason", "channel", "request_id")}),
        ("Who", {"fields": ("actor_kind", "actor_label", "actor_id", "doings")}),
        ("What", {"fields": ("subject_type", "subject_id", "before_text", "after_text")}),
    )
    readonly_fields = ("before_text", "after_text", "doings")
    menu_icon = "history"
    menu_order = 20

    @display(description="Subject")
    def subject(self, obj: AuditEntry) -> str:
        """Return what was acted on."""
        return f"{obj.subject_type} {obj.subject_id}"

    @display(description="Actor")
    def actor(self, obj: AuditEntry) -> str:
        """Return who acted."""
        return obj.actor_label or obj.actor_kind

    @display(description="And else")
    def doings(self, obj: AuditEntry) -> SafeString | str:
        """Return the way to everything else that this actor did."""
        if obj.actor_kind not in {"user", "api_key"}:
            return "–"
        return as_link(obj.actor_kind, obj.actor_id, "Everything they did")

    @display(description="Before")
    def before_text(self, obj: AuditEntry) -> SafeString:
        """Return the values before the act."""
        return _values(obj.before)

    @display(description="After")
    def after_text(self, obj: AuditEntry) -> SafeString:
        """Return the values after the act."""
        return _values(obj.after)


def _values(values: dict[str, Any]) -> SafeString:
    return format_html('<pre class="af-values">{}</pre>', json.dumps(values, indent=2, ensure_ascii=False))
