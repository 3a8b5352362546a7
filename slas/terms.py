"""The terms of an objective: what is promised over which window, and when somebody is told. No database.

Terms are frozen in revisions as JSON; whatever is evaluated is evaluated by the terms of its time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from core.errors import FieldError, Invalid
from core.windows import Window
from slas.choices import Budgeting, WindowKind
from slas.evaluation import Caution, Pair, can_fire, factor, highest_factor
from slas.periods import calendar, elapsed_share, trailing

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
ETA_WINDOW = 6 * HOUR
LENGTHS = {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "quarter": 91 * DAY, "year": 365 * DAY}
"""Nominal lengths of calendar periods, from which factors follow; the periods themselves have their true lengths."""

WINDOWS = ((HOUR, "critical"), (6 * HOUR, "critical"), (DAY, "medium"), (3 * DAY, "medium"))
SHARES = (Fraction(2, 100), Fraction(5, 100), Fraction(10, 100), Fraction(10, 100))
SHORT_SHARES = (Fraction(8, 100), Fraction(125, 1000), Fraction(20, 100), Fraction(42, 100))
FACTORS = (Fraction(144, 10), Fraction(6), Fraction(3), Fraction(1))
SHORT_PERIOD, LONG_PERIOD = 14 * DAY, 60 * DAY
SEVERITIES = frozenset({"critical", "high", "medium", "low", "info"})
GUARDS = frozenset({"none", "min_bad", "exact", "auto"})
MOST_PAIRS = 8
FIELDS = ("target", "window", "window_days", "calendar_unit", "time_zone", "budgeting", "composite", "alerting")


@dataclass(frozen=True, slots=True)
class Terms:
    """What an objective promises, and when its burning is worth telling."""

    target: Decimal
    window: str = WindowKind.ROLLING
    window_days: int | None = 30
    calendar_unit: str = ""
    time_zone: str = "UTC"
    budgeting: str = Budgeting.OCCURRENCES
    composite: str = ""
    pairs: tuple[Pair, ...] = ()
    caution: Caution = field(default_factory=Caution)

    @property
    def length(self) -> timedelta:
        """The (nominal) length of the window."""
        return (
            timedelta(days=self.window_days or 0) if self.window == WindowKind.ROLLING else LENGTHS[self.calendar_unit]
        )

    def period(self, as_of: datetime) -> Window:
        """Return the whole window that is judged at an instant; a calendar period lasts beyond it."""
        if self.window == WindowKind.ROLLING:
            return trailing(as_of, self.length)
        return calendar(self.calendar_unit, as_of - timedelta(seconds=1), self.time_zone)

    def elapsed(self, as_of: datetime) -> Fraction:
        """Return which share of the window has passed: all of a rolling one."""
        return Fraction(*elapsed_share(self.period(as_of), as_of))


def default_pairs(target: Decimal, length: timedelta) -> tuple[Pair, ...]:
    """Return the four usual pairs of windows for a period: short window a twelfth of the long one.

    2 and 5 % of the budget page, 10 and 10 % make a ticket (30 days: factors 14.4, 6, 3, 1). Periods under two weeks
    take larger shares, those of more than two months keep the factors of 30 days. A factor that could never fire, for
    the target is low, becomes 0.8 of the highest burn there can be.
    """
    found = []
    for number, (long, severity) in enumerate(WINDOWS):
        if length > LONG_PERIOD:
            wanted = FACTORS[number]
        else:
            wanted = factor((SHORT_SHARES if length < SHORT_PERIOD else SHARES)[number], length, long)
        found.append(Pair(long, long / 12, min(wanted, _reachable(target, wanted)), severity))  # type: ignore[arg-type]  # one of the severities
    return tuple(pair for pair in found if pair.long < length)


def _reachable(target: Decimal, wanted: Fraction) -> Fraction:
    return wanted if can_fire(target, wanted) else highest_factor(target)


def from_values(values: Mapping[str, Any]) -> Terms:
    """Return the terms of a row's or a revision's values; raises Invalid that points at what is wrong in `alerting`."""
    target = Decimal(str(values["target"]))
    plain = {name: values[name] for name in FIELDS if name not in {"target", "alerting"}}
    bare = Terms(target, **plain)
    alerting = values.get("alerting") or {}
    return Terms(target, **plain, pairs=_pairs(alerting, bare), caution=_caution(alerting))


def to_values(row: Any) -> dict[str, Any]:
    """Return the terms of an objective's row as JSON values, as a revision keeps them."""
    return {name: str(row.target) if name == "target" else getattr(row, name) for name in FIELDS}


def _pairs(alerting: Mapping[str, Any], bare: Terms) -> tuple[Pair, ...]:
    given = alerting.get("pairs")
    if given is None:
        return default_pairs(bare.target, bare.length)
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) > MOST_PAIRS:
        raise _invalid("/alerting/pairs", f"pairs are a list of at most {MOST_PAIRS}")
    return tuple(_pair(item, bare, f"/alerting/pairs/{number}") for number, item in enumerate(given))


def _pair(item: Any, bare: Terms, pointer: str) -> Pair:
    if not isinstance(item, Mapping):
        raise _invalid(pointer, "a pair has long_minutes, share (or factor) and severity")
    long, short = _minutes(item, "long_minutes", pointer), item.get("short_minutes")
    severity = item.get("severity", "critical")
    if severity not in SEVERITIES:
        raise _invalid(f"{pointer}/severity", f"a severity is one of {', '.join(sorted(SEVERITIES))}")
    wanted = (
        Fraction(_number(item, "factor", pointer))
        if "factor" in item
        else factor(_number(item, "share", pointer), bare.length, long)
    )
    if not can_fire(bare.target, wanted):
        most = 1 / (1 - Fraction(bare.target))
        raise _invalid(
            pointer,
            f"the factor {float(wanted):g} can never be exceeded: with everything failing the burn is {float(most):g};"
            f" take at most {float(highest_factor(bare.target)):g}",
        )
    return Pair(long, long / 12 if short is None else _minutes(item, "short_minutes", pointer), wanted, severity)


def _caution(alerting: Mapping[str, Any]) -> Caution:
    guard, min_bad = alerting.get("guard", "min_bad"), alerting.get("min_bad", 3)
    if guard not in GUARDS:
        raise _invalid("/alerting/guard", f"a guard is one of {', '.join(sorted(GUARDS))}")
    if not isinstance(min_bad, int) or isinstance(min_bad, bool) or not 1 <= min_bad <= 1_000_000:
        raise _invalid("/alerting/min_bad", "min_bad is a whole number from 1 to 1,000,000")
    return Caution(guard, min_bad, _number(alerting, "alpha", "/alerting") if "alpha" in alerting else Caution().alpha)


def _minutes(item: Mapping[str, Any], name: str, pointer: str) -> timedelta:
    value = item.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 31 * 1440:
        raise _invalid(f"{pointer}/{name}", "a window is a whole number of minutes, at most 31 days")
    return timedelta(minutes=value)


def _number(item: Mapping[str, Any], name: str, pointer: str) -> Decimal:
    try:
        value = Decimal(str(item[name]))
    except (KeyError, InvalidOperation):
        raise _invalid(f"{pointer}/{name}", "give a decimal number") from None
    if not value.is_finite() or value <= 0:
        raise _invalid(f"{pointer}/{name}", "give a number above 0")
    return value


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_alerting", errors=[FieldError(pointer, "invalid_alerting", detail)])
