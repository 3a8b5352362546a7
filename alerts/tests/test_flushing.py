"""Groups are told of once per change, reminded of, and ended: Alertmanager's rules, kept in rows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.matching import parse_matchers
from alerts.models import Alert, AlertGroup, GroupNotice, Incident, Notification, Silence, TimeInterval
from alerts.services import alerting, expiry, routing, silences
from alerts.services.flushing.flush import _flush_batch
from alerts.services.routetree import load_tree
from alerts.services.silences import SilenceTerms
from alerts.tests.routing_case import (
    INTERVAL,
    REPEAT,
    WAIT,
    alert,
    branch,
    flush,
    group,
    receiver,
    report,
    root,
    send,
)
from core import leases

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


def _silence(now: datetime, matchers: str, hours: float = 1) -> Silence:
    terms = SilenceTerms(
        matchers=parse_matchers(matchers), starts_at=now, ends_at=now + timedelta(hours=hours), comment="repair"
    )
    return silences.create_silence(terms, by="maria", now=now)


def test_silence__holds_at_the_flush__told_when_it_is_over(now: datetime) -> None:
    # given
    root()
    _silence(now, 'alertname="Disk"')
    send(now, report(at=now))
    # when
    silent = flush(now + WAIT)
    still = flush(now + timedelta(minutes=59))
    told = flush(now + timedelta(hours=1, minutes=5))
    # then
    assert (silent, still) == ([], [])
    assert [row.payload["status"] for row in told] == ["firing"]


def test_silence__made_after_it_was_told__end_is_told_all_the_same(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    _silence(now + WAIT, 'alertname="Disk"')
    # when
    send(now + timedelta(minutes=2), report(at=now, active=False))
    told = flush(now + WAIT + INTERVAL)
    # then
    assert [row.payload["status"] for row in told] == ["resolved"]


def test_inhibition__source_fires__target_is_told_when_the_source_is_over(now: datetime) -> None:
    # given: sources and targets in groups of their own
    root(group_by=["alertname", "severity"])
    high = report(at=now, severity="high", entity_id="a")
    critical = report(at=now, severity="critical", entity_id="a", part="disk")
    # when
    send(now, high, critical)
    first = flush(now + WAIT)
    send(now + timedelta(minutes=1), report(at=now, severity="critical", entity_id="a", part="disk", active=False))
    second = flush(now + WAIT + INTERVAL)
    # then
    assert [row.payload["title"] for row in first] == ["Critical: Disk (1 firing)"]
    assert sorted(row.payload["title"] for row in second) == ["High: Disk (1 firing)", "Resolved: Disk"]


def test_inhibition__another_entity__not_hidden(now: datetime) -> None:
    # given
    root(group_by=["alertname", "severity"])
    # when
    send(now, report(at=now, entity_id="a"), report(at=now, severity="critical", entity_id="b"))
    # then
    assert len(flush(now + WAIT)) == 2


def test_mute_interval__told_when_it_is_over(now: datetime) -> None:
    # given: noon in London, muted up to one o'clock
    top = root()
    muted = branch(top, 'alertname="Disk"')
    times = [{"times": [{"start_time": "11:00", "end_time": "13:00"}]}]
    muted.mute_intervals.add(TimeInterval.objects.create(name="lunch", time_zone="Europe/London", intervals=times))
    send(now, report(at=now))
    # when
    silent = [*flush(now + WAIT), *flush(now + timedelta(minutes=59))]
    told = flush(now + timedelta(minutes=65))
    # then
    assert silent == []
    assert [row.payload["status"] for row in told] == ["firing"]


def test_cooldown__same_alert_again__told_after_it_unless_worse(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    send(now + timedelta(minutes=1), report(at=now, active=False))
    flush(now + WAIT + INTERVAL)
    again = now + timedelta(minutes=10)
    send(again, report(at=again))
    Alert.objects.filter(resolved_at=None).update(quiet_until=again + timedelta(minutes=20))
    # when
    quiet = flush(again + WAIT)
    told = flush(again + timedelta(minutes=20))
    # then
    assert quiet == []
    assert [row.payload["status"] for row in told] == ["firing"]


def test_cooldown__severity_rises__told_at_the_next_flush(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    Alert.objects.update(quiet_until=now + timedelta(hours=1))
    assert flush(now + WAIT) == []
    # when
    send(now + timedelta(minutes=1), report(at=now, severity="critical"))
    told = flush(now + WAIT + INTERVAL)
    # then
    assert [row.payload["severity"] for row in told] == ["critical"]


def test_flapping__told_once__until_it_is_quiet(now: datetime, settings: Any) -> None:
    # given: wrong for five minutes, right for five, three times
    settings.ALERTS_FLAP_CHANGES, settings.ALERTS_FLAP_MINUTES = 5, 60
    root()
    told: list[str] = []
    at = now
    for _ in range(4):
        for active in (True, False):
            send(at, report(at=at, active=active))
            told += [row.payload["status"] for row in flush(at + INTERVAL)]
            at += INTERVAL + timedelta(seconds=1)
    # when
    quiet = flush(at + timedelta(minutes=50))
    over = flush(at + timedelta(minutes=60))
    # then: the third time it is said to flap, and its end is held back
    assert told == ["firing", "resolved", "firing", "resolved", "firing"]
    assert quiet == []
    assert [row.payload["status"] for row in over] == ["resolved"]
    assert "back and forth" in Notification.objects.order_by("pk")[4].payload["text"]


def test_acknowledged__nobody_is_reminded__told_when_it_runs_out(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now))
    flush(now + WAIT)
    alerting.acknowledge([alert()], by="maria", until=now + timedelta(hours=6), reason="on it", now=now)
    routing.run(now + timedelta(minutes=1))
    # when
    silent = [*flush(now + WAIT + INTERVAL), *flush(now + WAIT + REPEAT)]
    expiry.run(now + timedelta(hours=6))
    routing.run(now + timedelta(hours=6))
    told = flush(now + timedelta(hours=6))
    # then
    assert silent == []
    assert [row.payload["status"] for row in told] == ["firing"]
    assert alert().state == "firing"


def test_receiver__opens_incidents__one_that_is_resolved_with_the_group(now: datetime) -> None:
    # given
    root(receiver("urgent", opens_incident=True))
    # when
    send(now, report(at=now))
    flush(now + WAIT)
    opened = Incident.objects.get()
    status = opened.status
    send(now + timedelta(minutes=1), report(at=now, active=False))
    flush(now + WAIT + INTERVAL)
    # then
    opened.refresh_from_db()
    assert (status, opened.status) == ("open", "resolved")


def test_receiver__without_resolved__never_told_of_the_end(now: datetime) -> None:
    # given
    root(receiver(send_resolved=False))
    send(now, report(at=now))
    flush(now + WAIT)
    # when
    send(now + timedelta(minutes=1), report(at=now, active=False))
    # then
    assert flush(now + WAIT + INTERVAL) == []
    assert not group().members.exists()


def test_flush__another_worker_took_the_group_meanwhile__nothing_is_written(now: datetime) -> None:
    # given: a worker that has read the group, and whose lease runs out
    root()
    send(now, report(at=now))
    due = AlertGroup.objects.filter(next_flush_at__lte=now + WAIT)
    claimed = leases.claim(due, order_by=("pk",), limit=1, lease=timedelta(seconds=1), now=now + WAIT)
    tree = load_tree()
    assert tree is not None
    # when
    told = flush(now + WAIT + timedelta(seconds=2))
    late = _flush_batch(claimed, tree, now + WAIT, [])
    # then
    assert (len(told), late) == (1, 0)
    assert Notification.objects.count() == 1


def test_flush__alert_routed_while_it_is_decided__looked_at_again_in_time(now: datetime) -> None:
    # given
    root()
    send(now, report(at=now, host="a"))
    due = AlertGroup.objects.filter(next_flush_at__lte=now + WAIT)
    claimed = leases.claim(due, order_by=("pk",), limit=1, lease=timedelta(minutes=1), now=now + WAIT)
    tree = load_tree()
    assert tree is not None
    # when
    send(now + WAIT, report(at=now, host="b"))
    _flush_batch(claimed, tree, now + WAIT, [])
    # then
    next_flush_at = group().next_flush_at
    assert next_flush_at is not None
    assert next_flush_at <= now + WAIT + INTERVAL
