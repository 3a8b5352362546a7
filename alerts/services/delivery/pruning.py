"""Removes messages, with their attempts, that have been kept for long enough."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from alerts.choices import OPEN_INCIDENTS, NotificationKind, NotificationStatus
from alerts.models import Notification

BATCH = 500
TESTS = timedelta(days=7)


def prune(*, now: datetime) -> int:
    """Remove messages older than ALERTS_RETENTION_DAYS, tests after a week; returns how many, in batches.

    One that still waits, or whose incident is open, stays.
    """
    kept = timedelta(days=settings.ALERTS_RETENTION_DAYS)
    old = Q(created_at__lt=now - kept) | Q(kind=NotificationKind.TEST, created_at__lt=now - min(TESTS, kept))
    rows = Notification.objects.filter(old).exclude(status=NotificationStatus.PENDING)
    rows = rows.exclude(incident__status__in=OPEN_INCIDENTS)
    count = 0
    while keys := list(rows.order_by("created_at").values_list("pk", flat=True)[:BATCH]):
        Notification.objects.filter(pk__in=keys).delete()
        count += len(keys)
    return count
