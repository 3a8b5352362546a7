"""What is wrong, or was."""

from __future__ import annotations

from django.contrib import admin

from core.adminkit import EmptyState, ReadOnlyModelAdmin, display, period_filter
from core.models import ConditionRecord

SEVERITY_COLOURS = {"critical": "danger", "high": "danger", "medium": "warning", "low": "info", "info": "info"}


@admin.register(ConditionRecord)
class ConditionRecordAdmin(ReadOnlyModelAdmin[ConditionRecord]):
    """The last known state of every condition; apps raise and clear them, nobody edits them."""

    list_display = ("summary", "state", "severity_label", "source", "raised_at", "changed_at", "seen_at")
    list_filter = ("firing", "severity", period_filter("changed_at"))
    search_fields = ("source", "key", "summary")
    ordering = ("-firing", "-changed_at", "-id")
    menu_icon = "crisis_alert"
    menu_order = 10
    empty_state = EmptyState(
        "Nothing has gone wrong yet",
        "Conditions appear here when an app finds something wrong, such as a budget passed or rollups that differ.",
        icon="verified",
    )

    @display(description="State", ordering="firing", label={"firing": "danger", "resolved": "success"})
    def state(self, obj: ConditionRecord) -> str:
        """Return "firing" or "resolved"."""
        return "firing" if obj.firing else "resolved"

    @display(description="Severity", ordering="severity", label=SEVERITY_COLOURS)
    def severity_label(self, obj: ConditionRecord) -> str:
        """Return the severity as a coloured word."""
        return obj.severity
