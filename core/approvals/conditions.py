"""What is wrong with approvals: one that nobody decides, one that was approved and could not be carried out."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.urls import reverse

from core.models import Approval, ConditionRecord
from core.ports.conditions import Condition, clear_condition, raise_condition

WAITING = "core.approvals.waiting"
FAILED = "core.approvals.failed"
FAILED_FOR = timedelta(days=1)


def overdue(approval: Approval, *, now: datetime) -> bool:
    """Say that a request waits for too long; True when it was not said before."""
    return raise_condition(_waiting(approval), now=now)


def decided(approval: Approval, *, now: datetime) -> None:
    """Say that a request waits no longer."""
    clear_condition(_waiting(approval), now=now)


def failed(approval: Approval, error: str, *, now: datetime) -> None:
    """Say that what was approved did not happen."""
    summary = f"Approved and not carried out: {approval.title}. {error}"
    raise_condition(_condition(FAILED, approval, "high", summary), now=now)


def forget_failures(*, now: datetime) -> int:
    """Clear the failures that were said a day ago: they stay in the list of approvals. Return how many."""
    old = ConditionRecord.objects.filter(source=FAILED, firing=True, raised_at__lte=now - FAILED_FOR)
    return sum(
        clear_condition(Condition(FAILED, row.key, "high", row.summary, row.labels, row.link), now=now) for row in old
    )


def _waiting(approval: Approval) -> Condition:
    return _condition(WAITING, approval, "medium", f"Waiting for a second person: {approval.title}")


def _condition(source: str, approval: Approval, severity: str, summary: str) -> Condition:
    link = reverse("admin:core_approval_change", args=[approval.pk])
    labels = {"kind": approval.kind, "requested_by": approval.requester_label}
    return Condition(source, str(approval.pk), severity, summary[:500], labels, link)  # type: ignore[arg-type]
