"""Silences that come back, in local time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from core.errors import Invalid
from core.recurrence import check_recurrence
from core.windows import Window

SUNDAY = datetime(2026, 3, 22, 0, 0, tzinfo=UTC)  # 01:00 in Paris
NIGHT = Window(SUNDAY, SUNDAY + timedelta(hours=4))


def test_weekly__over_the_change_of_clocks__same_local_times() -> None:
    # when
    found = check_recurrence(NIGHT, "FREQ=WEEKLY;COUNT=3", None, "Europe/Paris")
    # then: 01:00 to 05:00; the second night is an hour shorter
    assert [(span.start.isoformat()[5:16], span.end.isoformat()[5:16]) for span in found.spans()] == [
        ("03-22T00:00", "03-22T04:00"),
        ("03-29T00:00", "03-29T03:00"),
        ("04-04T23:00", "04-05T03:00"),
    ]
    assert found.end == datetime(2026, 4, 5, 3, tzinfo=UTC)


def test_weekly__asked_at_instants__in_a_span_between_and_after() -> None:
    found = check_recurrence(NIGHT, "FREQ=WEEKLY", SUNDAY + timedelta(days=8), "Europe/Paris")
    assert found.at(SUNDAY - timedelta(seconds=1)) is None
    assert found.at(SUNDAY) == NIGHT
    assert found.at(SUNDAY + timedelta(hours=4)) is None
    assert found.following(SUNDAY + timedelta(days=1)) == Window(
        SUNDAY + timedelta(days=7), SUNDAY + timedelta(days=7, hours=3)
    )
    assert found.following(SUNDAY + timedelta(days=7)) is None


def test_span__that_the_clocks_skip__left_out() -> None:
    # given: 02:00 to 03:00 does not exist on the 29th
    begin = datetime(2026, 3, 28, 1, 0, tzinfo=UTC)
    # when
    found = check_recurrence(Window(begin, begin + timedelta(hours=1)), "FREQ=DAILY;COUNT=3", None, "Europe/Paris")
    # then
    assert [span.start.day for span in found.spans()] == [28, 30]


@pytest.mark.parametrize(
    ("rule", "pointer"),
    [
        ("FREQ=WEEKLY", "/recurs_until"),
        ("FREQ=MINUTELY;COUNT=3", "/recurrence"),
        ("FREQ=WEEKLY;COUNT=3;BYDAY=XX", "/recurrence"),
        ("FREQ=HOURLY;COUNT=3", "/recurrence"),  # again before it is over
        ("FREQ=YEARLY;COUNT=9", "/recurrence"),  # longer than three years
        ("every Sunday", "/recurrence"),
        ("FREQ=HOURLY;INTERVAL=5;COUNT=20000", "/recurrence"),
    ],
)
def test_rule__senseless_or_endless__refused(rule: str, pointer: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_recurrence(NIGHT, rule, None, "Europe/Paris")
    assert [error.pointer for error in refused.value.errors] == [pointer]
