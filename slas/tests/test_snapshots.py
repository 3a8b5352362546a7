"""Days of objectives: written once, following late events, frozen for good; by the terms of their time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from slas import buckets, tasks
from slas.buckets import Aggregate
from slas.models import Sli, SloRevision, SloSnapshot
from slas.services.objectives import change_slo
from slas.services.snapshots import take_snapshots
from slas.terms import to_values
from slas.tests.objectives import sli, slo

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
pytestmark = pytest.mark.django_db


def measured() -> Sli:
    found = sli(lateness_seconds=172_800)
    for back in (3, 2, 1):
        at = NOW - back * DAY
        buckets.record_events(found, [Aggregate(at, 99, 100)], now=at)
    return found


def test_snapshots__taken_twice__are_one_a_day_and_old_ones_are_frozen() -> None:
    slo(measured(), "0.9", created_at=NOW - 3 * DAY)

    assert take_snapshots(now=NOW) == 3
    take_snapshots(now=NOW)

    rows = list(SloSnapshot.objects.order_by("day"))
    assert [row.day for row in rows] == [date(2026, 3, day) for day in (15, 16, 17)]
    assert [(row.good, row.total, row.sli, row.frozen_at is not None) for row in rows] == [
        (99, 100, Decimal("0.99"), True), (99, 100, Decimal("0.99"), False), (99, 100, Decimal("0.99"), False),
    ]  # fmt: skip
    assert rows[-1].consumed == Decimal("0.1")


def test_snapshot__with_late_events__follows_them_until_it_is_frozen() -> None:
    indicator = measured()
    slo(indicator, "0.9", created_at=NOW - DAY)
    take_snapshots(now=NOW)
    buckets.record_events(indicator, [Aggregate(NOW - DAY, 0, 100)], now=NOW)

    take_snapshots(now=NOW)
    followed = SloSnapshot.objects.get()
    take_snapshots(now=NOW + 3 * DAY)
    Sli.objects.update(lateness_seconds=20 * 86_400)
    buckets.record_events(indicator, [Aggregate(NOW - DAY, 0, 1000)], now=NOW + 3 * DAY)
    take_snapshots(now=NOW + 3 * DAY)

    frozen = SloSnapshot.objects.get(day=followed.day)
    assert (followed.good, followed.total, followed.frozen_at) == (99, 200, None)
    assert (frozen.good, frozen.total, frozen.frozen_at) == (99, 200, NOW + 3 * DAY)


def test_snapshot__of_a_day_before_a_new_target__keeps_the_old_one() -> None:
    objective = slo(measured(), "0.9", created_at=NOW - 3 * DAY)
    SloRevision.objects.create(
        slo=objective, number=1, effective_from=NOW - 3 * DAY, terms=to_values(objective)
    )  # fmt: skip
    change_slo(objective.pk, {"target": Decimal("0.999")}, now=NOW - DAY)

    take_snapshots(now=NOW)

    rows = SloSnapshot.objects.order_by("day").values_list("target", "revision", "state")
    assert list(rows) == [
        (Decimal("0.9"), 1, "healthy"), (Decimal("0.9"), 1, "healthy"), (Decimal("0.999"), 2, "exhausted"),
    ]  # fmt: skip


def test_snapshot__in_auckland__is_of_the_local_day() -> None:
    indicator = sli(lateness_seconds=864_000)
    inside, before = datetime(2026, 3, 16, 11, 0, tzinfo=UTC), datetime(2026, 3, 16, 10, 59, tzinfo=UTC)
    buckets.record_events(indicator, [Aggregate(inside, 1, 1), Aggregate(before, 0, 5)], now=NOW)
    slo(indicator, "0.9", time_zone="Pacific/Auckland", created_at=inside)

    take_snapshots(now=NOW)

    assert SloSnapshot.objects.filter(day=date(2026, 3, 17)).values_list("good", "total").get() == (1, 1)


def test_snapshot__of_a_day_without_events__has_no_figure() -> None:
    slo(created_at=NOW - DAY)

    take_snapshots(now=NOW)

    row = SloSnapshot.objects.get()
    assert (row.state, row.sli, row.window_sli, row.consumed, row.total) == ("no_data", None, None, None, 0)


def test_tasks__delivered_twice_and_with_nothing_there__do_no_harm() -> None:
    slo()

    for _ in range(2):
        tasks.evaluate()
        tasks.collect()
        tasks.take_snapshots()
        tasks.forget_old_buckets()

    assert SloSnapshot.objects.count() == SloSnapshot.objects.values("day").distinct().count()
