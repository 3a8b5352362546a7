"""Admin rows of channels, messages and dead letters."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.utils import timezone

from alerts.choices import NotificationStatus
from alerts.models import Channel, DeliveryAttempt, Notification
from alerts.services.outbox import enqueue
from alerts.tests.delivering import channel, outgoing

Rows = Callable[[int], None]


def _channel() -> Channel:
    now = timezone.now()
    reserve = channel(now, "log", f"reserve {uuid.uuid4()}")
    return channel(now, "log", f"channel {uuid.uuid4()}", failover=reserve, last_sent_at=now)


def _channels(count: int) -> None:
    for _ in range(count):
        _channel()


def _notifications(count: int) -> None:
    now = timezone.now()
    rows = enqueue([outgoing(now, _channel(), str(uuid.uuid4())) for _ in range(count)], now=now)
    for row in rows:
        DeliveryAttempt.objects.create(notification=row, number=1, at=now, delivered=True, milliseconds=12)


def _dead_letters(count: int) -> None:
    before = set(Notification.objects.values_list("pk", flat=True))
    _notifications(count)
    Notification.objects.exclude(pk__in=before).update(status=NotificationStatus.DEAD, last_error="answered 400")


ROWS: dict[str, Rows] = {
    "alerts.channel": _channels,
    "alerts.notification": _notifications,
    "alerts.deadletter": _dead_letters,
}
