"""The pass that evaluates rules: slots, leases, `for`, missing data, errors, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts.models import Alert, AlertEvent, AlertRule, EvaluationClock
from alerts.services import evaluation
from alerts.services.rules import RuleChange, change_rule, delete_rule, set_enabled
from alerts.tests.ruling import NAME, Told, alone, offered, rule, states

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def told() -> Iterator[Told]:
    with offered(Told()) as metric:
        alone()
        yield metric


def test_evaluation__one_of_two_agents_is_over__opens_one_alert_with_its_labels(told: Told, now: datetime) -> None:
    watched = rule(now, labels={"team": "a"})
    told.say(one=11, two=10)

    assert evaluation.run(now) == 1

    alert = Alert.objects.get()
    assert alert.labels == {"agent": "one", "alertname": "Too much", "severity": "high", "team": "a"}
    assert (alert.rule, alert.state, alert.value, alert.severity) == (watched, "firing", "11", "high")


def test_evaluation__again_within_the_slot__does_nothing(told: Told, now: datetime) -> None:
    rule(now)
    told.say(one=11)
    evaluation.run(now)

    assert evaluation.run(now + timedelta(seconds=59)) == 0

    assert len(told.reads) == 1


def test_evaluation__value_falls__resolves(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.say(one=11)
    evaluation.run(now)
    told.say(one=3)

    evaluation.run(now + MINUTE)

    assert states(watched) == [("one", "resolved")]
    assert list(AlertEvent.objects.order_by("seq").values_list("kind", flat=True)) == ["firing", "resolved"]


def test_evaluation__for_three_minutes__fires_in_the_fourth_slot(told: Told, now: datetime) -> None:
    watched = rule(now, for_seconds=180)
    told.say(one=11)

    seen = []
    for minute in range(5):
        # Each pass comes some seconds late, by another number every time.
        evaluation.run(now + minute * MINUTE + timedelta(seconds=(7 * minute) % 10))
        seen.append(states(watched)[0][1])

    assert seen == ["pending", "pending", "pending", "firing", "firing"]


def test_evaluation__keeps_firing__resolves_only_after_it_was_right_for_as_long(told: Told, now: datetime) -> None:
    watched = rule(now, keep_firing_seconds=120)
    told.say(one=11)
    evaluation.run(now)
    told.say(one=1)

    seen = []
    for minute in range(1, 5):
        evaluation.run(now + minute * MINUTE)
        seen.append(states(watched)[0][1])

    assert seen == ["firing", "firing", "resolved", "resolved"]


@pytest.mark.parametrize(("policy", "expected"), [("ignore", "firing"), ("resolve", "resolved"), ("fire", "firing")])
def test_evaluation__label_set_vanishes__follows_the_policy(
    told: Told, now: datetime, policy: str, expected: str
) -> None:
    watched = rule(now, no_data=policy)
    told.say(one=11, two=1)
    evaluation.run(now)
    del told.values["one"]

    evaluation.run(now + MINUTE)

    assert states(watched) == [("one", expected)]


def test_evaluation__no_data_at_all_counts_as_breaching__fires_until_there_is_data(told: Told, now: datetime) -> None:
    rule(now, no_data="fire")

    evaluation.run(now)

    alert = Alert.objects.get()
    assert (alert.state, alert.labels["reason"]) == ("firing", "no data")
    told.say(one=1)
    evaluation.run(now + MINUTE)
    alert.refresh_from_db()
    assert alert.state == "resolved"


def test_evaluation__metric_raises__is_kept_as_the_rules_error_and_changes_nothing(told: Told, now: datetime) -> None:
    watched, other = rule(now), rule(now, {"silent_seconds": 60}, name="Beats", kind="heartbeat")
    told.say(one=11)
    evaluation.run(now)
    told.error = RuntimeError("the pump is dry")

    evaluation.run(now + MINUTE)

    watched.refresh_from_db()
    other.refresh_from_db()
    assert watched.last_error == "test.value: RuntimeError: the pump is dry"
    assert (watched.error_since, other.last_error) == (now + MINUTE, "")
    assert states(watched) == [("one", "firing")]


def test_evaluation__metric_works_again__forgets_the_error(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.error = RuntimeError("the pump is dry")
    evaluation.run(now)
    told.error = None

    evaluation.run(now + MINUTE)

    watched.refresh_from_db()
    assert (watched.last_error, watched.error_since) == ("", None)


def test_evaluation__metric_is_not_offered__waits_without_an_error(told: Told, now: datetime) -> None:
    watched = rule(now)
    AlertRule.objects.update(parameters={**watched.parameters, "metric": "slas.later"}, revision=2)

    evaluation.run(now)

    watched.refresh_from_db()
    assert (watched.last_error, Alert.objects.count()) == ("", 0)


def test_evaluation__slots_were_missed__evaluates_the_latest_only(told: Told, now: datetime) -> None:
    rule(now)
    evaluation.run(now)

    evaluation.run(now + timedelta(hours=9, seconds=30))

    assert [window.end for window, _ in told.reads] == [now, now + timedelta(hours=9)]


def test_evaluation__clock_steps_back_a_little__evaluates_nothing_twice(told: Told, now: datetime) -> None:
    rule(now)
    evaluation.run(now)

    assert evaluation.run(now - timedelta(seconds=40)) == 0

    assert EvaluationClock.objects.get(interval_seconds=60).last_slot == now


def test_evaluation__clock_was_a_year_ahead__goes_on_from_the_right_time(told: Told, now: datetime) -> None:
    rule(now)
    evaluation.run(now + timedelta(days=365))

    assert evaluation.run(now) == 1

    assert EvaluationClock.objects.get(interval_seconds=60).last_slot == now


def test_evaluation__leased_by_a_worker_that_died__is_taken_over_when_the_lease_is_over(
    told: Told, now: datetime
) -> None:
    rule(now)
    evaluation._claim(now)

    assert evaluation.run(now + timedelta(seconds=30)) == 0
    assert evaluation.run(now + evaluation.LEASE + timedelta(seconds=1)) == 1


def test_evaluation__lease_was_lost_while_judging__throws_the_result_away(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.say(one=11)

    def lose(*_: object) -> list[object]:
        EvaluationClock.objects.update(lease_token=None)
        return []

    told.values = _Stealing(told.values, lose)

    assert evaluation.run(now) == 0
    assert states(watched) == []


class _Stealing(dict[str, Decimal | None]):
    """Values that do something when they are looked at."""

    def __init__(self, values: dict[str, Decimal | None], act: object) -> None:
        super().__init__(values)
        self._act = act

    def __iter__(self) -> Iterator[str]:
        self._act()  # type: ignore[operator]  # a function
        return super().__iter__()


def test_evaluation__rule_is_deleted_while_it_is_evaluated__says_nothing(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.say(one=11)
    told.values = _Stealing(told.values, lambda: delete_rule(watched.pk, now=now))

    assert evaluation.run(now) == 1

    assert Alert.objects.count() == 0


def test_evaluation__rule_is_changed_while_it_is_evaluated__waits_for_the_next_slot(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.say(one=11)
    change = RuleChange(values={"for_seconds": 60})
    told.values = _Stealing(told.values, lambda: change_rule(watched.pk, change, now=now))

    evaluation.run(now)

    assert states(watched) == []


def test_evaluation__rule_is_disabled__resolves_and_is_evaluated_no_more(told: Told, now: datetime) -> None:
    watched = rule(now)
    told.say(one=11)
    evaluation.run(now)

    set_enabled(watched.pk, enabled=False, now=now)

    assert states(watched) == [("one", "resolved")]
    assert evaluation.run(now + MINUTE) == 0


def test_evaluation__a_hundred_rules__takes_as_many_queries_and_reads_as_one(told: Told, now: datetime) -> None:
    rule(now, labels={"n": "0"})
    told.say(**{f"agent{number}": 11 for number in range(100)})
    with CaptureQueriesContext(connection) as one:
        evaluation.run(now)
    for number in range(100):
        given = {"metric": NAME, "threshold": "10", "labels": {"agent": f"agent{number}"}, "window_seconds": 60}
        rule(now, given, name=f"Rule {number}")
    told.reads.clear()

    with CaptureQueriesContext(connection) as many:
        evaluation.run(now + MINUTE)

    assert Alert.objects.filter(resolved_at=None).count() == 200
    assert len(many) <= len(one) + 1
    assert [count for _, count in told.reads] == [0, 100]
