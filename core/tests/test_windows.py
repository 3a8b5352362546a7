"""Calendar periods over changes of the clocks, short months and leap years; published clock changes as examples."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.windows import PeriodKind, Window, calendar_period, midnight, next_period

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
SAO_PAULO = ZoneInfo("America/Sao_Paulo")
BEIRUT = ZoneInfo("Asia/Beirut")
KINDS: tuple[PeriodKind, ...] = ("hourly", "daily", "weekly", "monthly", "quarterly", "yearly")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (BERLIN, date(2026, 3, 29), 23),
        (BERLIN, date(2026, 10, 25), 25),
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (SAO_PAULO, date(2018, 11, 4), 23),
        (SAO_PAULO, date(2018, 2, 17), 25),
        (BEIRUT, date(2026, 3, 29), 23),
        (BERLIN, date(2026, 6, 1), 24),
    ],
)
def test_day__change_of_the_clocks__lasts_as_long_as_it_does(zone: ZoneInfo, day: date, hours: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)

    assert calendar_period("daily", noon, zone).length == timedelta(hours=hours)


@pytest.mark.parametrize(("zone", "day"), [(SAO_PAULO, date(2018, 11, 4)), (BEIRUT, date(2026, 3, 29))])
def test_midnight__skipped_by_the_clocks__is_the_instant_after_the_gap(zone: ZoneInfo, day: date) -> None:
    first = midnight(day, zone)

    assert (first.hour, first.date()) == (1, day)
    assert (first.astimezone(UTC) - timedelta(seconds=1)).astimezone(zone).date() == day - timedelta(days=1)


@pytest.mark.parametrize(
    ("at", "anchor", "start", "end"),
    [
        (date(2026, 2, 15), 31, date(2026, 1, 31), date(2026, 2, 28)),
        (date(2026, 2, 28), 31, date(2026, 2, 28), date(2026, 3, 31)),
        (date(2024, 2, 29), 31, date(2024, 2, 29), date(2024, 3, 31)),
        (date(2024, 2, 28), 30, date(2024, 1, 30), date(2024, 2, 29)),
        (date(2026, 1, 1), 15, date(2025, 12, 15), date(2026, 1, 15)),
        (date(2026, 5, 1), 1, date(2026, 5, 1), date(2026, 6, 1)),
    ],
)
def test_month__anchored__is_clamped_to_short_months(at: date, anchor: int, start: date, end: date) -> None:
    window = calendar_period("monthly", datetime(at.year, at.month, at.day, tzinfo=BERLIN), BERLIN, anchor=anchor)

    assert (window.start.date(), window.end.date()) == (start, end)


def test_week__anchored_to_sunday__starts_on_sunday() -> None:
    wednesday = datetime(2026, 3, 18, 12, tzinfo=UTC)

    window = calendar_period("weekly", wednesday, ZoneInfo("UTC"), anchor=7)

    assert (window.start.date(), window.end.date()) == (date(2026, 3, 15), date(2026, 3, 22))


def test_year__leap__has_366_days() -> None:
    window = calendar_period("yearly", datetime(2024, 7, 1, tzinfo=UTC), ZoneInfo("UTC"))

    assert window.length == timedelta(days=366)


def test_hour__doubled_by_the_clocks__is_two_hours_of_their_own() -> None:
    first = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=0)
    second = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=1)

    assert calendar_period("hourly", first, BERLIN).end == calendar_period("hourly", second, BERLIN).start


@pytest.mark.parametrize(
    ("kind", "anchor"), [("weekly", 0), ("weekly", 8), ("monthly", 0), ("monthly", 32), ("daly", 1)]
)
def test_period__unknown_kind_or_anchor__is_refused(kind: PeriodKind, anchor: int) -> None:
    with pytest.raises(ValueError, match=r"anchored|unknown"):
        calendar_period(kind, datetime(2026, 1, 1, tzinfo=UTC), BERLIN, anchor=anchor)


def test_window__naive_or_reversed__is_refused() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)

    with pytest.raises(ValueError, match="aware"):
        Window(start.replace(tzinfo=None), start.replace(tzinfo=None))
    with pytest.raises(ValueError, match="ends before"):
        Window(start, start - timedelta(seconds=1))


def test_window__its_ends__start_is_in_and_end_is_not() -> None:
    window = calendar_period("daily", datetime(2026, 1, 1, 5, tzinfo=UTC), ZoneInfo("UTC"))

    assert window.start in window
    assert window.end not in window


@given(
    at=st.integers(946_684_800, 2_208_988_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    zone=st.sampled_from([BERLIN, NEW_YORK, SAO_PAULO, BEIRUT, ZoneInfo("Pacific/Apia"), ZoneInfo("UTC")]),
    kind=st.sampled_from(KINDS),
    anchor=st.integers(1, 31),
)
def test_period__any_instant__is_inside_and_periods_follow_without_a_gap(
    at: datetime, zone: ZoneInfo, kind: PeriodKind, anchor: int
) -> None:
    anchor = min(anchor, 7) if kind == "weekly" else anchor

    window = calendar_period(kind, at, zone, anchor=anchor)
    following = next_period(kind, window, zone, anchor=anchor)

    assert at in window
    assert following.start.astimezone(UTC) == window.end.astimezone(UTC)
    assert calendar_period(kind, window.start, zone, anchor=anchor) == window
