"""What approvals offer: the scopes of the API, and the panel that says how many wait."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.urls import reverse
from django.utils.timesince import timesince

from core.choices import ApprovalStatus
from core.models import Approval
from core.ports.panels import Chart, Figure, Panel, Table, panels
from core.ports.scopes import Scope, scopes

SCOPES = (
    Scope("approvals:read", "Read requests for approval.", "core.view_approval"),
    Scope("approvals:write", "Withdraw own requests; people also decide about others'.", "core.view_approval"),
)


def waiting(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return how many requests wait for a second person, and since when the oldest; nothing when none does."""
    rows = Approval.objects.filter(status=ApprovalStatus.WAITING, expires_at__gt=now)
    oldest = rows.order_by("requested_at", "pk").first()
    if oldest is None:
        return []
    note = f"the oldest for {timesince(oldest.requested_at, now, depth=1)}"
    return [Figure("Waiting for approval", str(rows.count()), note, reverse("admin:approvals"), "warning")]


def register() -> None:
    """Fill the ports; called once, from the app's ready()."""
    for scope in SCOPES:
        scopes.register(scope)
    panels.register(Panel("core.approvals", "Approvals", "core.view_approval", waiting, order=450))
