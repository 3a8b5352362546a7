"""Messages in the outbox, by hand: sent again, or taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from alerts.choices import NotificationStatus
from alerts.models import Notification
from alerts.services.delivery.claiming import free, same_lane
from alerts.services.outbox import GIVE_UP_AFTER, nudge
from core import audit
from core.errors import Conflict, Missing
from core.leases import release

RESENDABLE = (
    NotificationStatus.PENDING,
    NotificationStatus.DEAD,
    NotificationStatus.CANCELLED,
    NotificationStatus.SUPERSEDED,
)


@dataclass(frozen=True, slots=True)
class Changed:
    """How many messages were changed, and how many could not be."""

    count: int
    skipped: int


@transaction.atomic
def resend(keys: Sequence[UUID], *, reason: str, now: datetime) -> Changed:
    """Put messages back into the queue under their own ids, with a fresh schedule of retries.

    Left out are those that were delivered, those being sent just now, and those whose end has been told since.
    """
    over = same_lane().filter(status=NotificationStatus.SENT, closes=True, id__gt=OuterRef("id")).exclude(lane="")
    rows = free(Notification.objects.filter(pk__in=keys, status__in=RESENDABLE), now).exclude(Exists(over))
    found = list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    count = Notification.objects.filter(pk__in=found).update(
        **release(
            status=NotificationStatus.PENDING,
            due_at=now,
            deadline=now + GIVE_UP_AFTER,
            attempts_before=F("attempts"),
            superseded_by=None,
        )
    )
    _record("notification.resent", found, reason, now)
    if count:
        nudge()
    return Changed(count, len(keys) - count)


@transaction.atomic
def cancel(keys: Sequence[UUID], *, reason: str, now: datetime) -> Changed:
    """Take back messages that wait; those being sent just now are left out."""
    rows = free(Notification.objects.filter(pk__in=keys, status=NotificationStatus.PENDING), now)
    found = list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    count = Notification.objects.filter(pk__in=found).update(
        **release(status=NotificationStatus.CANCELLED, last_error=f"cancelled: {reason}"[:500])
    )
    _record("notification.cancelled", found, reason, now)
    return Changed(count, len(keys) - count)


def resend_one(key: UUID, *, reason: str, now: datetime) -> Notification:
    """Send one message again; raises Missing, or Conflict with what stands against it."""
    row = _found(key)
    if row.status == NotificationStatus.SENT:
        raise Conflict("it was delivered")
    if not resend([key], reason=reason, now=now).count:
        raise Conflict("it is being sent just now, or a later message has told since that it is over")
    return _found(key)


def cancel_one(key: UUID, *, reason: str, now: datetime) -> Notification:
    """Take one message back; raises Missing, or Conflict when it does not wait any more."""
    _found(key)
    if not cancel([key], reason=reason, now=now).count:
        raise Conflict("it does not wait any more, or is being sent just now")
    return _found(key)


def _found(key: UUID) -> Notification:
    row = Notification.objects.select_related("channel", "contact__user").filter(pk=key).first()
    if row is None:
        raise Missing("there is no such notification")
    return row


def _record(action: str, keys: Sequence[UUID], reason: str, now: datetime) -> None:
    for key in keys:
        audit.record(action, ("alerts.notification", str(key)), now=now, reason=reason)
