"""What retention removes of messages: the old ones with their attempts, never those that wait or are still needed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import DeliveryAttempt, Incident, Notification
from alerts.services.delivery.pruning import prune
from alerts.services.outbox import enqueue
from alerts.tests.delivering import channel, outgoing

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_prune__old_messages__go_with_their_attempts_unless_needed(now: datetime, settings: Any) -> None:
    # given messages of 31 days ago, one that waits, one of an open incident, a test, and a recent one
    settings.ALERTS_RETENTION_DAYS = 30
    to, old = channel(now), now - 31 * DAY
    incident = Incident.objects.create(number=1, title="I", severity="high", started_at=old, opened_at=old)
    rows = enqueue(
        [outgoing(now, to, "old"), outgoing(now, to, "waits"), outgoing(now, to, "open", incident=incident)], now=old
    )
    rows += enqueue([outgoing(now, to, "test", kind="test")], now=now - 8 * DAY)
    rows += enqueue([outgoing(now, to, "recent")], now=now - 29 * DAY)
    Notification.objects.exclude(dedup_key="waits").update(status="sent")
    for row in rows:
        DeliveryAttempt.objects.create(notification=row, number=1, at=old, delivered=True, milliseconds=1)

    # when retention runs twice
    counts = [prune(now=now), prune(now=now)]

    assert counts == [2, 0]
    assert set(Notification.objects.values_list("dedup_key", flat=True)) == {"waits", "open", "recent"}
    assert DeliveryAttempt.objects.count() == 3
