"""Times of the week and of the year in Alertmanager's form, in a time zone of their own.

An interval is `{"times": [{"start_time": "09:00", "end_time": "17:00"}], "weekdays": ["monday:friday"],
"days_of_month": ["1:5", "-1"], "months": ["january:march"], "years": ["2026:2028"]}`. Every part that is given must
hold; a time is in it from its start up to, not including, its end. Clocks that change are the time zone's: 02:30 does
not exist in the night that skips it, and comes twice in the other.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from core.errors import FieldError, Invalid

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = tuple(name.lower() for name in calendar.month_name)[1:]
PARTS = ("times", "weekdays", "days_of_month", "months", "years")
MOST_INTERVALS = 100
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
Interval = Mapping[str, Any]


def contains(intervals: Sequence[Interval], at: datetime, zone: ZoneInfo) -> bool:
    """Say whether an instant lies in any of the intervals; they were checked by `check_intervals` before."""
    local = at.astimezone(zone)
    return any(all(_HOLDS[part](item[part], local) for part in PARTS if item.get(part)) for item in intervals)


def check_intervals(intervals: Any, *, pointer: str = "/intervals") -> list[dict[str, Any]]:
    """Return the intervals when all are well formed; raises Invalid with a pointer to the first that is not."""
    if not isinstance(intervals, list) or not 0 < len(intervals) <= MOST_INTERVALS:
        raise _invalid(pointer, f"give a list of 1 to {MOST_INTERVALS} intervals")
    for index, item in enumerate(intervals):
        _check(item, f"{pointer}/{index}")
    return intervals


def _check(item: Any, pointer: str) -> None:
    if not isinstance(item, dict) or not item or not set(item) <= set(PARTS):
        raise _invalid(pointer, f"an interval has some of {', '.join(PARTS)}")
    for part, ranges in item.items():
        place = f"{pointer}/{part}"
        if not isinstance(ranges, list) or not ranges:
            raise _invalid(place, "give a list with at least one range, or leave the part out")
        for index, value in enumerate(ranges):
            _CHECKS[part](value, f"{place}/{index}")


def _in_times(times: Sequence[Mapping[str, str]], local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    return any(_minutes(item["start_time"]) <= minute < _minutes(item["end_time"]) for item in times)


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def _in_weekdays(ranges: Sequence[str], local: datetime) -> bool:
    return _in_ranges(ranges, local.isoweekday() % 7, WEEKDAYS)


def _in_months(ranges: Sequence[str], local: datetime) -> bool:
    return _in_ranges(ranges, local.month, ("", *MONTHS))


def _in_years(ranges: Sequence[str], local: datetime) -> bool:
    return _in_ranges(ranges, local.year, ())


def _in_ranges(ranges: Sequence[str], value: int, names: Sequence[str]) -> bool:
    return any(first <= value <= last for first, last in (_range(text, names) for text in ranges))


def _in_days(ranges: Sequence[str], local: datetime) -> bool:
    """Say whether the day is in a range; negative days count from the end of the month, and ranges are cut to it."""
    last_day = calendar.monthrange(local.year, local.month)[1]
    for text in ranges:
        first, last = (day if day > 0 else last_day + 1 + day for day in _range(text, ()))
        if max(first, 1) <= local.day <= min(last, last_day):
            return True
    return False


def _range(text: str, names: Sequence[str]) -> tuple[int, int]:
    first, _, last = text.lower().partition(":")
    begin = _number(first, names)
    return begin, _number(last, names) if last else begin


def _number(text: str, names: Sequence[str]) -> int:
    text = text.strip()
    return names.index(text) if text in names and text else int(text)


def _check_time(value: Any, pointer: str) -> None:
    if not isinstance(value, dict) or set(value) != {"start_time", "end_time"}:
        raise _invalid(pointer, "a time has a start_time and an end_time")
    for name, text in value.items():
        if not isinstance(text, str) or not _TIME.fullmatch(text):
            raise _invalid(f"{pointer}/{name}", "a time of day is written 09:00, up to 24:00")
    if _minutes(value["start_time"]) >= _minutes(value["end_time"]):
        raise _invalid(pointer, "the time ends before it starts; give the part after midnight an interval of its own")


def _range_check(names: Sequence[str], lowest: int, highest: int, words: str) -> Callable[[Any, str], None]:
    def check(value: Any, pointer: str) -> None:
        try:
            first, last = _range(value, names)
        except (AttributeError, ValueError):
            raise _invalid(pointer, f"this is no range of {words}") from None
        if not (lowest <= first <= highest and lowest <= last <= highest) or (first > last and first > 0 < last):
            raise _invalid(pointer, f"this range of {words} ends before it begins or does not exist")

    return check


def _check_days(value: Any, pointer: str) -> None:
    _range_check((), -31, 31, "days of a month, such as 1:5 or -3:-1")(value, pointer)
    first, last = _range(value, ())
    if first == 0 or last == 0 or (first < 0 < last) or (first < 0 and last < first):
        raise _invalid(pointer, "days of a month are 1 to 31, or -31 to -1 counted from its end, in rising order")


_HOLDS: dict[str, Callable[[Any, datetime], bool]] = {
    "times": _in_times,
    "weekdays": _in_weekdays,
    "days_of_month": _in_days,
    "months": _in_months,
    "years": _in_years,
}
_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "times": _check_time,
    "weekdays": _range_check(WEEKDAYS, 0, 6, "weekdays, such as monday:friday"),
    "days_of_month": _check_days,
    "months": _range_check(("", *MONTHS), 1, 12, "months, such as january:march or 4:6"),
    "years": _range_check((), 1970, 9999, "years, such as 2026:2028"),
}


def _invalid(pointer: str, detail: str) -> Invalid:
    return Invalid(detail, code="invalid_interval", errors=[FieldError(pointer, "invalid_interval", detail)])
