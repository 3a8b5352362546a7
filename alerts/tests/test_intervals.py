"""Times of the week and the year, with clocks that change."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from alerts.intervals import check_intervals, contains
from core.errors import Invalid

PARIS = ZoneInfo("Europe/Paris")
OFFICE = [{"weekdays": ["monday:friday"], "times": [{"start_time": "09:00", "end_time": "17:00"}]}]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-27T07:59:59+00:00", False),  # Friday, 08:59 in winter
        ("2026-03-27T08:00:00+00:00", True),
        ("2026-03-30T06:59:59+00:00", False),  # Monday after the clocks went forward
        ("2026-03-30T07:00:00+00:00", True),
        ("2026-03-30T15:00:00+00:00", False),  # 17:00, not included
        ("2026-03-28T10:00:00+00:00", False),  # Saturday
    ],
)
def test_office_hours__around_the_change_of_clocks__by_local_time(at: str, expected: bool) -> None:
    assert contains(OFFICE, datetime.fromisoformat(at), PARIS) is expected


@pytest.mark.parametrize(
    ("interval", "day", "expected"),
    [
        ({"days_of_month": ["-1"]}, "2028-02-29", True),
        ({"days_of_month": ["-1"]}, "2027-02-28", True),
        ({"days_of_month": ["-3:-1"]}, "2026-04-27", False),
        ({"days_of_month": ["29:31"]}, "2026-02-28", False),
        ({"months": ["december"], "days_of_month": ["24:26"]}, "2026-12-25", True),
        ({"months": ["1:3"], "years": ["2027:2028"]}, "2026-02-01", False),
        ({"weekdays": ["sunday", "saturday"]}, "2026-03-29", True),
    ],
)
def test_interval__days_and_months__as_alertmanager(interval: dict[str, Any], day: str, expected: bool) -> None:
    at = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=PARIS)
    assert contains(check_intervals([interval]), at, PARIS) is expected


@pytest.mark.parametrize(
    ("intervals", "pointer"),
    [
        ([], "/intervals"),
        ([{}], "/intervals/0"),
        ([{"days": ["1"]}], "/intervals/0"),
        ([{"weekdays": []}], "/intervals/0/weekdays"),
        ([{"weekdays": ["friday:monday"]}], "/intervals/0/weekdays/0"),
        ([{"times": [{"start_time": "17:00", "end_time": "09:00"}]}], "/intervals/0/times/0"),
        ([{"times": [{"start_time": "9:00", "end_time": "10:00"}]}], "/intervals/0/times/0/start_time"),
        ([{"days_of_month": ["0"]}], "/intervals/0/days_of_month/0"),
        ([{"days_of_month": ["-1:3"]}], "/intervals/0/days_of_month/0"),
        ([{"months": ["13"]}], "/intervals/0/months/0"),
    ],
)
def test_intervals__ill_formed__refused_with_a_pointer(intervals: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_intervals(intervals)
    assert [error.pointer for error in refused.value.errors] == [pointer]
