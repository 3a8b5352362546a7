"""The windows that objectives and contracts are judged over, and the spans that are taken out of them. No database.

Rolling windows end with the last whole minute. Calendar windows are computed in their own time zone, so a day lasts 23
or 25 hours where the clocks change. All windows are half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from core.recurrence import Recurrence
from core.windows import PeriodKind, Window, calendar_period

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ALIGNED_FROM = timedelta(days=7)

KINDS: dict[str, PeriodKind] = {
    "day": "daily",
    "week": "weekly",
    "month": "monthly",
    "quarter": "quarterly",
    "year": "yearly",
}


def floored(instant: datetime, step: timedelta = MINUTE) -> datetime:
    """Return the last instant of a whole `step` since 1970 that is not after `instant`, in UTC."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(instant.timestamp()) // seconds * seconds, tz=UTC)


def trailing(as_of: datetime, length: timedelta) -> Window:
    """Return the window of that length up to the last whole minute.

    From seven days on it begins at a whole hour (at most an hour earlier), so that minutes need not be kept as long.
    """
    end = floored(as_of)
    start = end - length
    return Window(floored(start, HOUR) if length >= ALIGNED_FROM else start, end)


def calendar(unit: str, at: datetime, zone: str) -> Window:
    """Return the calendar day, week (from Monday), month, quarter or year that holds `at` in the zone, in UTC.

    Raises ValueError for an unknown unit.
    """
    if unit not in KINDS:
        raise ValueError(f"unknown calendar unit {unit!r}")
    found = calendar_period(KINDS[unit], at, ZoneInfo(zone))
    return Window(found.start.astimezone(UTC), found.end.astimezone(UTC))


def previous_calendar(unit: str, period: Window, zone: str) -> Window:
    """Return the calendar period before `period`."""
    return calendar(unit, period.start - timedelta(seconds=1), zone)


def minutes_in(window: Window) -> int:
    """Return how many whole minutes a window lasts in elapsed time: 30 days of March 2026 in Paris are 43,140."""
    return int(window.length.total_seconds()) // 60


def elapsed_share(period: Window, as_of: datetime) -> tuple[int, int]:
    """Return the elapsed and all seconds of a period, for exact proportions."""
    whole = int(period.length.total_seconds())
    passed = int((min(max(as_of, period.start), period.end) - period.start).total_seconds())
    return passed, whole


def overlap(one: Window, other: Window) -> Window | None:
    """Return the instants that both windows hold, or None."""
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Window(start, end) if start < end else None


def merged(windows: Iterable[Window]) -> list[Window]:
    """Return the same instants as windows that neither overlap nor touch, in order."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda item: item.start):
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        elif window.start < window.end:
            found.append(window)
    return found


def expanded(first: Window, rule: str, zone: str, within: Window) -> Iterator[Window]:
    """Yield what a span, coming back by an RRULE line in the local time of `zone`, covers of a window, in order.

    Without a rule the span is the only one. Clipped to the window.
    """
    for span in Recurrence(first, rule, None, zone or "UTC").spans():
        if span.start >= within.end:
            return
        if (part := overlap(span, within)) is not None:
            yield part
