"""Conditions of the platform's apps become alerts: each change once, none missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from alerts.models import Alert, AlertEvent
from alerts.services import conditions
from alerts.services.rules import RuleChange, change_rule, delete_rule, set_enabled
from alerts.tests.ruling import alone, rule
from core.ports.conditions import Condition, clear_condition, raise_condition

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
LOW = Condition("pump.level", "pump-1", "low", "Pump 1 is nearly dry", {"pump": "1"}, "/admin/pumps/1/")


@pytest.fixture(autouse=True)
def _no_rules() -> None:
    alone()


def _open() -> list[dict[str, Any]]:
    return list(Alert.objects.filter(resolved_at=None).order_by("id").values_list("labels", flat=True))


def test_condition__raised__becomes_an_alert_with_its_words(now: datetime) -> None:
    raise_condition(LOW, now=now)

    assert conditions.run(now) == 1

    alert = Alert.objects.get()
    assert alert.labels == {"alertname": "pump.level", "source": "pump.level", "severity": "low", "pump": "1"}
    assert (alert.state, alert.severity, alert.generator_url) == ("firing", "low", "/admin/pumps/1/")
    assert alert.annotations == {"summary": "Pump 1 is nearly dry", "condition": "pump-1"}


def test_condition__read_twice__is_told_once(now: datetime) -> None:
    raise_condition(LOW, now=now)
    conditions.run(now)

    assert conditions.run(now + MINUTE) == 0

    assert AlertEvent.objects.count() == 1


def test_condition__cleared__resolves_its_alert(now: datetime) -> None:
    raise_condition(LOW, now=now)
    conditions.run(now)
    clear_condition(LOW, now=now + MINUTE)

    conditions.run(now + MINUTE)

    assert Alert.objects.get().state == "resolved"


def test_condition__came_and_went_between_two_looks__was_an_alert(now: datetime) -> None:
    raise_condition(LOW, now=now)
    clear_condition(LOW, now=now + MINUTE)

    conditions.run(now + 2 * MINUTE)

    assert Alert.objects.get().state == "resolved"
    assert list(AlertEvent.objects.order_by("seq").values_list("kind", flat=True)) == ["firing", "resolved"]


def test_condition__went_and_came_back_between_two_looks__is_another_occurrence(now: datetime) -> None:
    raise_condition(LOW, now=now)
    conditions.run(now)
    clear_condition(LOW, now=now + MINUTE)
    raise_condition(LOW, now=now + 2 * MINUTE)

    conditions.run(now + 3 * MINUTE)

    assert list(Alert.objects.order_by("id").values_list("state", flat=True)) == ["resolved", "firing"]


def test_condition__twice_between_two_looks__both_occurrences_are_kept(now: datetime) -> None:
    raise_condition(LOW, now=now)
    conditions.run(now)
    clear_condition(LOW, now=now)
    raise_condition(LOW, now=now)
    clear_condition(LOW, now=now)

    conditions.run(now + MINUTE)

    assert list(Alert.objects.values_list("state", flat=True)) == ["resolved", "resolved"]


def test_condition__raised_again_as_worse__opens_the_worse_and_ends_the_other(now: datetime) -> None:
    raise_condition(LOW, now=now)
    conditions.run(now)
    raise_condition(replace(LOW, severity="critical"), now=now + MINUTE)

    conditions.run(now + MINUTE)

    assert [labels["severity"] for labels in _open()] == ["critical"]


def test_condition__with_a_rule__has_its_name_severity_and_labels(now: datetime) -> None:
    watched = rule(
        now, {"source": "pump.*", "severities": {"low": "high"}}, kind="condition", name="Pump", labels={"team": "w"}
    )
    raise_condition(LOW, now=now)

    conditions.run(now)

    alert = Alert.objects.get()
    assert (alert.rule, alert.name, alert.severity, alert.labels["team"]) == (watched, "Pump", "high", "w")


def test_condition__of_several_rules__takes_the_most_exact(now: datetime) -> None:
    rule(now, {"source": "pump.*"}, kind="condition", name="Any pump")
    rule(now, {"source": "pump.*", "labels": {"pump": "1"}}, kind="condition", name="Pump one")
    rule(now, {"source": "pump.level", "key": "other"}, kind="condition", name="Another")
    raise_condition(LOW, now=now)

    conditions.run(now)

    assert Alert.objects.get().name == "Pump one"


def test_condition__its_rule_is_disabled__is_told_no_more_until_it_is_enabled(now: datetime) -> None:
    watched = rule(now, {"source": "pump.*"}, kind="condition", name="Pump")
    raise_condition(LOW, now=now)
    conditions.run(now)

    set_enabled(watched.pk, enabled=False, now=now)
    conditions.run(now + MINUTE)
    assert _open() == []

    set_enabled(watched.pk, enabled=True, now=now)
    conditions.run(now + 2 * MINUTE)
    assert [labels["alertname"] for labels in _open()] == ["Pump"]


def test_condition__its_rule_is_renamed__goes_on_under_the_new_name(now: datetime) -> None:
    watched = rule(now, {"source": "pump.*"}, kind="condition", name="Pump")
    raise_condition(LOW, now=now)
    conditions.run(now)

    change_rule(watched.pk, RuleChange(values={"name": "Water"}), now=now)
    conditions.run(now + MINUTE)

    assert [labels["alertname"] for labels in _open()] == ["Water"]


def test_condition__its_rule_is_deleted__goes_on_under_its_own_name(now: datetime) -> None:
    watched = rule(now, {"source": "pump.*"}, kind="condition", name="Pump")
    raise_condition(LOW, now=now)
    conditions.run(now)

    delete_rule(watched.pk, now=now)
    conditions.run(now + MINUTE)

    assert [labels["alertname"] for labels in _open()] == ["pump.level"]


def test_condition__rule_wants_it_to_hold_for_a_while__fires_then(now: datetime) -> None:
    rule(now, {"source": "pump.*"}, kind="condition", name="Pump", for_seconds=120)
    raise_condition(LOW, now=now)

    seen = []
    for minute in range(4):
        conditions.run(now + minute * MINUTE)
        seen.append(Alert.objects.get().state)

    assert seen == ["pending", "pending", "firing", "firing"]


def test_condition__more_than_one_portion__are_all_told(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "AT_ONCE", 3)
    for number in range(7):
        raise_condition(replace(LOW, key=f"pump-{number}", labels={"pump": str(number)}), now=now)

    assert conditions.run(now) == 7

    assert len(_open()) == 7
