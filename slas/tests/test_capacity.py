"""Trends and demand: against lines and weeks whose answer is known."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slas import demand
from slas.capacity import Exhaustion, exhaustion, trend

FIRST = date(2026, 1, 5)
WEEK = (100.0, 120.0, 110.0, 105.0, 90.0, 30.0, 20.0)


def _days(values: list[float]) -> dict[date, float]:
    return {FIRST + timedelta(days=number): value for number, value in enumerate(values)}


def _found(values: list[float], **terms: float) -> Exhaustion:
    found = exhaustion(_days(values), **terms)
    assert found is not None
    return found


def test_exhaustion__straight_line__is_the_days_that_are_left() -> None:
    # Given 28 days that grow by 2 to 64; the level is the median of the last three days.
    found = _found([10.0 + 2 * day for day in range(28)], limit=100, headroom=0.1)

    assert (found.trend.slope, found.trend.level, found.trend.days) == (2.0, 62.0, 28)
    assert (found.earliest, found.expected, found.latest) == (14.0, 14.0, 14.0)


def test_exhaustion__five_percent_spikes__move_neither_slope_nor_level() -> None:
    values = [10.0 + 2 * day for day in range(28)]
    values[5] = values[20] = 5000.0

    found = _found(values, limit=100)

    assert found.trend.slope == pytest.approx(2.0, rel=0.02)
    assert found.expected == pytest.approx(19.0, rel=0.02)


def test_exhaustion__flat_or_shrinking__is_not_in_sight() -> None:
    assert _found([50.0] * 10, limit=100).expected is None
    assert _found([50.0 - day for day in range(10)], limit=100).expected is None


def test_exhaustion__past_the_usable_limit__is_now_even_when_it_shrinks() -> None:
    found = _found([95.0 - day / 100 for day in range(10)], limit=100, headroom=0.2)

    assert (found.earliest, found.expected, found.latest) == (0.0, 0.0, 0.0)


def test_trend__six_days__is_nothing_to_go_by() -> None:
    assert trend(_days([1.0] * 6)) is None
    assert trend({}) is None


def test_trend__days_before_the_last_28__do_not_count() -> None:
    found = trend(_days([1000.0] * 30 + [float(day) for day in range(28)]))

    assert found is not None
    assert (found.slope, found.days) == (1.0, 28)


@given(st.lists(st.floats(0, 1e6), min_size=7, max_size=40), st.floats(1, 1e7))
def test_exhaustion__any_days__are_in_order(values: list[float], limit: float) -> None:
    found = _found(values, limit=limit)

    ends = [10**9 if days is None else days for days in (found.earliest, found.expected, found.latest)]
    assert ends == sorted(ends)
    assert found.earliest is None or found.earliest >= 0


def test_demand__weeks_that_repeat__are_as_last_week_without_a_range() -> None:
    found = demand.forecast(_days(list(WEEK) * 8))

    assert found is not None
    assert found.method == "seasonal_naive"
    assert [day.expected for day in found.days] == list(WEEK) * 2
    assert {(day.low - day.expected, day.high - day.expected) for day in found.days} == {(0.0, 0.0)}
    assert found.days[0].day == FIRST + timedelta(days=56)


def test_demand__weeks_that_grow__are_forecast_with_a_trend_that_beats_last_week() -> None:
    noise = Random(7)
    values = [WEEK[day % 7] * (1 + day / 40) + noise.uniform(-2, 2) for day in range(84)]

    found = demand.forecast(_days(values))

    assert found is not None
    tests = {test.method: test for test in found.back_tests}
    assert found.method == "seasonal_trend"
    assert tests["seasonal_trend"].mean_absolute_error < tests["seasonal_naive"].mean_absolute_error / 2
    actual = [WEEK[day % 7] * (1 + day / 40) for day in range(84, 98)]
    assert [day.expected for day in found.days] == pytest.approx(actual, rel=0.06)


def test_demand__days_far_away__are_never_surer_than_near_ones() -> None:
    noise = Random(3)
    found = demand.forecast(_days([WEEK[day % 7] + noise.uniform(-20, 20) for day in range(70)]))

    assert found is not None
    widths = [round(day.high - day.low, 6) for day in found.days]
    assert widths == sorted(widths)
    assert widths[0] > 0


def test_demand__a_gap__begins_the_history_anew() -> None:
    days = _days(list(WEEK) * 8)
    del days[FIRST + timedelta(days=50)]

    assert demand.forecast(days) is None
    assert demand.forecast({}) is None


def test_demand__all_zero__is_zero() -> None:
    found = demand.forecast(_days([0.0] * 50))

    assert found is not None
    assert {day.expected for day in found.days} == {0.0}
    assert {test.mase for test in found.back_tests} == {None}
