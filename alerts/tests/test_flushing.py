"""Groups are told of once per change, reminded of, and ended: Alertmanager's rules, kept in rows."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts.models import AlertGroup, GroupNotice, Notification
from alerts.tests.routing_case import INTERVAL, REPEAT, WAIT, flush, group, report, root, send

pytestmark = pytest.mark.django_db


def test_group__first_alert__told_after_the_wait(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    # when
    early = flush(now + WAIT - timedelta(seconds=1))
    told = flush(now + WAIT)
    # then
    assert early == []
    assert [row.payload["status"] for row in told] == ["firing"]
    assert told[0].payload["title"] == "High: Disk (1 firing)"
    assert told[0].dedup_key == f"{group().pk}:1:{told[0].channel_id}"


def test_group__flushed_again_without_change__silent(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    # when
    send(now + INTERVAL, report(at=now))
    again = flush(now + WAIT + INTERVAL)
    # then
    assert again == []
    assert group().flush_seq == 1


def test_group__repeat_interval_over__told_again(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    # when
    early = flush(now + WAIT + REPEAT - timedelta(seconds=1))
    again = flush(now + WAIT + REPEAT)
    # then
    assert early == []
    assert [row.payload["text"].splitlines()[0] for row in again] == [
        "Still firing; nobody has acknowledged all of it."
    ]
    assert group().flush_seq == 2


def test_group__another_alert_joins__told_after_the_interval(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now, host="a"))
    flush(now + WAIT)
    # when
    send(now + WAIT + timedelta(seconds=10), report(at=now, host="b"))
    early = flush(now + WAIT + INTERVAL - timedelta(seconds=1))
    told = flush(now + WAIT + INTERVAL)
    # then
    assert early == []
    assert [row.payload["title"] for row in told] == ["High: Disk (2 firing)"]


def test_group__all_over__told_once_and_emptied(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    # when
    send(now + timedelta(minutes=1), report(at=now, active=False))
    told = flush(now + WAIT + INTERVAL)
    later = flush(now + WAIT + INTERVAL + REPEAT)
    # then
    assert [row.payload["status"] for row in told] == ["resolved"]
    assert later == []
    assert not group().members.exists()
    assert group().next_flush_at is None


def test_group__over_before_the_first_flush__nobody_is_told(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    # when
    send(now + timedelta(seconds=10), report(at=now, active=False))
    # then
    assert flush(now + WAIT) == []
    assert not group().members.exists()


def test_group__fires_again_after_it_was_over__told_again(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    send(now + timedelta(minutes=1), report(at=now, active=False))
    flush(now + WAIT + INTERVAL)
    later = now + timedelta(hours=1)
    # when
    send(later, report(at=later))
    told = flush(later + WAIT)
    # then
    assert [row.payload["status"] for row in told] == ["firing"]
    assert AlertGroup.objects.count() == 1
    assert GroupNotice.objects.count() == 1
    assert Notification.objects.count() == 3
