"""Arithmetic of minutes: bad ones, runs of them, missing data and exclusions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slas.downtime import Spans, common, down_runs, is_bad, joined, judged, length, with_missing, without

MINUTES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (min(pair), max(pair))))


def _set(spans: Spans) -> set[int]:
    return {minute for start, end in spans for minute in range(start, end)}


@given(MINUTES, MINUTES)
def test_spans__joined_common_and_without__are_sets_of_minutes(one: Spans, other: Spans) -> None:
    left, right = joined(one), joined(other)

    assert _set(left) == _set(one)
    assert _set(common(left, right)) == _set(one) & _set(other)
    assert _set(without(left, right)) == _set(one) - _set(other)
    assert length(left) == len(_set(one))


@pytest.mark.parametrize(
    ("good", "total", "bad"), [(95, 100, False), (94, 100, True), (0, 1, True), (1, 1, False), (19, 20, False)]
)
def test_is_bad__at_the_limit__asks_for_more_than_the_share(good: int, total: int, bad: bool) -> None:
    assert is_bad(good, total, Decimal("0.05")) is bad


def test_down_runs__shorter_than_asked__are_not_down() -> None:
    assert down_runs([(0, 4), (4, 5), (10, 14)], 5) == [(0, 5)]


@pytest.mark.parametrize(
    ("policy", "bad", "left_out"),
    [
        ("good", [(10, 20)], []),
        ("ignore", [(10, 20)], [(0, 5), (20, 30), (40, 60)]),
        ("bad", [(0, 5), (10, 30), (40, 60)], []),
        ("hold", [(10, 30)], [(0, 5)]),
    ],
)
def test_with_missing__by_policy__decides_on_minutes_without_data(policy: str, bad: Spans, left_out: Spans) -> None:
    measured = [(5, 20), (30, 40)]

    assert with_missing([(10, 20)], measured, (0, 60), policy) == (bad, left_out)


def test_judged__excluded__is_taken_out_of_both() -> None:
    found = judged([(10, 20), (50, 55)], [(90, 100)], [(15, 30), (85, 95)], (0, 100))

    assert (found.raw_total, found.raw_down, found.total, found.down, found.unmeasured) == (90, 15, 70, 10, 10)
