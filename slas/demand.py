"""What the coming days are expected to bring, and how well that would have worked: pure arithmetic, without Django.

Two methods. Seasonal naive: each day is as its weekday was last week. Seasonal with trend: each day is its weekday's
mean share of the week times the level, growing by Theil and Sen's slope. Both are tried on the past by a rolling origin
(Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, 5.10): from each origin forecast, then
compare. The measure is the mean absolute scaled error (Hyndman and Koehler, 2006), the scale being the seasonal naive
error of one week ahead within the history; below 1 a method beats that. The trend is shown only when it did better than
seasonal naive on the same origins. The range is the 80th percentile of the errors made at that distance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean
from typing import Literal

SEASON = 7
HORIZON = 14
# Four weeks to learn from, and two horizons to try it on.
LEAST_DAYS = 4 * SEASON + HORIZON
ORIGINS = 8
COVERAGE = 0.8

Method = Literal["seasonal_naive", "seasonal_trend"]
Forecaster = Callable[[Sequence[float], int], list[float]]


@dataclass(frozen=True, slots=True)
class DemandDay:
    """One day to come: what is expected, and the range that four of five past forecasts fell in."""

    day: date
    expected: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BackTest:
    """How one method did on the past: its scaled error, and its mean absolute error in the unit of the values."""

    method: Method
    mase: float | None
    mean_absolute_error: float
    origins: int


@dataclass(frozen=True, slots=True)
class Demand:
    """A forecast of the next 14 days by the better method, with the back-test of both."""

    method: Method
    days: tuple[DemandDay, ...]
    back_tests: tuple[BackTest, ...]


def forecast(daily: Mapping[date, float]) -> Demand | None:
    """Return the forecast after the last day of an unbroken history; None with fewer than six weeks of it."""
    days = _unbroken(daily)
    if len(days) < LEAST_DAYS:
        return None
    history = [daily[day] for day in days]
    errors = {method: _errors(forecaster, history) for method, forecaster in _METHODS.items()}
    scale = fmean(abs(after - before) for before, after in zip(history, history[SEASON:], strict=False))
    back_tests = tuple(_back_test(method, found, scale) for method, found in errors.items())
    best = min(back_tests, key=lambda test: test.mean_absolute_error).method
    expected = _METHODS[best](history, HORIZON)
    return Demand(best, tuple(_ranges(days[-1], expected, errors[best])), back_tests)


def _unbroken(daily: Mapping[date, float]) -> list[date]:
    """Return the days up to the last one that follow each other without a gap."""
    found: list[date] = []
    day = max(daily, default=None)
    while day is not None and day in daily:
        found.append(day)
        day -= timedelta(days=1)
    return found[::-1]


def _seasonal_naive(history: Sequence[float], horizon: int) -> list[float]:
    week = history[-SEASON:]
    return [week[step % SEASON] for step in range(horizon)]


def _seasonal_trend(history: Sequence[float], horizon: int) -> list[float]:
    """Return the weekday's share of a mean day, times the mean of the last week grown by the slope of weekly means."""
    from scipy.stats import theilslopes  # a second of start-up that only this needs

    weeks = len(history) // SEASON
    recent = list(history[-weeks * SEASON :])
    means = [fmean(recent[week * SEASON : (week + 1) * SEASON]) for week in range(weeks)]
    slope = float(theilslopes(means[-8:])[0]) / SEASON
    shares = [_share(recent, means, weekday) for weekday in range(SEASON)]
    # The mean of the last week stands for its middle day.
    level = means[-1] + slope * (SEASON - 1) / 2
    return [(level + slope * (step + 1)) * shares[step % SEASON] for step in range(horizon)]


def _share(recent: Sequence[float], means: Sequence[float], weekday: int) -> float:
    known = [recent[week * SEASON + weekday] / mean for week, mean in enumerate(means) if mean]
    return fmean(known) if known else 1.0


_METHODS: dict[Method, Forecaster] = {"seasonal_naive": _seasonal_naive, "seasonal_trend": _seasonal_trend}


def _errors(forecaster: Forecaster, history: Sequence[float]) -> list[list[float]]:
    """Return the absolute errors by distance (0 is the next day) of forecasts from the last origins."""
    latest = len(history) - HORIZON
    origins = range(max(4 * SEASON, latest - ORIGINS + 1), latest + 1)
    rows = [
        [
            abs(expected - actual)
            for expected, actual in zip(
                forecaster(history[:origin], HORIZON), history[origin : origin + HORIZON], strict=True
            )
        ]
        for origin in origins
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def _back_test(method: Method, errors: Sequence[Sequence[float]], scale: float) -> BackTest:
    error = fmean(value for column in errors for value in column)
    return BackTest(method, error / scale if scale else None, error, len(errors[0]))


def _ranges(last: date, expected: Sequence[float], errors: Sequence[Sequence[float]]) -> list[DemandDay]:
    found, widest = [], 0.0
    for step, (value, column) in enumerate(zip(expected, errors, strict=True)):
        # Farther away is never surer, whatever a short back-test says.
        widest = max(widest, sorted(column)[min(len(column) - 1, int(COVERAGE * len(column)))])
        found.append(DemandDay(last + timedelta(days=step + 1), value, value - widest, value + widest))
    return found
