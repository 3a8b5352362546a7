"""Correlations as pure functions: half-open windows, order where it is said to matter, nothing old found again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.correlation import Correlation, Event, Selector, find, hourly
from alerts.detection_terms import terms_of
from core.errors import Invalid

START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
A, B = Selector(("a",)), Selector(("b",))


def event(number: int, seconds: float, kind: str = "a", count: int = 1, **fields: str) -> Event:
    return Event(number, START + timedelta(seconds=seconds), kind, {"who": "maria", **fields}, count)


def rule(kind: str = "event_count", **terms: Any) -> Correlation:
    usual: dict[str, Any] = {
        "steps": (A,), "group_by": ("who",), "window": timedelta(seconds=60), "threshold": 3,
    }  # fmt: skip
    return Correlation(kind, **{**usual, **terms})


def amounts(correlation: Correlation, events: list[Event], fresh: set[int] | None = None) -> list[int]:
    return [found.amount for found in find(correlation, events, fresh or {item.id for item in events})]


@pytest.mark.parametrize(("seconds", "found"), [([0, 30, 59.999], [3]), ([0, 30, 60], []), ([60, 0, 30, 59], [3])])
def test_event_count__window__is_half_open_and_order_of_arrival_does_not_matter(
    seconds: list[float], found: list[int]
) -> None:
    events = [event(number, at) for number, at in enumerate(seconds)]

    assert amounts(rule(), events) == found


def test_event_count__without_a_fresh_event__finds_nothing() -> None:
    events = [event(number, number) for number in range(5)]

    assert amounts(rule(), events, fresh={99}) == []
    assert amounts(rule(), events, fresh={0}) == [5]


def test_groups__events_without_a_value__belong_to_none() -> None:
    events = [event(number, number, who="") for number in range(5)] + [event(9, 0, who="paul")]

    assert amounts(rule(), events) == []
    assert amounts(rule(threshold=1), events) == [1]


def test_value_count__the_same_value_again__counts_once() -> None:
    correlation = rule("value_count", field="origin", group_by=(), threshold=2)

    assert amounts(correlation, [event(1, 0, origin="x"), event(2, 1, origin="x"), event(3, 2)]) == []
    assert amounts(correlation, [event(1, 0, origin="x"), event(2, 1, origin="y")]) == [2]


@pytest.mark.parametrize(
    ("kind", "order", "found"),
    [
        ("temporal", "aab", True), ("temporal", "baa", True), ("temporal", "ab", False), ("temporal", "aa", False),
        ("temporal_ordered", "aab", True), ("temporal_ordered", "baa", False), ("temporal_ordered", "aba", False),
        ("temporal_ordered", "abab", True),
    ],
)  # fmt: skip
def test_temporal__steps__in_any_order_or_in_theirs(kind: str, order: str, found: bool) -> None:
    correlation = rule(kind, steps=(Selector(("a",), at_least=2), B), threshold=1)
    events = [event(number, number, letter) for number, letter in enumerate(order)]

    assert bool(find(correlation, events, {len(order) - 1})) is found


def test_new_value__first_ever_and_known_ones__are_not_new_but_forgotten_ones_are() -> None:
    correlation = rule("new_value", field="net", window=timedelta(seconds=100), threshold=1)

    def new(*seen: tuple[float, str]) -> bool:
        events = [event(number, at, net=net) for number, (at, net) in enumerate(seen)]
        return bool(find(correlation, events, {len(seen) - 1}))

    assert not new((0, "home"))
    assert not new((0, "home"), (1, "home"))
    assert new((0, "home"), (1, "abroad"))
    assert not new((0, "abroad"), (99, "home"), (99.5, "abroad"))
    assert new((0, "abroad"), (99, "home"), (101, "abroad"))


def test_hourly__counts_that_rise__are_taken_at_their_highest_per_worker_and_added() -> None:
    events = [
        event(1, 0, count=1, worker="x"), event(2, 10, count=128, worker="x"), event(3, 20, count=5, worker="y"),
        event(4, 3600, count=7, worker="x"),
    ]  # fmt: skip

    assert list(hourly(events).values()) == [133, 7]


@given(
    seconds=st.lists(st.floats(0, 300, allow_nan=False), min_size=1, max_size=30),
    cut=st.integers(0, 30),
    threshold=st.integers(1, 6),
)
def test_event_count__looked_at_in_two_parts__finds_what_one_look_finds(
    seconds: list[float], cut: int, threshold: int
) -> None:
    events = [event(number, at) for number, at in enumerate(seconds)]
    early, late = {item.id for item in events[:cut]}, {item.id for item in events[cut:]}
    correlation = rule(threshold=threshold)

    whole = bool(find(correlation, events, early | late))
    parts = bool(find(correlation, events[:cut], early)) or bool(find(correlation, events, late))

    assert whole == parts


@pytest.mark.parametrize(
    ("kind", "parameters", "pointer"),
    [
        ("guess", {"steps": [{"kinds": ["a"]}]}, "/kind"),
        ("event_count", {"steps": []}, "/parameters"),
        ("event_count", {"steps": [{"kinds": ["a"]}], "colour": "red"}, "/parameters"),
        ("event_count", {"steps": [{"kinds": ["a"]}, {"kinds": ["b"]}]}, "/parameters/steps"),
        ("temporal", {"steps": [{"kinds": ["a"]}]}, "/parameters/steps"),
        ("value_count", {"steps": [{"kinds": ["a"]}]}, "/parameters/field"),
        ("event_count", {"steps": [{"kinds": ["a"]}], "window_seconds": 8 * 86400}, "/parameters/window_seconds"),
        ("baseline", {"steps": [{"kinds": ["a"]}]}, "/parameters/group_by"),
    ],
)
def test_terms__that_make_no_sense__are_refused_at_their_place(kind: str, parameters: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        terms_of(kind, parameters)

    assert refused.value.errors[0].pointer == pointer
