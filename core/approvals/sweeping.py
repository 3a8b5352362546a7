"""The net below: what expired, what waits too long, what was approved and not carried out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from core import audit
from core.approvals.conditions import decided, forget_failures, overdue
from core.approvals.deciding import close
from core.approvals.execution import send
from core.choices import ApprovalStatus
from core.models import Approval

RESEND_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: requests expired, reminders raised, approved ones sent to a worker again."""

    expired: int
    reminded: int
    resent: int


def sweep(*, now: datetime, send_again: Callable[..., None] = send) -> Swept:
    """Bring every open request to where it should be by now; safe to run twice and twice at once."""
    waiting = Approval.objects.filter(status=ApprovalStatus.WAITING)
    expired = sum(_expire(approval, now=now) for approval in waiting.filter(expires_at__lte=now).order_by("pk"))
    late = waiting.filter(remind_at__lte=now, expires_at__gt=now).order_by("pk")
    reminded = sum(_remind(approval, now=now) for approval in late)
    forget_failures(now=now)
    stuck = [approval.pk for approval in _stuck(now)]
    for key in stuck:
        send_again(key)
    return Swept(expired=expired, reminded=reminded, resent=len(stuck))


def _expire(approval: Approval, *, now: datetime) -> bool:
    with transaction.atomic():
        rows = Approval.objects.filter(pk=approval.pk, status=ApprovalStatus.WAITING, expires_at__lte=now)
        if not rows.update(status=ApprovalStatus.EXPIRED, finished_at=now):
            return False
        decided(approval, now=now)
        close(approval, ApprovalStatus.EXPIRED, now=now)
        audit.record("approval.expired", approval, now=now, after={"kind": approval.kind, "digest": approval.digest})
    return True


def _remind(approval: Approval, *, now: datetime) -> bool:
    with transaction.atomic():
        # Decided between the two reads: nothing to remind of.
        if not Approval.objects.select_for_update().filter(pk=approval.pk, status=ApprovalStatus.WAITING).exists():
            return False
        return overdue(approval, now=now)


def _stuck(now: datetime) -> list[Approval]:
    lost = Q(status=ApprovalStatus.APPROVED, decided_at__lte=now - RESEND_AFTER)
    abandoned = Q(status=ApprovalStatus.EXECUTING, lease_until__lte=now)
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    return list(Approval.objects.filter(lost | abandoned).filter(free).order_by("pk")[:1000])
