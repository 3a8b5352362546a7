"""Buckets against the raw events they were made of: whatever the batches, however late, whatever is excluded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.windows import Window
from slas import buckets
from slas.buckets import Aggregate, Counts, Event
from slas.choices import Series
from slas.models import Exclusion, Sli, SliBucket
from slas.tests.objectives import sli

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
SPAN = 47 * 60
pytestmark = pytest.mark.django_db


def raw(events: Sequence[tuple[int, bool]], window: Window, spans: Sequence[Window]) -> Counts:
    """Count the events one by one."""
    within = [(minute(at), good) for at, good in events if minute(at) in window]
    left_out = [good for at, good in within if any(at in span for span in spans)]
    return Counts(sum(good for _, good in within), len(within), sum(left_out), len(left_out))


def minute(back: int) -> datetime:
    return NOW - timedelta(minutes=back)


times = st.integers(min_value=0, max_value=SPAN)
batches = st.lists(st.lists(st.tuples(times, st.booleans()), max_size=30), max_size=8)
windows = st.lists(st.tuples(times, times).filter(lambda pair: pair[0] != pair[1]), min_size=1, max_size=6)
excluded = st.lists(st.tuples(times, st.integers(1, 600)), max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=batches, pairs=windows, gaps=excluded)
def test_counts__after_random_batches_late_data_and_exclusions__equal_the_raw_events(
    batches: list[list[tuple[int, bool]]], pairs: list[tuple[int, int]], gaps: list[tuple[int, int]]
) -> None:
    one, other = sli(), sli()
    spans = [Window(minute(back), minute(back) + timedelta(minutes=length)) for back, length in gaps]
    for span in spans:
        Exclusion.objects.create(
            sli=one, starts_at=span.start, ends_at=span.end, category="planned", reason="x", created_at=NOW,
            approved_by="otto",
        )  # fmt: skip
    asked = [Window(minute(max(pair)), minute(min(pair))) for pair in pairs]

    for batch in batches:
        buckets.record_events(one, [Event(minute(at), good) for at, good in batch], now=NOW)

    found = buckets.counts([one, other], asked)
    everything = [event for batch in batches for event in batch]
    for window in asked:
        assert found[one.pk, window] == raw(everything, window, spans)
        assert found[other.pk, window] == Counts()


def test_counts__of_many_indicators_and_windows__make_one_query() -> None:
    indicators = [sli() for _ in range(20)]
    buckets.record_batches([(one, [Event(NOW, True)]) for one in indicators], now=NOW)
    asked = [Window(NOW - timedelta(minutes=n), NOW + timedelta(minutes=1)) for n in range(1, 9)]

    with CaptureQueriesContext(connection) as queries:
        found = buckets.counts(indicators, asked)

    assert len(queries) == 1
    assert set(found.values()) == {Counts(1, 1)}


def test_record_events__too_late__are_dropped_and_counted() -> None:
    one = sli(lateness_seconds=3600)
    old = NOW - timedelta(seconds=3601)

    verdicts = buckets.record_events(
        one, [Event(old, True), Aggregate(old, 5, 7), Event(NOW - timedelta(hours=1), True)], now=NOW
    )

    assert [verdict.status for verdict in verdicts] == ["late", "late", "recorded"]
    assert Sli.objects.get(pk=one.pk).late_dropped == 8
    assert buckets.counts([one], [Window(NOW - timedelta(days=1), NOW)])[
        one.pk, Window(NOW - timedelta(days=1), NOW)
    ] == Counts(1, 1)


def test_record_events__one_bad_item__keeps_the_others() -> None:
    one = sli("latency", operator="lte", threshold=Decimal(800))
    items = [
        Event(NOW, value=Decimal(800)),
        Event(NOW, good=True),
        Event(NOW + timedelta(minutes=6), value=Decimal(1)),
        Event(NOW, value=Decimal("800.5")),
        Event(NOW.replace(tzinfo=None), value=Decimal(1)),
    ]

    verdicts = buckets.record_events(one, items, now=NOW)

    codes = [[error.code for error in verdict.errors] for verdict in verdicts]
    assert codes == [[], ["required"], ["in_future"], [], ["offset_missing"]]
    row = SliBucket.objects.get(sli=one, resolution=60)
    assert (row.good, row.total, row.value_sum, row.value_max) == (1, 2, Decimal("1600.5"), Decimal("800.5"))
    assert row.histogram == "142:1 143:1"


def test_slices__of_five_minutes__are_judged_with_and_without_exclusions() -> None:
    one = sli("timeslice", slice_seconds=300, slice_target=Decimal("0.9"))
    Exclusion.objects.create(
        sli=one, starts_at=NOW - timedelta(minutes=10), ends_at=NOW - timedelta(minutes=5), category="planned",
        reason="x", created_at=NOW, approved_by="otto",
    )  # fmt: skip
    good, half = Aggregate(minute(2), 9, 10), Aggregate(minute(14), 89, 100)
    window = Window(NOW - timedelta(hours=1), NOW)

    buckets.record_events(one, [good, half, Aggregate(minute(9), 0, 10)], now=NOW)

    assert buckets.counts([one], [window], series=Series.SLICES)[one.pk, window] == Counts(1, 3, 0, 1)
    ratios = buckets.counts([one], [window], series=Series.RATIOS)[one.pk, window]
    assert (ratios.good, ratios.total) == (179 * 10**9, 3 * buckets.RATIO_UNIT)
