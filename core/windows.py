"""Half-open, aware time windows and the calendar periods of budgets, objectives and reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

PeriodKind = Literal["hourly", "daily", "weekly", "monthly", "quarterly", "yearly"]

MONTHS_IN: dict[str, int] = {"monthly": 1, "quarterly": 3, "yearly": 12}


@dataclass(frozen=True, slots=True)
class Window:
    """The instants from `start` (included) to `end` (not included); both carry an offset."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.utcoffset() is None or self.end.utcoffset() is None:
            raise ValueError("a window needs aware instants")
        if self.end < self.start:
            raise ValueError("a window ends before it starts")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def length(self) -> timedelta:
        """The elapsed time, also over a change of the clocks."""
        # Aware datetimes of one zone subtract as wall time; through UTC the difference is real.
        return self.end.astimezone(ZoneInfo("UTC")) - self.start.astimezone(ZoneInfo("UTC"))


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of `day` in `zone`; where the clocks skip midnight, the instant after the gap."""
    local = datetime.combine(day, time.min, tzinfo=zone)
    # A wall time inside a gap does not survive the way to UTC and back; the way back gives the first real instant.
    return local.astimezone(ZoneInfo("UTC")).astimezone(zone)


def calendar_period(kind: PeriodKind, at: datetime, zone: ZoneInfo, *, anchor: int = 1) -> Window:
    """Return the calendar period of `kind` that holds `at`, in the time zone it belongs to.

    `anchor` is the weekday a week starts on (1 Monday … 7 Sunday) or the day of the month that a month, quarter or
    year starts on; in a month too short for it, the last day. Days and weeks may last 23 or 25 hours more or less
    over a change of the clocks. Raises ValueError for an unknown kind or an anchor out of range.
    """
    local = at.astimezone(zone)
    if kind == "hourly":
        start = local.astimezone(ZoneInfo("UTC")).replace(minute=0, second=0, microsecond=0)
        return Window(start, start + timedelta(hours=1))
    if kind == "daily":
        first, after = local.date(), local.date() + timedelta(days=1)
    elif kind == "weekly":
        _require(1 <= anchor <= 7, "a week is anchored to a day from 1 (Monday) to 7 (Sunday)")
        first = local.date() - timedelta(days=(local.isoweekday() - anchor) % 7)
        after = first + timedelta(days=7)
    elif kind in MONTHS_IN:
        _require(1 <= anchor <= 31, "a month is anchored to a day from 1 to 31")
        first, after = _months_around(local.date(), MONTHS_IN[kind], anchor)
    else:
        raise ValueError(f"unknown period {kind!r}")
    return Window(midnight(first, zone), midnight(after, zone))


def next_period(kind: PeriodKind, window: Window, zone: ZoneInfo, *, anchor: int = 1) -> Window:
    """Return the period that follows `window`."""
    return calendar_period(kind, window.end, zone, anchor=anchor)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _anchored(month_index: int, anchor: int) -> date:
    """Return day `anchor` of the month `month_index` (year * 12 + month - 1), clamped to the month's last day."""
    year, month = divmod(month_index, 12)
    after_year, after_month = divmod(month_index + 1, 12)
    last = (date(after_year, after_month + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(anchor, last))


def _months_around(day: date, length: int, anchor: int) -> tuple[date, date]:
    index = day.year * 12 + day.month - 1
    index -= index % length
    if _anchored(index, anchor) > day:
        index -= length
    elif _anchored(index + length, anchor) <= day:
        index += length
    return _anchored(index, anchor), _anchored(index + length, anchor)
