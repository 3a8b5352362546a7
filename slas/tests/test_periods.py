"""Calendar windows over changes of the clocks and leap years, west and east of Greenwich; recurring spans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.windows import Window
from slas import buckets
from slas.buckets import Aggregate
from slas.periods import calendar, expanded, merged, minutes_in, previous_calendar, trailing
from slas.standing import standings
from slas.tests.objectives import sli, slo

NEW_YORK, AUCKLAND, PARIS, KOLKATA = "America/New_York", "Pacific/Auckland", "Europe/Paris", "Asia/Kolkata"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "unit", "inside", "start", "end", "minutes"),
    [
        (NEW_YORK, "day", "2026-03-08T12:00", "2026-03-08T05:00", "2026-03-09T04:00", 23 * 60),
        (NEW_YORK, "day", "2026-11-01T12:00", "2026-11-01T04:00", "2026-11-02T05:00", 25 * 60),
        (NEW_YORK, "month", "2026-03-15T12:00", "2026-03-01T05:00", "2026-04-01T04:00", 31 * 1440 - 60),
        (NEW_YORK, "month", "2028-02-29T12:00", "2028-02-01T05:00", "2028-03-01T05:00", 29 * 1440),
        (NEW_YORK, "year", "2028-06-01T12:00", "2028-01-01T05:00", "2029-01-01T05:00", 366 * 1440),
        (AUCKLAND, "day", "2026-04-04T20:00", "2026-04-04T11:00", "2026-04-05T12:00", 25 * 60),
        (AUCKLAND, "day", "2026-09-26T20:00", "2026-09-26T12:00", "2026-09-27T11:00", 23 * 60),
        (AUCKLAND, "quarter", "2026-05-01T00:00", "2026-03-31T11:00", "2026-06-30T12:00", 91 * 1440 + 60),
        (AUCKLAND, "month", "2028-02-29T00:00", "2028-01-31T11:00", "2028-02-29T11:00", 29 * 1440),
        (AUCKLAND, "month", "2026-02-28T00:00", "2026-01-31T11:00", "2026-02-28T11:00", 28 * 1440),
        (KOLKATA, "month", "2026-03-15T00:00", "2026-02-28T18:30", "2026-03-31T18:30", 31 * 1440),
    ],
)
def test_calendar__in_a_zone__has_the_length_of_its_local_period(
    zone: str, unit: str, inside: str, start: str, end: str, minutes: int
) -> None:
    window = calendar(unit, at(inside), zone)

    assert window == Window(at(start), at(end))
    assert minutes_in(window) == minutes


def test_previous_calendar__of_march__is_february() -> None:
    march = calendar("month", at("2028-03-10T00:00"), AUCKLAND)

    assert minutes_in(previous_calendar("month", march, AUCKLAND)) == 29 * 1440


def test_trailing__from_seven_days_on__begins_at_a_whole_hour() -> None:
    now = at("2026-03-18T12:34:56")

    assert trailing(now, timedelta(days=3)) == Window(at("2026-03-15T12:34"), at("2026-03-18T12:34"))
    assert trailing(now, timedelta(days=7)) == Window(at("2026-03-11T12:00"), at("2026-03-18T12:34"))


def test_expanded__sunday_at_two_in_paris__stays_at_two_over_the_change_of_the_clocks() -> None:
    first = Window(at("2026-03-22T01:00"), at("2026-03-22T03:00"))
    within = Window(at("2026-03-22T00:00"), at("2026-04-10T00:00"))

    spans = list(expanded(first, "FREQ=WEEKLY;COUNT=3", PARIS, within))

    # The first was at 02:00 winter time; on the 29th the clocks skip from 02:00 to 03:00.
    assert spans == [
        first,
        Window(at("2026-03-29T01:00"), at("2026-03-29T02:00")),
        Window(at("2026-04-05T00:00"), at("2026-04-05T02:00")),
    ]


def test_merged__touching_and_overlapping__are_one() -> None:
    a, b, c = (Window(at(f"2026-03-18T{n:02}:00"), at(f"2026-03-18T{n + 2:02}:00")) for n in (1, 2, 4))

    assert merged([c, a, b]) == [Window(a.start, c.end)]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("zone", "inside", "outside"), [(NEW_YORK, "2026-03-08T05:00", "2026-03-08T04:59"),
                                    (AUCKLAND, "2026-04-04T11:00", "2026-04-04T10:59"),
                                    (KOLKATA, "2026-03-07T18:30", "2026-03-07T18:29")],
)  # fmt: skip
def test_calendar_objective__counts_from_the_first_local_minute(zone: str, inside: str, outside: str) -> None:
    begin = at(inside)
    indicator = sli()
    items = [Aggregate(begin, 9, 10), Aggregate(at(outside), 0, 1000)]
    buckets.record_events(indicator, items, now=begin + timedelta(hours=1))
    objective = slo(indicator, window="calendar", window_days=None, calendar_unit="day", time_zone=zone)

    found = standings([objective], begin + timedelta(hours=1))[0]

    assert (found.period.start, found.level.total, found.level.bad) == (begin, 10, 1)
