"""What is done about waiting messages before any is sent: combined, told another way, given up."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, Subquery

from alerts.choices import NotificationKind, NotificationStatus
from alerts.models import Notification
from alerts.services.delivery.claiming import PENDING, free, same_lane
from alerts.services.delivery.standing_in import stand_in_for
from core.choices import Severity
from core.leases import release

# A critical message that waits longer goes by another channel as well.
PATIENCE = timedelta(seconds=60)
AT_ONCE = 200


def look_after(now: datetime) -> None:
    """Combine, stand in and give up, each set-based; nothing of it is lost when it is done twice or killed."""
    combine(now)
    fail_over_late(now)
    give_up(now)


def combine(now: datetime) -> int:
    """Replace what waits by a later message that says it all; returns how many are told of in a later one.

    A message that closes its order key replaces all earlier ones. A newer state of a group replaces an older one that
    has failed already. What is being sent just now is left alone.
    """
    later = same_lane().filter(PENDING, id__gt=OuterRef("id"), due_at__lte=now)
    closing = later.filter(closes=True).order_by("-id")
    newer = later.filter(kind=NotificationKind.GROUP).order_by("-id")
    waiting = free(Notification.objects.filter(PENDING).exclude(lane=""), now)
    failed = waiting.filter(kind=NotificationKind.GROUP, attempts__gt=0)
    count = 0
    for rows, replacement in ((waiting, closing), (failed, newer)):
        count += rows.filter(Exists(replacement)).update(
            **release(status=NotificationStatus.SUPERSEDED, superseded_by=Subquery(replacement.values("pk")[:1]))
        )
    return count


def fail_over_late(now: datetime) -> int:
    """Send critical messages that have waited for a minute by the failover of their channel too."""
    late = Notification.objects.filter(
        PENDING,
        Q(attempts__gt=0) | Q(due_at__lte=now - PATIENCE),
        severity=Severity.CRITICAL,
        failed_over=False,
        created_at__lte=now - PATIENCE,
        channel__failover__isnull=False,
    )
    with transaction.atomic():
        rows = late.select_related("channel__failover", "origin", "group", "incident").order_by("created_at", "pk")
        return stand_in_for(list(rows[:AT_ONCE]), now=now)


def give_up(now: datetime) -> int:
    """Make dead letters of the messages whose time is over; returns how many."""
    over = free(Notification.objects.filter(PENDING, deadline__lt=now), now)
    disabled = over.filter(Q(channel__enabled=False) | Q(contact__enabled=False))
    count = 0
    for rows, reason in ((disabled, "its channel was disabled until its time was over"), (over, "its time was over")):
        count += Notification.objects.filter(pk__in=rows.values("pk")).update(
            **release(status=NotificationStatus.DEAD, last_error=reason)
        )
    return count
