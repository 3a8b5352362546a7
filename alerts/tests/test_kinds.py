"""How each kind of rule judges: exact figures, hours of the week, and what cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation

from alerts.judging import terms_of
from alerts.kinds import KINDS, Verdict, floor_slot
from alerts.kinds.anomaly import robust_z
from alerts.kinds.base import Fact, Span, combined, fact

A: Fact = (("agent", "a"),)
B: Fact = (("agent", "b"),)
VALUES = st.decimals(min_value=-(10**6), max_value=10**6, places=2)


def _judge(kind: str, parameters: Mapping[str, object], *answers: Mapping[Fact, object]) -> dict[Fact, Verdict]:
    terms = terms_of(kind, parameters)
    exact = [{labels: Decimal(str(value)) for labels, value in answer.items()} for answer in answers]
    assert terms.kind.judge is not None
    assert len(exact) == len(terms.kind.asks(terms.parameters))
    return {verdict.labels: verdict for verdict in terms.kind.judge(terms.parameters, exact)}


def _mistakes(kind: str, parameters: Mapping[str, object]) -> list[str]:
    terms = terms_of(kind, parameters)
    return [error.pointer for error in terms.kind.mistakes(terms.parameters)]


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [(">", [False, True]), (">=", [True, True]), ("<", [False, False]), ("==", [True, False]), ("!=", [False, True])],
)
def test_threshold__at_and_just_above_it__is_compared_exactly(comparison: str, expected: list[bool]) -> None:
    parameters = {"metric": "m", "comparison": comparison, "threshold": "0.3"}

    found = _judge("threshold", parameters, {A: "0.3", B: "0.300000000001"})

    assert [found[A].active, found[B].active] == expected


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, min_size=1), VALUES)
def test_threshold__any_values__fires_exactly_for_those_above(values: dict[str, Decimal], limit: Decimal) -> None:
    parameters = {"metric": "m", "comparison": ">", "threshold": str(limit)}

    found = _judge("threshold", parameters, {fact({"agent": name}): value for name, value in values.items()})

    assert {dict(labels)["agent"] for labels, one in found.items() if one.active} == {
        name for name, value in values.items() if value > limit
    }


@pytest.mark.parametrize(("how", "expected"), [("sum", 6), ("max", 4), ("min", 2), ("avg", 3)])
def test_selection__by_a_label__combines_the_others(how: Any, expected: int) -> None:
    answer = {fact({"team": "x", "agent": name}): Decimal(value) for name, value in (("a", 2), ("b", 4))}

    assert combined(answer, ["team"], how, {}) == {(("team", "x"),): Decimal(expected)}


def test_selection__label_set_without_the_label__belongs_to_no_group() -> None:
    assert combined({A: Decimal(1)}, ["team"], "sum", {}) == {}


def test_absence__no_value__is_wrong_and_any_value_is_right() -> None:
    parameters = {"metric": "m", "labels": {"agent": "a"}}

    assert (_judge("absence", parameters, {})[A].active, _judge("absence", parameters, {A: 0})[A].active) == (
        True,
        False,
    )


@pytest.mark.parametrize(
    ("latest", "earlier", "active", "value"),
    [("150", "100", False, "50"), ("151", "100", True, "51"), ("-40", "-100", True, "60"), ("50", "100", False, "-50")],
)
def test_change__in_percent__is_of_the_earlier_value_without_its_sign(
    latest: str, earlier: str, active: bool, value: str
) -> None:
    found = _judge("change", {"metric": "m", "threshold": "50"}, {A: latest}, {A: earlier})

    assert (found[A].active, found[A].value) == (active, Decimal(value))


def test_change__nothing_before_or_zero_before__cannot_be_told() -> None:
    found = _judge("change", {"metric": "m", "threshold": "50"}, {A: 5, B: 5}, {B: 0})

    assert [(found[labels].active, found[labels].note) for labels in (A, B)] == [
        (None, "no value then"),
        (None, "the earlier value is zero: there is no percentage of it"),
    ]


def test_change__both_values_are_small__is_right_whatever_the_change() -> None:
    found = _judge("change", {"metric": "m", "threshold": "50", "minimum": "10"}, {A: 9}, {A: 1})

    assert found[A].active is False


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=30), st.integers(-1000, 1000))
def test_robust_z__past_with_spread__is_the_distance_in_normal_median_deviations(past: list[int], value: int) -> None:
    values = [float(one) for one in past]
    spread = float(median_abs_deviation(values, scale="normal"))
    assume(spread > 0)

    # 0.6745 is the third quartile of the normal distribution, rounded as it was published.
    assert robust_z(float(value), values) == pytest.approx((value - median(values)) / spread, rel=1e-4)


@pytest.mark.parametrize(
    ("past", "value", "expected"),
    [
        ([5.0, 5.0, 5.0], 5.0, 0.0),
        ([5.0, 5.0, 5.0], 6.0, float("inf")),
        ([5.0, 5.0, 5.0], 4.0, float("-inf")),
        # More than half are equal: the mean absolute deviation, 0.8, takes the place of the MAD.
        ([5.0, 5.0, 5.0, 5.0, 9.0], 9.0, 4.0 / (1.253314 * 0.8)),
    ],
)
def test_robust_z__past_without_spread__is_decided(past: list[float], value: float, expected: float) -> None:
    assert robust_z(value, past) == pytest.approx(expected)


def test_anomaly__far_above_this_hour_of_other_weeks__is_wrong_upwards_only() -> None:
    weeks = [{A: value} for value in (10, 11, 9, 10, 12, 8)]

    up = _judge("anomaly", {"metric": "m", "direction": "up"}, {A: 40}, *weeks)
    down = _judge("anomaly", {"metric": "m", "direction": "down"}, {A: 40}, *weeks)

    assert (up[A].active, down[A].active, up[A].note) == (True, False, "usually 10, z 20.2")


def test_anomaly__too_few_weeks_have_a_value__cannot_be_told() -> None:
    found = _judge("anomaly", {"metric": "m"}, {A: 40}, *([{A: 10}] * 3), {}, {}, {})

    assert (found[A].active, found[A].note) == (None, "only 3 of 4 weeks have a value")


def test_anomaly__clocks_changed_between__compares_the_same_hour_of_the_wall_clock() -> None:
    # Paris went to summer time on 29 March 2026: nine o'clock was 8:00 UTC the week before, and is 7:00 UTC after.
    slot = datetime(2026, 4, 1, 7, 0, tzinfo=UTC)

    window = Span(3600, 0, 1, "Europe/Paris").window(slot)

    assert window.end == datetime(2026, 3, 25, 8, 0, tzinfo=UTC)
    assert window.length == timedelta(hours=1)


def test_anomaly__hour_that_the_clocks_skip__is_a_real_hour() -> None:
    # 2:30 on 29 March does not exist in Paris; a week after it the same wall time does.
    slot = datetime(2026, 4, 5, 2, 30, tzinfo=ZoneInfo("Europe/Paris")).astimezone(UTC)

    window = Span(3600, 0, 1, "Europe/Paris").window(slot)

    assert window.end == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_burn_rate__both_windows_burn__is_wrong_and_the_division_is_not_rounded() -> None:
    pair = [{"long_seconds": 3600, "short_seconds": 300, "factor": "14.4"}]
    parameters = {"bad": "b", "total": "t", "objective": "0.999", "pairs": pair}

    # 14.4 × 0.001 × 10,000 = 144: exactly the limit is not above it.
    at = _judge("burn_rate", parameters, {A: 144}, {A: 10_000}, {A: 144}, {A: 10_000})
    above = _judge("burn_rate", parameters, {A: 145}, {A: 10_000}, {A: 145}, {A: 10_000})
    over = _judge("burn_rate", parameters, {A: 0}, {A: 800}, {A: 145}, {A: 10_000})

    assert [found[A].active for found in (at, above, over)] == [False, True, False]
    assert above[A].value == Decimal("14.5")


def test_burn_rate__few_bad_events__is_no_trend() -> None:
    pair = [{"long_seconds": 3600, "short_seconds": 300, "factor": "2"}]
    parameters = {"bad": "b", "total": "t", "objective": "0.99", "pairs": pair}

    found = _judge("burn_rate", parameters, {A: 1}, {A: 2}, {A: 2}, {A: 10})

    assert found[A].active is False


def test_burn_rate__factor_that_all_bad_events_would_not_reach__is_a_mistake() -> None:
    # With an objective of 93 % everything bad burns 14.29 times: 14.4 can never fire.
    parameters = {"bad": "b", "total": "t", "objective": "0.93"}

    assert _mistakes("burn_rate", parameters) == ["/pairs/0/factor"]


@pytest.mark.parametrize(("errors", "total", "active"), [(5, 100, False), (6, 100, True), (5, 19, False), (0, 0, None)])
def test_error_rate__share_above_five_percent_of_enough_events__is_wrong(
    errors: int, total: int, active: bool | None
) -> None:
    found = _judge("error_rate", {"errors": "e", "total": "t"}, {A: errors}, {A: total})

    assert found[A].active is active


def test_error_rate__ratio_and_counts__is_a_mistake() -> None:
    assert _mistakes("error_rate", {"errors": "e", "total": "t", "ratio": "r"}) == ["/ratio"]
    assert _mistakes("error_rate", {}) == ["/errors", "/total"]


def test_health__warning_and_failed__are_as_bad_as_the_rule_says() -> None:
    checks = {fact({"check": name}): value for name, value in (("disk", 1), ("database", 2), ("cache", 0))}

    failed = _judge("health", {}, checks)
    warned = _judge("health", {"at_least": "warning", "checks": ["disk"]}, checks)

    assert [dict(labels)["check"] for labels, one in failed.items() if one.active] == ["database"]
    assert [dict(labels)["check"] for labels, one in warned.items() if one.active] == ["disk"]


def test_watchdog__asked_nothing__is_always_wrong() -> None:
    assert _judge("watchdog", {})[()].active is True


@given(st.datetimes(timezones=st.just(UTC)).filter(lambda at: at.year >= 1970), st.integers(10, 86_400))
def test_slot__any_instant_and_interval__is_the_last_whole_multiple(now: datetime, interval: int) -> None:
    slot = floor_slot(now, interval)

    assert timedelta() <= now - slot < timedelta(seconds=interval)
    assert slot.timestamp() % interval == 0


def test_every_kind__its_own_example__is_accepted() -> None:
    for kind in KINDS.values():
        terms = terms_of(kind.name, kind.example)
        assert list(kind.mistakes(terms.parameters)) == [], kind.name
        # Once stored, it is read again as the same.
        assert terms_of(kind.name, terms.stored()) == terms
