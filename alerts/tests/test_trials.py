"""Testing a rule now and replaying it over its past: nobody is told, nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from alerts.models import Alert
from alerts.services import evaluation
from alerts.services.rule_terms import RuleTerms
from alerts.services.trials import TooLong, backtest, try_rule
from alerts.services.trials.telling import sentence
from alerts.tests.ruling import NAME, Told, alone, offered, rule
from core.errors import Invalid
from core.ports.metrics import Labels, Metric, Sample, metrics
from core.windows import Window

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@dataclass
class Recorded:
    """A metric with a past: events at instants, counted by bucket or by window."""

    at: list[datetime]
    kind: str = "sum"
    reads: int = 0

    def read(self, window: Window, wanted: Sequence[Labels] | None, step: int | None) -> list[Sample]:
        self.reads += 1
        counts: dict[datetime | None, int] = {}
        for at in self.at:
            if at in window:
                seconds = int(at.timestamp())
                bucket = None if step is None else at - timedelta(seconds=seconds % step)
                counts[bucket] = counts.get(bucket, 0) + 1
        return [Sample({"agent": "a"}, Decimal(count), bucket) for bucket, count in counts.items()]


@pytest.fixture
def recorded(now: datetime) -> Iterator[Recorded]:
    # Two bursts of an hour: ten days ago and two days ago, one event a minute.
    found = Recorded([now - timedelta(days=days) + timedelta(minutes=m) for days in (10, 2) for m in range(60)])
    metric = Metric(NAME, "events", "Events.", ("agent",), found.read, "sum")
    metrics._items[NAME] = metric
    yield found
    del metrics._items[NAME]


def _terms(**values: object) -> RuleTerms:
    parameters = {"metric": NAME, "comparison": ">", "threshold": "4", "window_seconds": 600}
    usual = {"name": "Many", "kind": "threshold", "parameters": parameters}
    return RuleTerms(**{**usual, **values})  # type: ignore[arg-type]  # terms by name


def test_trial__now__says_value_and_verdict_by_label_set_and_opens_nothing(now: datetime) -> None:
    with offered(Told()) as told:
        told.say(low=3, high=30)
        found = try_rule(_terms(), now=now)

    assert [(one.labels["agent"], one.value, one.active) for one in found.found] == [
        ("high", Decimal(30), True),
        ("low", Decimal(3), False),
    ]
    assert (found.active_count, Alert.objects.count()) == (1, 0)


def test_trial__metric_raises__says_why(now: datetime) -> None:
    with offered(Told(error=RuntimeError("the pump is dry"))):
        found = try_rule(_terms(), now=now)

    assert found.error == "test.value: RuntimeError: the pump is dry"


def test_trial__unknown_metric__is_refused_with_the_nearest_names(now: datetime) -> None:
    with pytest.raises(Invalid) as refused:
        try_rule(_terms(parameters={"metric": "cost.spend", "threshold": "1"}), now=now)

    assert [error.pointer for error in refused.value.errors] == ["/parameters/metric"]
    assert "costs.spend" in refused.value.detail


def test_backtest__two_bursts_in_thirty_days__would_have_fired_twice(recorded: Recorded, now: datetime) -> None:
    found = backtest(_terms(), now=now)

    assert (found.fired_count, found.resolution_seconds, found.slot_count) == (2, 300, 8640)
    assert [episode.fired_at for episode in found.episodes] == [
        now - timedelta(days=2) + timedelta(minutes=5),
        now - timedelta(days=10) + timedelta(minutes=5),
    ]
    # Of the ten minutes before it the slot at 65 minutes still sees five events, and that at 70 minutes none.
    assert found.episodes[0].resolved_at == now - timedelta(days=2) + timedelta(minutes=70)
    assert sentence(found) == "would have fired 2 times in the last 30 days, for 2 h 10 min in total."


def test_backtest__any_number_of_slots__reads_the_metric_once(recorded: Recorded, now: datetime) -> None:
    backtest(_terms(), now=now)

    assert recorded.reads == 1


def test_backtest__has_to_hold_for_longer_than_the_bursts__would_not_have_fired(
    recorded: Recorded, now: datetime
) -> None:
    found = backtest(_terms(for_seconds=7200), now=now)

    assert (found.fired_count, found.pending_only_count) == (0, 2)


def test_backtest__ratio_that_cannot_be_added_up__is_read_at_every_slot_and_says_how_coarse(
    recorded: Recorded, now: datetime
) -> None:
    metrics._items[NAME] = Metric(NAME, "events", "Events.", ("agent",), recorded.read, "value")

    found = backtest(_terms(), now=now)

    assert (found.resolution_seconds, found.slot_count, recorded.reads) == (3600, 720, 720)


def test_backtest__takes_longer_than_allowed__says_so(recorded: Recorded, now: datetime) -> None:
    with pytest.raises(TooLong):
        backtest(_terms(), now=now, seconds=-1.0)


def test_backtest__state_of_the_moment__is_refused_in_words(now: datetime) -> None:
    with offered(Told(kind="state")), pytest.raises(Invalid) as refused:
        backtest(_terms(), now=now)

    assert refused.value.code == "no_past"


def test_backtest__same_as_real_evaluation__slot_by_slot(recorded: Recorded, now: datetime) -> None:
    alone()
    rule(now, {"metric": NAME, "threshold": "4", "window_seconds": 600}, name="Many", interval_seconds=300)
    begin = now - timedelta(days=2) - HOUR

    for number in range(36):
        evaluation.run(begin + number * timedelta(minutes=5))

    alert = Alert.objects.get()
    replayed = backtest(_terms(interval_seconds=300), now=now).episodes[0]
    assert (alert.starts_at, alert.resolved_at) == (replayed.fired_at, replayed.resolved_at)
