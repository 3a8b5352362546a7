"""When a growing quantity reaches its limit: pure arithmetic over daily values, without Django.

The slope is Theil and Sen's: the median of the slopes between all pairs of days (Sen, 1968), which spikes and one
clean-up step do not move, over the last 28 days; its interval is Sen's, at 90 %. The level is the median of the last
three days. Days until the limit = what is left / slope, at the slope and at both ends of its interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median

HISTORY_DAYS = 28
LEAST_DAYS = 7
LEVEL_DAYS = 3
CONFIDENCE = 0.9
# A date further away than this says "not in sight".
HORIZON_DAYS = 3650


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through the days: units per day with the ends of its interval, and where it stands now."""

    slope: float
    slope_low: float
    slope_high: float
    level: float
    days: int


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """Days until the usable limit is reached; `earliest` at the steepest likely slope. None: not in sight."""

    trend: Trend
    earliest: float | None
    expected: float | None
    latest: float | None


def trend(daily: Mapping[date, float]) -> Trend | None:
    """Return the trend of the last 28 days that have a value; None for fewer than seven of them."""
    if not daily:
        return None
    last = max(daily)
    days = sorted(day for day in daily if day > last - timedelta(days=HISTORY_DAYS))
    if len(days) < LEAST_DAYS:
        return None
    from scipy.stats import theilslopes  # a second of start-up that only this needs

    values = [daily[day] for day in days]
    found = theilslopes(values, [(day - last).days for day in days], alpha=CONFIDENCE)
    slope, low, high = float(found.slope), float(found.low_slope), float(found.high_slope)
    # Many equal slopes leave the interval's ends undefined.
    low, high = (slope if math.isnan(low) else low), (slope if math.isnan(high) else high)
    return Trend(slope, low, high, float(median(values[-LEVEL_DAYS:])), len(days))


def exhaustion(daily: Mapping[date, float], *, limit: float, headroom: float = 0.0) -> Exhaustion | None:
    """Return when the limit less its headroom (a share of it, 0 to below 1) is reached; None with too few days."""
    line = trend(daily)
    if line is None:
        return None
    left = limit * (1 - headroom) - line.level
    return Exhaustion(line, _days(left, line.slope_high), _days(left, line.slope), _days(left, line.slope_low))


def _days(left: float, slope: float) -> float | None:
    if left <= 0:
        return 0.0
    if slope <= 0 or left / slope > HORIZON_DAYS:
        return None
    return left / slope
