"""Metrics: many label sets in a constant number of reads, equal to the events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.ports.metrics import Labels, Sample, metrics
from core.windows import Window
from costs.inputs import CostItem
from costs.services.ingest import record_costs
from costs.tests.budgeting import spend
from costs.tests.ledger_case import SENDER

START = datetime(2026, 3, 10, 0, 0, tzinfo=UTC)
NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
WINDOW = Window(START, START + timedelta(days=3))
pytestmark = pytest.mark.django_db


def _record(count: int) -> None:
    items = [
        CostItem(
            cost_type=("llm_api", "tool_usage")[number % 2], entity_type="agent", entity_id=f"a{number}",
            amount=Decimal(number + 1), provider="p", model="m", occurred_at=START + timedelta(hours=number % 60),
            tags={"experiment": "e1", "variant": ("control", "candidate")[number % 2]}, idempotency_key=f"k{number}",
        )
        for number in range(count)
    ]  # fmt: skip
    record_costs(items, sender=SENDER, now=NOW)


def _read(name: str, wanted: list[Labels] | None, step: int | None = None) -> list[Sample]:
    return list(metrics.get(name).read(WINDOW, wanted, step))


@pytest.mark.parametrize("agents", [2, 40])
def test_spend__of_many_agents__costs_the_same_few_reads(agents: int) -> None:
    _record(agents)
    wanted: list[Labels] = [{"entity_type": "agent", "entity_id": f"a{number}"} for number in range(agents)]

    with CaptureQueriesContext(connection) as queries:
        samples = _read("costs.spend", wanted)

    assert {sample.labels["entity_id"]: sample.value for sample in samples} == {
        f"a{number}": Decimal(number + 1) for number in range(agents)
    }
    assert len(queries) <= 4


def test_spend__label_sets_of_different_shapes__are_answered_each() -> None:
    _record(10)

    samples = _read("costs.spend", [{}, {"cost_type": "llm_api"}, {"experiment": "e1", "variant": "control"}])

    assert [(dict(sample.labels), sample.value) for sample in samples] == [
        ({}, Decimal(55)),
        ({"cost_type": "llm_api"}, Decimal(25)),
        ({"experiment": "e1", "variant": "control"}, Decimal(25)),
    ]


def test_spend__no_data__gives_no_sample_and_never_zero() -> None:
    _record(3)

    assert _read("costs.spend", [{"entity_type": "agent", "entity_id": "nobody"}]) == []


def test_spend__all_label_sets__name_each_entity_and_type_once() -> None:
    _record(4)

    samples = _read("costs.spend", None)

    assert {tuple(sample.labels.values()): sample.value for sample in samples} == {
        ("agent", "a0", "llm_api"): Decimal(1),
        ("agent", "a1", "tool_usage"): Decimal(2),
        ("agent", "a2", "llm_api"): Decimal(3),
        ("agent", "a3", "tool_usage"): Decimal(4),
    }


@pytest.mark.parametrize(("step", "buckets"), [(86_400, 3), (3600, 60), (7200, 30), (300, 60)])
def test_spend__by_step__adds_up_to_the_window(step: int, buckets: int) -> None:
    _record(120)

    samples = _read("costs.spend", [{}], step)

    assert len(samples) == buckets
    assert sum(sample.value or 0 for sample in samples) == Decimal(120 * 121 // 2)
    assert all(sample.at is not None and sample.at in WINDOW for sample in samples)


@pytest.mark.parametrize(("labels", "step"), [({"colour": "red"}, None), ({}, 61), ({}, -60)])
def test_spend__senseless_question__is_refused(labels: Labels, step: int | None) -> None:
    with pytest.raises(ValueError, match="cost"):
        _read("costs.spend", [labels], step)


def test_counts_and_tokens__are_those_of_the_events() -> None:
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", provider="acme", model="x",
                    input_tokens=70, output_tokens=7, occurred_at=START, idempotency_key="k")  # fmt: skip
    record_costs([item], sender=SENDER, now=NOW)

    values = {name: [sample.value for sample in _read(f"costs.{name}", [{}])]
              for name in ("event_count", "unpriced_count", "input_tokens", "output_tokens")}  # fmt: skip

    assert values == {"event_count": [1], "unpriced_count": [1], "input_tokens": [70], "output_tokens": [7]}
    assert [sample.value for sample in _read("costs.unpriced_models_open", None)] == [1]


def test_fold_lag__nothing_waiting__is_zero(now: datetime) -> None:
    assert [sample.value for sample in _read("costs.fold_lag_seconds", None)] == [0]


@pytest.mark.postgresql
def test_fold_lag__events_waiting__is_the_age_of_the_oldest(now: datetime) -> None:
    spend(now, "1", occurred_at=now)
    window = Window(now, now + timedelta(seconds=90))

    samples = metrics.get("costs.fold_lag_seconds").read(window, None, None)

    assert [sample.value for sample in samples] == [90]
