"""What needs somebody now, on one page."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from alerts import incident_panels, routing_panels
from alerts.admin.sections import ALERTS
from alerts.models import SweepState
from core.adminkit import PageView, page
from core.ports.panels import Figure, Table

STALLED_AFTER = 3


@page
class NowPage(PageView):
    """Open incidents, firing alerts, who is on call, what is silenced, and whether alerting itself works."""

    path = "alerts/now/"
    name = "alerts_now"
    title = "Now"
    subtitle = "What needs somebody"
    permissions = ("alerts.view_alert",)
    menu_section = ALERTS
    menu_icon = "sos"
    menu_order = 1
    template_name = "admin/alerts/now.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return figures and tables; each part by the permission of what it shows."""
        now = timezone.now()
        found = [*routing_panels.alerts(now), *routing_panels.silences(now)]
        if self.request.user.has_perm("alerts.view_incident"):
            found = [*incident_panels.build_incidents(now), *found]
        figures = [item for item in found if isinstance(item, Figure)]
        context = {
            "figures": figures,
            "tables": [item for item in found if isinstance(item, Table) and item.rows],
            "stalled": _stalled(now),
            "calm": not any(item.tone in {"bad", "warning"} for item in figures),
        }
        return {**super().get_context_data(**kwargs), **context}


def _stalled(now: datetime) -> Table | None:
    """Return the passes that have not succeeded for three of their intervals, or nothing."""
    rows = []
    for state in SweepState.objects.order_by("name"):
        last = state.finished_at or state.created_at
        if (now - last).total_seconds() > max(60, STALLED_AFTER * state.every_seconds):
            rows.append(([state.name, f"{timezone.localtime(last):%Y-%m-%d %H:%M:%S}", state.error or "–"], ""))
    link = reverse("admin:alerts_sweepstate_changelist")
    return Table("Passes that have stopped", ["Pass", "Last done", "Error"], rows, link=link) if rows else None
