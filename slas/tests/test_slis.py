"""Indicators: thresholds asked of the past, sources on the schedule, held slices, ready templates."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Invalid
from core.models import ConditionRecord
from core.outbound import Answer, Unreachable
from core.ports.health import HealthCheck, HealthResult, health_checks
from core.windows import Window
from slas import buckets, histogram
from slas.buckets import Aggregate, Counts, Event
from slas.choices import Series
from slas.models import Sli, SourceReading
from slas.services import objectives
from slas.services.collecting import collect, fill_held
from slas.tests.objectives import service, sli

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = Window(NOW - timedelta(days=1), NOW + timedelta(hours=1))
pytestmark = pytest.mark.django_db


def counted(one: Sli, series: Series = Series.EVENTS) -> Counts:
    return buckets.counts([one], [DAY], series=series)[one.pk, DAY]


def test_histogram__boundaries__are_round_and_at_most_a_quarter_apart() -> None:
    pairs = zip(histogram.BOUNDARIES, histogram.BOUNDARIES[1:], strict=False)

    assert max(after / before for before, after in pairs) == Decimal("1.25")
    assert all(histogram.is_boundary(Decimal(value)) for value in ("0.5", "100", "250", "800", "1500", "2000"))


def test_threshold__changed_for_the_past__judges_everything_anew() -> None:
    one = sli("latency", operator="lte", threshold=Decimal(1000))
    values = [100, 250, 251, 800, 999, 1000, 1001, 5000]
    items = [Event(NOW - n * timedelta(hours=1), value=Decimal(value)) for n, value in enumerate(values)]
    buckets.record_events(one, items, now=NOW)
    assert counted(one) == Counts(6, 8)

    objectives.change_sli(one.pk, {"threshold": Decimal(250)}, now=NOW, retroactive=True, reason="slower than agreed")

    assert counted(one) == Counts(2, 8)
    buckets.record_events(one, [Event(NOW, value=Decimal(250)), Event(NOW, value=Decimal(251))], now=NOW)
    assert counted(one) == Counts(3, 10)


def test_threshold__that_is_no_boundary__is_refused_for_the_past_with_the_nearest() -> None:
    one = sli("latency", operator="lte", threshold=Decimal(1000))

    with pytest.raises(Invalid, match="the nearest are 250 and 300"):
        objectives.change_sli(one.pk, {"threshold": Decimal(260)}, now=NOW, retroactive=True)

    assert Sli.objects.get(pk=one.pk).threshold == 1000


@pytest.mark.parametrize(
    ("values", "pointer"),
    [
        ({"kind": "latency"}, "/threshold"),
        ({"kind": "ratio", "threshold": Decimal(1), "operator": "lte"}, "/threshold"),
        ({"kind": "timeslice"}, "/slice_seconds"),
        ({"kind": "timeslice", "slice_seconds": 0, "slice_target": Decimal("0.9")}, "/slice_seconds"),
        ({"kind": "ratio", "source": "prometheus"}, "/config/url"),
        ({"kind": "ratio", "lateness_seconds": 9}, "/lateness_seconds"),
    ],
)
def test_create_sli__what_makes_no_sense__is_refused_at_its_field(values: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        objectives.create_sli(service(), {"slug": "x", "name": "X", **values}, now=NOW)

    assert pointer in {error.pointer for error in refused.value.errors}
    assert not Sli.objects.exists()


@pytest.fixture
def check() -> Iterator[list[str]]:
    """A health check whose answer the test decides."""
    said = ["ok"]
    items = health_checks._items
    items["test.answers"] = HealthCheck("test.answers", "", lambda: HealthResult(said[0], ""))  # type: ignore[arg-type]
    yield said
    del items["test.answers"]


def sourced(source: str, **config: Any) -> Sli:
    values = {"slug": "s", "name": "S", "kind": "ratio", "source": source, "config": config}
    return objectives.create_sli(service(), values, now=NOW)


def test_health_source__is_read_once_a_minute(check: list[str]) -> None:
    one = sourced("health", check="test.answers")

    assert [collect(now=NOW), collect(now=NOW)] == [1, 0]
    check[0] = "failed"
    collect(now=NOW + MINUTE)

    assert counted(one) == Counts(1, 2)
    assert SourceReading.objects.get().read_until == NOW + MINUTE


def test_prometheus_source__counts_what_the_queries_say(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def request(method: str, url: str, **_: Any) -> Answer:
        asked.append(url)
        value = "99.6" if "total" in url else "90.2"
        result = [{"metric": {}, "value": [1, value]}]
        body = {"status": "success", "data": {"resultType": "vector", "result": result}}
        return Answer(200, {}, json.dumps(body).encode(), 1)

    monkeypatch.setattr("slas.sources.outbound.request", request)
    one = sourced("prometheus", url="https://prometheus.example.org", total="total[$window]", good="good[$window]")

    collect(now=NOW)

    assert counted(one) == Counts(90, 100)
    assert "query=total%5B60s%5D" in asked[0]


def test_source__that_does_not_answer__is_asked_ever_more_rarely_and_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def request(*_: Any, **__: Any) -> Answer:
        raise Unreachable("prometheus.example.org did not answer")

    monkeypatch.setattr("slas.sources.outbound.request", request)
    one = sourced("prometheus", url="https://prometheus.example.org", total="a", good="b")

    at, waits = NOW, []
    for _ in range(6):
        collect(now=at)
        row = SourceReading.objects.get()
        waits.append((row.next_at - at) // MINUTE)
        at = row.next_at

    assert waits == [1, 2, 4, 8, 16, 32]
    assert row.error == "prometheus.example.org did not answer"
    assert ConditionRecord.objects.get(source="slas.source").firing
    assert counted(one) == Counts()


def test_held_slices__without_events__keep_the_last_state_until_late_events_come() -> None:
    one = sli("timeslice", slice_seconds=60, slice_target=Decimal(1), no_data="hold")
    buckets.record_events(one, [Event(NOW - 10 * MINUTE, False), Event(NOW - 12 * MINUTE, True)], now=NOW)

    assert [fill_held(now=NOW), fill_held(now=NOW)] == [8, 0]
    assert counted(one, Series.SLICES) == Counts(2, 10)
    buckets.record_events(one, [Aggregate(NOW - 5 * MINUTE, 3, 3)], now=NOW)

    assert counted(one, Series.SLICES) == Counts(3, 10)
