"""What alert rules read of indicators: shares and percentiles over any window, in few queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.ports.metrics import Sample, metrics
from core.windows import Window
from slas.buckets import Event, record_events
from slas.tests.objectives import sli, slo

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
HOUR = Window(NOW - timedelta(hours=1), NOW)


def _read(name: str, step: int | None = None, window: Window = HOUR) -> list[Sample]:
    return list(metrics.get(name).read(window, None, step))


def _events(good: int, bad: int, minutes: int = 5) -> list[Event]:
    at = NOW - timedelta(minutes=minutes)
    return [Event(at, number < good) for number in range(good + bad)]


def test_error_ratio__of_events__is_exact_and_leaves_out_what_has_none() -> None:
    indicator, _ = sli(), sli()
    record_events(indicator, _events(good=29, bad=3), now=NOW)

    samples = _read("slas.error_ratio")

    assert [(sample.labels["sli"], sample.value) for sample in samples] == [(indicator.slug, Decimal("0.09375"))]


def test_error_ratio__promised_for_less_than_95_percent__is_no_error_rate() -> None:
    indicator = sli()
    slo(indicator, "0.9")
    record_events(indicator, _events(good=1, bad=1), now=NOW)

    assert _read("slas.error_ratio") == []


def test_error_ratio__by_half_hours__has_the_start_of_each() -> None:
    indicator = sli()
    record_events(indicator, [*_events(1, 1, minutes=40), *_events(3, 1)], now=NOW)

    samples = _read("slas.error_ratio", step=1800)

    assert [(sample.at, sample.value) for sample in samples] == [
        (HOUR.start, Decimal("0.5")), (HOUR.start + timedelta(minutes=30), Decimal("0.25")),
    ]  # fmt: skip


@pytest.mark.parametrize("indicators", [2, 20])
def test_error_ratio__of_many_indicators__costs_the_same_queries(indicators: int) -> None:
    for _ in range(indicators):
        record_events(sli(), _events(9, 1), now=NOW)

    with CaptureQueriesContext(connection) as queries:
        samples = _read("slas.error_ratio")

    assert (len(samples), len(queries)) == (indicators, 2)


def test_availability__is_of_health_checks_alone() -> None:
    record_events(sli(), _events(1, 1), now=NOW)
    checked = sli(source="health", config={"check": "database"})
    record_events(checked, _events(99, 1), now=NOW)

    assert [sample.value for sample in _read("slas.availability_ratio")] == [Decimal("0.99")]


def test_latency__of_milliseconds__is_the_95th_percentile_in_seconds() -> None:
    indicator = sli("latency", operator="lte", threshold=Decimal(2000), unit="ms")
    values = [Decimal(100)] * 94 + [Decimal(6000)] * 6
    record_events(indicator, [Event(NOW - timedelta(minutes=5), value=value) for value in values], now=NOW)

    (sample,) = _read("slas.latency_p95_seconds")
    (by_hour,) = _read("slas.latency_p95_seconds", 3600, Window(NOW - timedelta(days=1), NOW))

    assert (sample.value, by_hour.value) == (Decimal(6), Decimal(6))
    assert by_hour.at == NOW - timedelta(hours=1)
