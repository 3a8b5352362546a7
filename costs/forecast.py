"""What a period is expected to cost by its end, from the days before: pure arithmetic, without Django.

Expected total = spent so far + the rest of today + the whole days that are left, each at the mean of its weekday over
the last 28 complete days (a seasonal mean of period 7; Hyndman and Athanasopoulos, Forecasting: Principles and
Practice, 3rd edition, 5.2). Days before the first spend are not zeros, they are unknown.

The range is a prediction interval of nominal 80 %. With s² the pooled variance around the weekday means (n - 7 degrees
of freedom), m_w days of weekday w left and k_w of them seen, the variance of the total is s² Σ (m_w + m_w² / k_w): the
noise of the days to come, and the error of the means they are expected at. Its half width is Student's t times the
square root of that. Fewer than 14 days give the plain mean instead (m + m² / n, n - 1 degrees of freedom); no complete
day at all gives the rate of the period so far, from `RUN_RATE_AFTER` on.

Days that drift or jump are not covered at the nominal rate; the tests state the coverage reached on synthetic series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Literal
from zoneinfo import ZoneInfo

from core.money import CONTEXT, ZERO
from core.windows import Window, midnight

HISTORY_DAYS = 28
WEEKDAY_PROFILE_FROM_DAYS = 14
RUN_RATE_AFTER = timedelta(hours=1)
COVERAGE = Decimal("0.80")
# An estimate does not pretend to twelve digits.
PLACES = Decimal("0.000001")

Method = Literal["weekday_profile", "daily_mean", "run_rate", "complete"]

# Student's t, 90th percentile, by degrees of freedom; beyond 30 the normal distribution's.
STUDENT_T_90 = (
    "3.078", "1.886", "1.638", "1.533", "1.476", "1.440", "1.415", "1.397", "1.383", "1.372",
    "1.363", "1.356", "1.350", "1.345", "1.341", "1.337", "1.333", "1.330", "1.328", "1.325",
    "1.323", "1.321", "1.319", "1.318", "1.316", "1.315", "1.314", "1.313", "1.311", "1.310",
)  # fmt: skip
NORMAL_90 = "1.282"


@dataclass(frozen=True, slots=True)
class Forecast:
    """The expected total of the period and the range it falls in four times out of five, when the days stay alike."""

    expected: Decimal
    low: Decimal
    high: Decimal
    method: Method
    history_days: int


@dataclass(frozen=True, slots=True)
class _Profile:
    """What a day costs by weekday, how much days scatter around that, and how many were seen."""

    mean: Callable[[int], Fraction]
    seen: Callable[[int], int]
    variance: Fraction
    freedom: int
    method: Method


def forecast_total(
    daily: Mapping[date, Decimal], *, spent: Decimal, period: Window, now: datetime, zone: ZoneInfo
) -> Forecast | None:
    """Return what the period is expected to end at; None without any spend to go by.

    `daily` holds the complete days before today that had spend, in `zone`; a day missing between them had none.
    """
    days = _complete(daily, now.astimezone(zone).date())
    if now >= period.end:
        return Forecast(spent, spent, spent, "complete", len(days))
    profile = _profile(days)
    if profile is None:
        return _run_rate(spent, period, now)
    left = _days_left(period, now, zone)
    rest = sum((amount * profile.mean(weekday) for weekday, amount in left.items()), Fraction())
    half = _half_width(profile, left)
    return Forecast(
        expected=_amount(spent + _decimal(rest)),
        # What is spent is spent, unless credits are expected as a rule.
        low=_amount(spent + min(_decimal(rest), max(ZERO, _decimal(rest) - half))),
        high=_amount(spent + _decimal(rest) + half),
        method=profile.method,
        history_days=len(days),
    )


def _complete(daily: Mapping[date, Decimal], today: date) -> dict[date, Decimal]:
    """Return the days from the first one with spend to yesterday, 28 at most, zeros filled in."""
    earliest = today - timedelta(days=HISTORY_DAYS)
    known = [day for day in daily if earliest <= day < today]
    if not known:
        return {}
    first = min(known)
    return {day: daily.get(day, ZERO) for day in (first + timedelta(days=step) for step in range((today - first).days))}


def _profile(days: Mapping[date, Decimal]) -> _Profile | None:
    if not days:
        return None
    by_weekday = len(days) >= WEEKDAY_PROFILE_FROM_DAYS
    groups: dict[int, list[Fraction]] = {}
    for day, amount in days.items():
        groups.setdefault(day.isoweekday() if by_weekday else 0, []).append(Fraction(amount))
    means = {group: sum(values, Fraction()) / len(values) for group, values in groups.items()}
    squares = sum(((value - means[group]) ** 2 for group, values in groups.items() for value in values), Fraction())
    freedom = len(days) - len(groups)
    return _Profile(
        mean=lambda weekday: means[weekday if by_weekday else 0],
        seen=lambda weekday: len(groups[weekday if by_weekday else 0]),
        # One day says nothing of how days scatter: as much again, either way, is the honest guess.
        variance=squares / freedom if freedom else means[0] ** 2,
        freedom=max(freedom, 1),
        method="weekday_profile" if by_weekday else "daily_mean",
    )


def _days_left(period: Window, now: datetime, zone: ZoneInfo) -> dict[int, Fraction]:
    """Return how many days of each weekday are left, the rest of today as a part of one."""
    parts: dict[int, Fraction] = {}
    day = now.astimezone(zone).date()
    while (start := midnight(day, zone)) < period.end:
        end = midnight(day + timedelta(days=1), zone)
        counted = Window(max(start, now), min(end, period.end))
        parts[day.isoweekday()] = parts.get(day.isoweekday(), Fraction()) + _share(counted.length, Window(start, end))
        day += timedelta(days=1)
    return parts


def _share(part: timedelta, whole: Window) -> Fraction:
    return Fraction(part // timedelta(microseconds=1), whole.length // timedelta(microseconds=1))


def _half_width(profile: _Profile, left: Mapping[int, Fraction]) -> Decimal:
    """Return Student's t times the standard error of the rest of the period."""
    spread = Fraction()
    if profile.method == "weekday_profile":
        for weekday, days in left.items():
            spread += days + days**2 / profile.seen(weekday)
    else:
        total = sum(left.values(), Fraction())
        spread = total + total**2 / profile.seen(0)
    quantile = STUDENT_T_90[profile.freedom - 1] if profile.freedom <= len(STUDENT_T_90) else NORMAL_90
    return Decimal(quantile) * _decimal(profile.variance * spread).sqrt(CONTEXT)


def _run_rate(spent: Decimal, period: Window, now: datetime) -> Forecast | None:
    """Go on as in the period so far; the range reaches from nothing more to twice as much."""
    elapsed = Window(period.start, now).length
    if elapsed < RUN_RATE_AFTER or spent <= 0:
        return None
    rest = _decimal(Fraction(spent) * _share(Window(now, period.end).length, Window(period.start, now)))
    return Forecast(_amount(spent + rest), _amount(spent), _amount(spent + 2 * rest), "run_rate", 0)


def _decimal(value: Fraction) -> Decimal:
    return CONTEXT.divide(Decimal(value.numerator), Decimal(value.denominator))


def _amount(value: Decimal) -> Decimal:
    return value.quantize(PLACES, rounding=ROUND_HALF_EVEN, context=CONTEXT)
