"""What is written into the outbox: once, in order, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import transaction

from alerts.models import Notification
from alerts.services.outbox import enqueue
from alerts.tests.delivering import channel, message, outgoing

pytestmark = pytest.mark.django_db


def test_enqueue__of_a_new_key__writes_a_row_that_is_due(now: datetime) -> None:
    to = channel(now)

    rows = enqueue([outgoing(now, to, "a", severity="critical", order_key="group:1")], now=now)

    stored = Notification.objects.get()
    assert rows == [stored]
    assert (stored.status, stored.priority, stored.due_at, stored.closes) == ("pending", 1, now, False)
    assert stored.deadline == now + timedelta(hours=24)
    assert stored.payload["title"] == "HighErrorRate"


def test_enqueue__of_a_known_key__writes_nothing_and_returns_what_is_new(now: datetime) -> None:
    to = channel(now)
    enqueue([outgoing(now, to, "a")], now=now)

    rows = enqueue([outgoing(now, to, "a", message=message(now, "resolved")), outgoing(now, to, "b")], now=now)

    assert [row.dedup_key for row in rows] == ["b"]
    assert Notification.objects.get(dedup_key="a").payload["status"] == "firing"


def test_enqueue__of_a_resolved_message__closes_its_order_key(now: datetime) -> None:
    to = channel(now)

    rows = enqueue(
        [
            outgoing(now, to, "a", message=message(now, "resolved"), order_key="group:1"),
            outgoing(now, to, "b", message=message(now, "resolved")),
        ],
        now=now,
    )

    assert [row.closes for row in rows] == [True, False]


def test_enqueue__any_number_of_messages__takes_the_same_number_of_statements(
    now: datetime, django_assert_num_queries: Callable[..., Any]
) -> None:
    to = channel(now)

    with transaction.atomic(), django_assert_num_queries(4):
        enqueue([outgoing(now, to, str(number)) for number in range(25)], now=now)


def test_enqueue__in_one_transaction__wakes_delivery_once_after_the_commit(
    now: datetime, run_on_commit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    to, woken = channel(now), []
    monkeypatch.setattr(current_app, "send_task", lambda name, **_: woken.append(name))

    with run_on_commit():
        enqueue([outgoing(now, to, "a")], now=now)
        enqueue([outgoing(now, to, "b")], now=now)
        enqueue([outgoing(now, to, "c", due_at=now + timedelta(hours=1))], now=now)

    assert woken == ["alerts.tasks.deliver"]


def test_enqueue__with_the_broker_gone__keeps_the_row(
    now: datetime, run_on_commit: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, **_: Any) -> None:
        raise OSError("connection refused")

    to = channel(now)
    monkeypatch.setattr(current_app, "send_task", refuse)

    with run_on_commit():
        enqueue([outgoing(now, to, "a")], now=now)

    assert Notification.objects.count() == 1
