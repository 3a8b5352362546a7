"""Reports become alerts and facts, each change once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction

from alerts.choices import AlertState, RuleKind
from alerts.models import Alert, AlertEvent, AlertRule
from alerts.reports import Report
from alerts.services.intake import Recorded, record
from alerts.tests.routing_case import alert, report

MINUTE = timedelta(minutes=1)


def _kinds(**where: Any) -> list[str]:
    return list(AlertEvent.objects.filter(alert=alert(**where)).order_by("seq").values_list("kind", flat=True))


@pytest.mark.django_db
def test_record__opened_repeated_resolved__two_facts(now: datetime) -> None:
    # when
    done = [
        record([report(at=now)], now=now),
        record([report(at=now)], now=now + MINUTE),
        record([report(at=now, active=False)], now=now + 2 * MINUTE),
        record([report(at=now, active=False)], now=now + 3 * MINUTE),
    ]
    # then
    assert done == [Recorded(opened=1), Recorded(repeated=1), Recorded(resolved=1), Recorded()]
    assert _kinds() == ["firing", "resolved"]
    assert (alert().resolved_at, alert().last_seen_at, alert().seq) == (now + 2 * MINUTE, now + 2 * MINUTE, 2)


@pytest.mark.django_db
def test_record__wrong_again__another_occurrence_that_knows_the_first(now: datetime) -> None:
    # given
    record([report(at=now)], now=now)
    record([report(at=now, active=False)], now=now + MINUTE)
    # when
    record([report(at=now)], now=now + 2 * MINUTE)
    # then
    assert list(Alert.objects.order_by("id").values_list("state", "flaps")) == [("resolved", 0), ("firing", 1)]


@pytest.mark.django_db
def test_record__same_labels_twice_in_a_batch__the_last_counts(now: datetime) -> None:
    # when
    done = record([report(at=now, severity="low"), report(at=now, severity="critical")], now=now)
    # then
    assert (done, alert().severity) == (Recorded(opened=1), "critical")


@pytest.mark.django_db
def test_record__severity_changes__one_fact_and_labels_stay(now: datetime) -> None:
    # given
    record([report(at=now, severity="low")], now=now)
    # when
    done = record([report(at=now, severity="high")], now=now + MINUTE)
    # then
    assert done == Recorded(changed=1)
    assert _kinds() == ["firing", "severity"]
    assert AlertEvent.objects.get(kind="severity").data["severity"] == "high"


@pytest.mark.django_db
def test_record__a_thousand__as_many_statements_as_for_one(now: datetime, django_assert_max_num_queries: Any) -> None:
    reports = [report(at=now, host=f"h{number}") for number in range(1000)]
    with django_assert_max_num_queries(6):
        opened = record(reports, now=now)
    with django_assert_max_num_queries(6):
        repeated = record(reports, now=now + MINUTE)
    assert (opened, repeated) == (Recorded(opened=1000), Recorded(repeated=1000))
    assert AlertEvent.objects.count() == 1000


@pytest.mark.django_db
def test_record__hostile_labels__kept_as_they_are(now: datetime) -> None:
    # given
    labels = {"alertname": "<b>x</b>", "日本": "東京 \\ \" ' {}", "long": "x" * 10_000, "tab": "a\tb\nc"}
    # when
    record([Report(labels, "low", "test", True, now, {"summary": "\\N"})], now=now)
    # then
    assert alert().labels == labels
    assert alert().annotations == {"summary": "\\N"}


@pytest.mark.django_db
def test_record__cooldown_of_its_rule__quiet_unless_worse(now: datetime) -> None:
    # given
    rule = AlertRule.objects.create(slug="r", name="R", kind=RuleKind.THRESHOLD, cooldown_seconds=600, created_at=now)

    def said(severity: str, active: bool) -> Report:
        return Report({"alertname": "A"}, severity, "rule", active, now, rule_id=rule.pk)

    record([said("medium", True)], now=now)
    record([said("medium", False)], now=now + MINUTE)
    # when
    record([said("medium", True)], now=now + 2 * MINUTE)
    quiet = alert(resolved_at=None).quiet_until
    record([said("high", True)], now=now + 3 * MINUTE)
    # then
    assert quiet == now + 11 * MINUTE
    assert alert(resolved_at=None).quiet_until is None


@pytest.mark.django_db(transaction=True)
def test_record__from_several_threads_at_once__each_transition_once(now: datetime) -> None:
    # given: everybody reports the same twenty, wrong and right in turn, in another order
    names = [f"A{number}" for number in range(20)]

    def sender(turn: int) -> None:
        for step in range(6):
            batch = [report(name, at=now, active=step % 2 == 0) for name in (names if turn % 2 else reversed(names))]
            with transaction.atomic():
                record(batch, now=now + timedelta(seconds=step))
        connection.close()

    # when
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(sender, turn) for turn in range(4)]
    # then
    assert [future.result() for future in done] == [None] * 4
    for row in Alert.objects.all():
        kinds = list(row.events.order_by("seq").values_list("kind", flat=True))
        assert kinds == (["firing", "resolved"] if row.state == AlertState.RESOLVED else ["firing"])
    open_now = Alert.objects.filter(resolved_at=None)
    assert open_now.count() == open_now.values("fingerprint").distinct().count()
