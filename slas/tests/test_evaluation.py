"""Budgets, burn rates and factors against published figures, and the guard against scipy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from core.errors import Invalid
from slas import evaluation
from slas.choices import CompositeKind, WhenDelayed
from slas.evaluation import Caution, Level, Pair, Part
from slas.terms import Terms, default_pairs, from_values

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
T999 = Decimal("0.999")


@pytest.mark.parametrize(
    ("days", "factors"),
    [
        (30, ["14.4", "6", "3", "1"]),
        (28, ["13.44", "5.6", "2.8", "14/15"]),
        (7, ["13.44", "3.5", "1.4", "0.98"]),
        (90, ["14.4", "6", "3", "1"]),
    ],
)
def test_factors__of_the_usual_periods__are_the_published_ones(days: int, factors: list[str]) -> None:
    pairs = default_pairs(T999, timedelta(days=days))

    assert [pair.factor for pair in pairs] == [Fraction(text) for text in factors]
    assert [(pair.long, pair.short) for pair in pairs] == [
        (HOUR, HOUR / 12), (6 * HOUR, HOUR / 2), (DAY, 2 * HOUR), (3 * DAY, 6 * HOUR),
    ]  # fmt: skip


def test_factor__of_two_percent_in_90_days__is_43_2() -> None:
    assert evaluation.factor(Decimal("0.02"), 90 * DAY, HOUR) == Fraction("43.2")


def test_budget__of_30_days_at_three_nines__is_43_minutes_and_12_seconds() -> None:
    assert evaluation.budget_events(T999, 30 * 24 * 60) == Fraction("43.2")


def test_consumed__of_1300_bad_in_a_million__is_exactly_1_3() -> None:
    level = Level.of(998_700, 1_000_000)

    assert evaluation.consumed(level, T999) == Fraction("1.3")
    assert evaluation.remaining(level, T999) == Fraction("-0.3")


def test_level__without_events__has_no_ratio_and_burns_nothing() -> None:
    level = Level.of(0, 0)

    assert level.sli is None
    assert evaluation.consumed(level, T999) is None
    assert evaluation.burn(level, T999) is None
    assert not evaluation.exceeds(level, T999, Fraction(1))


def test_exceeds__just_above_and_at_the_factor__is_decided_without_rounding() -> None:
    at, above = Level.of(985_600, 1_000_000), Level.of(985_599, 1_000_000)

    assert not evaluation.exceeds(at, T999, Fraction("14.4"))
    assert evaluation.exceeds(above, T999, Fraction("14.4"))


@pytest.mark.parametrize(("target", "possible"), [("0.9306", True), ("0.93055", False), ("0.90", False)])
def test_can_fire__factor_14_4__needs_more_than_93_06_percent(target: str, possible: bool) -> None:
    assert evaluation.can_fire(Decimal(target), Fraction("14.4")) is possible


def test_default_pairs__of_a_low_target__fall_back_to_what_can_be_reached() -> None:
    pairs = default_pairs(Decimal("0.9"), 30 * DAY)

    assert [pair.factor for pair in pairs] == [Fraction(8), Fraction(6), Fraction(3), Fraction(1)]


def test_terms__with_a_factor_that_can_never_fire__are_refused_with_what_can() -> None:
    values = {
        "target": "0.9", "window": "rolling", "window_days": 30, "calendar_unit": "", "time_zone": "UTC",
        "budgeting": "occurrences", "composite": "",
        "alerting": {"pairs": [{"long_minutes": 60, "factor": "14.4", "severity": "critical"}]},
    }  # fmt: skip

    with pytest.raises(Invalid, match=r"14\.4 can never be exceeded.* burn is 10; take at most 8") as refused:
        from_values(values)

    assert refused.value.errors[0].pointer == "/alerting/pairs/0"


def test_guard__of_three_bad_events__holds_back_one_failure_of_ten_requests() -> None:
    pair = Pair(HOUR, HOUR / 12, Fraction("14.4"), "critical")

    assert not evaluation.fires(pair, Level.of(8, 10), Level.of(0, 1), T999, Caution())
    assert evaluation.fires(pair, Level.of(7, 10), Level.of(0, 1), T999, Caution())
    assert evaluation.fires(pair, Level.of(9, 10), Level.of(0, 1), T999, Caution("none"))


@pytest.mark.parametrize(
    ("bad", "total", "chance"),
    [(1, 10, "0.0144"), (2, 10, "0.0144"), (3, 240, "0.006"), (40, 3000, "0.01"), (7, 7, "0.5")],
)
def test_binomial_tail__agrees_with_scipy(bad: int, total: int, chance: str) -> None:
    from scipy.stats import binom

    assert float(evaluation.binomial_tail(bad, total, Fraction(chance))) == pytest.approx(
        float(binom.sf(bad - 1, total, float(chance))), rel=1e-9
    )


def test_guard__exact__asks_for_two_of_ten_where_one_may_be_chance() -> None:
    caution = Caution("auto")

    assert not evaluation.enough(Level.of(9, 10), T999, Fraction("14.4"), caution)
    assert evaluation.enough(Level.of(8, 10), T999, Fraction("14.4"), caution)


def test_exhausted_in__half_a_budget_at_twice_the_pace__lasts_a_quarter_of_the_period() -> None:
    assert evaluation.exhausted_in(Fraction(1, 2), 30 * DAY, Fraction(2)) == timedelta(days=7.5)
    assert evaluation.exhausted_in(Fraction(-1, 2), 30 * DAY, Fraction(2)) == timedelta(0)
    assert evaluation.exhausted_in(Fraction(1, 2), 30 * DAY, None) is None


@pytest.mark.parametrize(
    ("kind", "sli"),
    [(CompositeKind.WEIGHTED, "0.975"), (CompositeKind.WORST, "0.9"), (CompositeKind.SERIAL, "0.9")],
)
def test_composite__of_a_perfect_and_a_failing_part__is(kind: str, sli: str) -> None:
    parts = [Part(Fraction(3), Level.of(10, 10)), Part(Fraction(1), Level.of(9, 10))]

    assert evaluation.combined(kind, parts).sli == Fraction(sli)


@pytest.mark.parametrize(
    ("delayed", "sli"),
    [
        (WhenDelayed.GOOD, Fraction(95, 100)),
        (WhenDelayed.BAD, Fraction(45, 100)),
        (WhenDelayed.IGNORE, Fraction(9, 10)),
    ],
)
def test_composite__with_a_part_that_has_no_data__does_as_it_is_told(delayed: str, sli: Fraction) -> None:
    parts = [Part(Fraction(1), Level.of(9, 10)), Part(Fraction(1), Level.of(0, 0), delayed)]

    assert evaluation.combined(CompositeKind.WEIGHTED, parts).sli == sli


def test_composite__of_parts_without_data__has_none() -> None:
    assert evaluation.combined(CompositeKind.WORST, [Part(Fraction(1), Level.of(0, 0))]).sli is None


def test_calendar_budget__at_the_beginning_of_the_period__is_whole() -> None:
    terms = Terms(T999, "calendar", None, "month", "Europe/Paris")
    begin = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)

    assert terms.elapsed(begin) == Fraction(3600, 31 * 86_400 - 3600)
    assert evaluation.consumed(Level.of(0, 1), T999, elapsed=Fraction(1, 1000)) == 1
