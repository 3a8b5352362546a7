"""Error budgets and burn rates: exact, with no float and no division where something is decided. No database.

Formulas after "The Site Reliability Workbook" (Beyer et al., 2018, chapter 5): the error budget is E = 1 − target,
burn = (bad / total) / E, and an alert on a share c of the budget of a period P seen over a window L has the factor
f = c·P/L. Numbers are integers, Decimals from the database, or Fractions of them; None means that there is no data.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from slas.choices import CompositeKind, WhenDelayed

Rational = int | Fraction
Severity = Literal["critical", "high", "medium", "low", "info"]
Guard = Literal["none", "min_bad", "exact", "auto"]

HIGHEST_SHARE_OF_POSSIBLE_BURN = Fraction(8, 10)
FEW_EXPECTED = 5
_PRECISE = decimal.Context(prec=50)


@dataclass(frozen=True, slots=True)
class Level:
    """What a window held: the bad part of the whole, and how many events stand behind it.

    For a plain objective `bad` and `total` are its events (or slices); for a composite its error ratio of 1.
    """

    bad: Rational
    total: Rational
    bad_events: int
    events: int

    @classmethod
    def of(cls, good: int, total: int) -> Level:
        """Return the level of good events of all events."""
        return cls(total - good, total, total - good, total)

    @property
    def sli(self) -> Fraction | None:
        """The share that was good; None without data, never 1."""
        return None if self.total <= 0 else 1 - Fraction(self.bad) / Fraction(self.total)


NO_DATA = Level(0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two windows that both have to burn faster than `factor`: the long one to matter, the short one to last."""

    long: timedelta
    short: timedelta
    factor: Fraction
    severity: Severity


@dataclass(frozen=True, slots=True)
class Caution:
    """How little traffic may speak: at least `min_bad` bad events, or (`exact`) less than `alpha` likely by chance.

    `auto` asks for exactness where fewer than five bad events are expected at the threshold, and for `min_bad` else.
    """

    guard: Guard = "min_bad"
    min_bad: int = 3
    alpha: Decimal = Decimal("0.01")


def allowed_share(target: Decimal | Fraction) -> Fraction:
    """Return E, the share that may be bad."""
    return 1 - Fraction(target)


def budget_events(target: Decimal | Fraction, total: Rational) -> Fraction:
    """Return how many of `total` events may be bad."""
    return allowed_share(target) * total


def consumed(level: Level, target: Decimal | Fraction, *, elapsed: Fraction = Fraction(1)) -> Fraction | None:
    """Return which share of the error budget is used up; more than 1 when it is exhausted, None without data.

    `elapsed` is the share of a calendar period that has passed: its budget is that of the events expected in all of it
    (those so far, continued), so a period begins with all of its budget.
    """
    if level.total <= 0:
        return None
    return Fraction(level.bad) * elapsed / (allowed_share(target) * level.total)


def remaining(level: Level, target: Decimal | Fraction, *, elapsed: Fraction = Fraction(1)) -> Fraction | None:
    """Return what is left of the error budget, negative when more was used than there was; None without data."""
    used = consumed(level, target, elapsed=elapsed)
    return None if used is None else 1 - used


def burn(level: Level, target: Decimal | Fraction) -> Fraction | None:
    """Return how many times faster than just sustainable the budget burns; None without data."""
    return consumed(level, target)


def exceeds(level: Level, target: Decimal | Fraction, factor: Fraction) -> bool:
    """Say whether the budget burns faster than `factor`, by multiplication alone; False without data."""
    share = allowed_share(target) * factor
    return level.bad * share.denominator > share.numerator * level.total


def factor(share: Decimal | Fraction, period: timedelta, long: timedelta) -> Fraction:
    """Return f = c·P/L: the burn rate that uses up the share c of a period's budget within the window L."""
    return Fraction(share) * Fraction(_seconds(period), _seconds(long))


def can_fire(target: Decimal | Fraction, wanted: Fraction) -> bool:
    """Say whether the burn can ever exceed a factor: with everything bad it is 1/E and no more."""
    return wanted * allowed_share(target) < 1


def highest_factor(target: Decimal | Fraction) -> Fraction:
    """Return 0.8/E: the factor to fall back on where the wanted one can never fire."""
    return HIGHEST_SHARE_OF_POSSIBLE_BURN / allowed_share(target)


def enough(level: Level, target: Decimal | Fraction, wanted: Fraction, caution: Caution) -> bool:
    """Say whether there are enough bad events to believe that the burn exceeds the factor."""
    if caution.guard == "none":
        return True
    chance = wanted * allowed_share(target)
    few = level.events * chance < FEW_EXPECTED
    if caution.guard == "exact" or (caution.guard == "auto" and few):
        return binomial_tail(level.bad_events, level.events, chance) < caution.alpha
    return level.bad_events >= caution.min_bad


def fires(pair: Pair, long: Level, short: Level, target: Decimal | Fraction, caution: Caution) -> bool:
    """Say whether both windows of a pair burn faster than its factor, with enough events behind the long one."""
    return (
        exceeds(long, target, pair.factor)
        and exceeds(short, target, pair.factor)
        and enough(long, target, pair.factor, caution)
    )


def binomial_tail(bad: int, total: int, chance: Fraction) -> Decimal:
    """Return P(X ≥ bad) of `total` independent events that are each bad with `chance`, to 40 digits or so."""
    if bad <= 0:
        return Decimal(1)
    if bad > total or chance <= 0:
        return Decimal(0)
    if chance >= 1:
        return Decimal(1)
    with decimal.localcontext(_PRECISE):
        p = Decimal(chance.numerator) / Decimal(chance.denominator)
        term, below = (1 - p) ** total, Decimal(0)
        for i in range(bad):
            below += term
            term = term * (total - i) / (i + 1) * p / (1 - p)
            if term == 0 or (i > total * p and term < below.scaleb(-45)):
                break
        return max(Decimal(0), 1 - below)


def exhausted_in(left: Fraction | None, period: timedelta, rate: Fraction | None) -> timedelta | None:
    """Return how long the budget lasts at the present burn: remaining·P/burn; None when it does not run out.

    For a rolling window this leaves out that old errors leave the window, so it is on the early side.
    """
    if left is None or rate is None or rate <= 0:
        return None
    if left <= 0:
        return timedelta(0)
    seconds = left * _seconds(period) / rate
    return timedelta(seconds=int(seconds)) if seconds < 10 * 366 * 86_400 else None


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a composite in a window."""

    weight: Fraction
    level: Level
    when_delayed: str = WhenDelayed.IGNORE


def combined(kind: str, parts: Iterable[Part]) -> Level:
    """Return the level of a composite: error ratio 1 − Σw(1−s)/Σw weighted, the worst part's, or 1 − Π s in series.

    A part without data counts as good, as bad, or not at all, as it says; a composite of nothing has no data.
    """
    known: list[tuple[Fraction, Fraction]] = []
    bad_events = events = 0
    for part in parts:
        share = part.level.sli
        if share is None and part.when_delayed == WhenDelayed.IGNORE:
            continue
        if share is None:
            share = Fraction(part.when_delayed == WhenDelayed.GOOD)
        known.append((part.weight, share))
        bad_events += part.level.bad_events
        events += part.level.events
    if not known:
        return NO_DATA
    return Level(_error(kind, known), 1, bad_events, events)


def _error(kind: str, parts: Sequence[tuple[Fraction, Fraction]]) -> Fraction:
    if kind == CompositeKind.WORST:
        return 1 - min(share for _, share in parts)
    if kind == CompositeKind.SERIAL:
        product = Fraction(1)
        for _, share in parts:
            product *= share
        return 1 - product
    if kind == CompositeKind.WEIGHTED:
        weights = sum((weight for weight, _ in parts), Fraction(0))
        return sum((weight * (1 - share) for weight, share in parts), Fraction(0)) / weights
    raise ValueError(f"no such composite: {kind!r}")


def _seconds(length: timedelta) -> int:
    return length.days * 86_400 + length.seconds
