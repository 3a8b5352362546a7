"""Rotations: published changes of the clocks, layers, restrictions, and what must hold for every schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import rotations
from alerts.rotations import Cover, Layer, Person, Plan, Restriction, Segment, parse_restriction
from core.windows import Window

ADA, BOB, EVE = Person("1", "Ada"), Person("2", "Bob"), Person("3", "Eve")
BERLIN, NEW_YORK, LORD_HOWE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def _layer(starts_at: datetime, *members: Person, turn: timedelta = DAY, level: int = 1, **more: object) -> Layer:
    return Layer(f"layer {level}", level, turn, starts_at, members or (ADA, BOB), **more)  # type: ignore[arg-type]


def _utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def _shown(found: list[Segment], zone: ZoneInfo) -> list[tuple[str, str, str]]:
    return [
        (
            f"{segment.start.astimezone(zone):%m-%d %H:%M}",
            f"{segment.end.astimezone(zone):%m-%d %H:%M}",
            segment.person.name if segment.person else "",
        )
        for segment in found
    ]


@pytest.mark.parametrize(
    ("zone", "starts_at", "day", "hours"),
    [
        # The last Sunday of March and of October 2026 (directive 2000/84/EC).
        (BERLIN, datetime(2026, 3, 27, 9, tzinfo=BERLIN), (2026, 3, 28), [23.0, 24.0]),
        (BERLIN, datetime(2026, 10, 23, 9, tzinfo=BERLIN), (2026, 10, 24), [25.0, 24.0]),
        # The second Sunday of March and the first of November 2026 (Energy Policy Act of 2005).
        (NEW_YORK, datetime(2026, 3, 6, 9, tzinfo=NEW_YORK), (2026, 3, 7), [23.0, 24.0]),
        (NEW_YORK, datetime(2026, 10, 30, 9, tzinfo=NEW_YORK), (2026, 10, 31), [25.0, 24.0]),
        # Half an hour, on the first Sundays of April and October.
        (LORD_HOWE, datetime(2026, 4, 3, 9, tzinfo=LORD_HOWE), (2026, 4, 4), [24.5, 24.0]),
        (LORD_HOWE, datetime(2026, 10, 2, 9, tzinfo=LORD_HOWE), (2026, 10, 3), [23.5, 24.0]),
    ],
)
def test_daily__over_a_change_of_the_clocks__hands_over_at_nine_local_time(
    zone: ZoneInfo, starts_at: datetime, day: tuple[int, int, int], hours: list[float]
) -> None:
    begin = datetime(*day, 9, tzinfo=zone)
    window = Window(begin, (begin + 2 * DAY).replace(tzinfo=zone))

    found = rotations.segments(Plan(zone, (_layer(starts_at),)), window)

    assert [segment.start.astimezone(zone).hour for segment in found] == [9, 9]
    assert [segment.hours for segment in found] == hours
    assert [segment.person for segment in found] == [BOB, ADA]


def test_weekly__half_a_year_of_turns__always_begins_monday_at_nine(now: datetime) -> None:
    start = datetime(2026, 1, 5, 9, tzinfo=BERLIN)
    layer = _layer(start, ADA, BOB, EVE, turn=7 * DAY)

    found = rotations.segments(Plan(BERLIN, (layer,)), Window(start, start + 182 * DAY))

    assert len(found) == 26
    assert {f"{segment.start.astimezone(BERLIN):%a %H:%M}" for segment in found} == {"Mon 09:00"}
    assert [segment.person for segment in found[:4]] == [ADA, BOB, EVE, ADA]


def test_hand_over_in_the_hour_that_is_skipped__happens_at_its_end() -> None:
    layer = _layer(datetime(2026, 3, 27, 2, 30, tzinfo=BERLIN))

    found = rotations.segments(Plan(BERLIN, (layer,)), Window(_utc(2026, 3, 28, 12), _utc(2026, 3, 30, 0)))

    assert [segment.start for segment in found[1:]] == [_utc(2026, 3, 29, 1)]
    assert found[1].end == _utc(2026, 3, 30, 0)


def test_hand_over_in_the_hour_that_comes_twice__happens_at_its_first_passing() -> None:
    layer = _layer(datetime(2026, 10, 23, 2, 30, tzinfo=BERLIN))

    found = rotations.segments(Plan(BERLIN, (layer,)), Window(_utc(2026, 10, 24, 12), _utc(2026, 10, 25, 12)))

    assert found[1].start == _utc(2026, 10, 25, 0, 30)


def test_hourly__over_the_skipped_hour__leaves_out_its_turn_and_runs_on() -> None:
    layer = _layer(datetime(2026, 3, 29, 0, tzinfo=BERLIN), ADA, BOB, EVE, turn=HOUR)
    begin = _utc(2026, 3, 28, 23)

    found = rotations.segments(Plan(BERLIN, (layer,)), Window(begin, begin + 4 * HOUR))

    # 02:00 never was: Eve's turn is empty.
    assert [segment.person for segment in found] == [ADA, BOB, ADA, BOB]
    assert [segment.hours for segment in found] == [1.0, 1.0, 1.0, 1.0]


def test_restrictions__office_hours_above_a_base__show_both() -> None:
    monday = datetime(2026, 3, 16, 0, tzinfo=BERLIN)
    base = _layer(monday, EVE, turn=7 * DAY)
    office = _layer(monday, ADA, turn=7 * DAY, level=2,
                    restrictions=(parse_restriction("Mon 09:00", "Mon 17:00"),))  # fmt: skip

    found = rotations.segments(Plan(BERLIN, (office, base)), Window(monday, monday + DAY))

    assert _shown(found, BERLIN) == [
        ("03-16 00:00", "03-16 09:00", "Eve"),
        ("03-16 09:00", "03-16 17:00", "Ada"),
        ("03-16 17:00", "03-17 00:00", "Eve"),
    ]


def test_restrictions__over_the_end_of_the_week__wrap() -> None:
    friday = datetime(2026, 3, 20, 12, tzinfo=BERLIN)
    weekend = _layer(friday - 14 * DAY, ADA, turn=7 * DAY, restrictions=(parse_restriction("Fri 17:00", "Mon 09:00"),))

    found = rotations.segments(Plan(BERLIN, (weekend,)), Window(friday, friday + 4 * DAY))

    assert _shown(found, BERLIN) == [
        ("03-20 12:00", "03-20 17:00", ""),
        ("03-20 17:00", "03-23 09:00", "Ada"),
        ("03-23 09:00", "03-24 12:00", ""),
    ]


def test_override__of_two_at_once__the_one_given_last_holds(now: datetime) -> None:
    plan = Plan(
        BERLIN, (_layer(now - DAY, ADA),), (Cover(BOB, now, now + 4 * HOUR), Cover(EVE, now + HOUR, now + 2 * HOUR))
    )

    found = rotations.segments(plan, Window(now, now + 5 * HOUR))

    assert [(segment.person, segment.hours) for segment in found] == [(BOB, 1), (EVE, 1), (BOB, 2), (ADA, 1)]


def test_inactive_member__turn_falls_to_the_next__others_keep_theirs(now: datetime) -> None:
    gone = Person("2", "Bob", active=False)
    plan = Plan(BERLIN, (_layer(now, ADA, gone, EVE),))

    found = rotations.segments(plan, Window(now, now + 6 * DAY))

    assert [(segment.person, segment.hours / 24) for segment in found] == [(ADA, 1), (EVE, 2), (ADA, 1), (EVE, 2)]
    assert rotations.absentees(plan, Window(now, now + DAY)) == [gone]


def test_override_of_an_inactive_person__is_left_out_and_reported(now: datetime) -> None:
    gone = Person("2", "Bob", active=False)
    plan = Plan(BERLIN, (_layer(now, ADA),), (Cover(gone, now, now + HOUR),))

    assert rotations.on_call(plan, now).person == ADA
    assert rotations.absentees(plan, Window(now, now + DAY)) == [gone]


def test_gaps__nobody_active__is_the_whole_window(now: datetime) -> None:
    plan = Plan(BERLIN, (_layer(now, Person("2", "Bob", active=False)),))

    assert [gap.hours for gap in rotations.gaps(plan, Window(now, now + DAY))] == [24]


def test_rotation_with_an_end__applies_until_then(now: datetime) -> None:
    plan = Plan(BERLIN, (_layer(now, ADA, ends_at=now + 3 * HOUR),))

    found = rotations.segments(plan, Window(now - HOUR, now + 5 * HOUR))

    assert [(segment.person, segment.hours) for segment in found] == [(None, 1), (ADA, 3), (None, 2)]


def test_shares__a_week_of_one_person__counts_nights_and_weekend() -> None:
    monday = datetime(2026, 3, 16, 0, tzinfo=BERLIN)
    plan = Plan(BERLIN, (_layer(monday, ADA, turn=7 * DAY),))

    found = rotations.shares(rotations.segments(plan, Window(monday, monday + 7 * DAY)), BERLIN)

    assert [(share.person, share.hours, share.night_hours, share.weekend_hours) for share in found] == [
        (ADA, 168.0, 56.0, 48.0)
    ]


def test_shares__night_of_the_spring_change__has_seven_hours() -> None:
    start = datetime(2026, 3, 28, 22, tzinfo=BERLIN)
    plan = Plan(BERLIN, (_layer(start, ADA),))

    found = rotations.shares(rotations.segments(plan, Window(start, datetime(2026, 3, 29, 6, tzinfo=BERLIN))), BERLIN)

    assert (found[0].hours, found[0].night_hours, found[0].weekend_hours) == (7.0, 7.0, 7.0)


@pytest.mark.parametrize("text", ["Mon 24:00", "mon 09:00", "Monday 09:00", "Mon 9:00", "", "Mon 09:60"])
def test_parse_restriction__of_another_form__is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="weekday and a time"):
        parse_restriction(text, "Mon 17:00")


ZONES = st.sampled_from(
    [BERLIN, NEW_YORK, LORD_HOWE, ZoneInfo("UTC"), ZoneInfo("Africa/Casablanca"), ZoneInfo("Pacific/Apia")]
)
# Hypothesis draws wall times; they get their zone below.
BEGIN, END = datetime(2011, 6, 1), datetime(2027, 6, 1)  # noqa: DTZ001
INSTANTS = st.datetimes(BEGIN, END).map(lambda naive: naive.replace(second=0, microsecond=0, tzinfo=UTC))
PEOPLE = st.lists(
    st.builds(lambda key, active: Person(str(key), f"p{key}", active), st.integers(1, 5), st.booleans()),
    min_size=1, max_size=5,
)  # fmt: skip
SPANS = st.lists(
    st.builds(
        lambda begins, length: Restriction(timedelta(minutes=begins), timedelta(minutes=(begins + length) % 10080)),
        st.integers(0, 10079), st.integers(1, 10079),
    ),
    max_size=2,
)  # fmt: skip


@st.composite
def _plans(draw: st.DrawFn) -> tuple[Plan, Window]:
    start = draw(INSTANTS)
    window = Window(start, start + timedelta(hours=draw(st.integers(1, 24 * 21))))
    layers = tuple(
        Layer(
            f"l{level}", level, timedelta(hours=draw(st.sampled_from([1, 5, 12, 24, 36, 168]))),
            start + timedelta(hours=draw(st.integers(-3000, 300))), tuple(draw(PEOPLE)),
            restrictions=tuple(draw(SPANS)),
        )
        for level in range(draw(st.integers(0, 3)))
    )  # fmt: skip
    covers = tuple(
        Cover(draw(PEOPLE)[0], begins, begins + timedelta(hours=draw(st.integers(1, 100))))
        for begins in draw(st.lists(st.just(start) | INSTANTS, max_size=3))
    )
    return Plan(draw(ZONES), layers, covers), window


@given(_plans())
def test_segments__of_any_plan__tile_the_window_without_overlap(case: tuple[Plan, Window]) -> None:
    plan, window = case

    found = rotations.segments(plan, window)

    assert (found[0].start, found[-1].end) == (window.start, window.end)
    assert all(segment.start < segment.end for segment in found)
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(one.person != other.person or one.source != other.source for one, other in pairwise(found))
    assert all(segment.person is None or segment.person.active for segment in found)


@given(_plans(), st.floats(0, 0.999))
def test_on_call__at_any_instant__is_who_the_final_schedule_says(case: tuple[Plan, Window], share: float) -> None:
    plan, window = case
    seconds = int((window.end - window.start).total_seconds() * share)
    at = window.start + timedelta(seconds=seconds)

    holds = next(segment for segment in rotations.segments(plan, window) if segment.start <= at < segment.end)

    assert rotations.on_call(plan, at).person == holds.person


@given(ZONES, st.datetimes(BEGIN, END), st.integers(1, 200_000))
def test_instant__of_a_later_wall_time__is_never_earlier(zone: ZoneInfo, wall: datetime, seconds: int) -> None:
    first = wall.replace(microsecond=0)

    assert rotations.instant(first, zone) <= rotations.instant(first + timedelta(seconds=seconds), zone)


@given(_plans())
def test_shares__of_any_plan__add_up_to_the_covered_hours(case: tuple[Plan, Window]) -> None:
    plan, window = case
    found = rotations.segments(plan, window)

    total = sum(share.hours for share in rotations.shares(found, plan.zone))

    assert total == pytest.approx(sum(segment.hours for segment in found if segment.person is not None), abs=0.01)
