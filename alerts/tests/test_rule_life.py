"""The life of an alert under a rule, for any sequence of values: when it may fire, and when it may end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from alerts.choices import ALERT_TRANSITIONS, AlertState
from alerts.lifecycle import Standing, Step, opened, reported
from alerts.reports import Report

START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = 60
WRONG = st.lists(st.booleans(), min_size=1, max_size=60)
DURATIONS = st.sampled_from([0, 60, 120, 300])


def _lives(wrong: list[bool], for_seconds: int, keep_seconds: int) -> list[str]:
    """Return the state after each minute's verdict; an alert that is over is none ("")."""
    standing: Standing | None = None
    states = []
    for minute, active in enumerate(wrong):
        now = START + timedelta(minutes=minute)
        report = Report(
            labels={}, severity="high", source="rule", active=active, starts_at=now, for_seconds=for_seconds,
            keep_firing_seconds=keep_seconds,
        )  # fmt: skip
        step = opened(report, now) if standing is None else reported(standing, report, now)
        standing = _standing(standing, step)
        states.append(standing.state if standing else "")
    return states


def _standing(before: Standing | None, step: Step | None) -> Standing | None:
    if step is None:
        return None
    if before is not None:
        assert step.state == before.state or step.state in ALERT_TRANSITIONS[before.state]
    if step.state == AlertState.RESOLVED:
        return None
    return Standing(step.state, step.severity, step.pending_since, step.starts_at, step.ends_at)


@given(WRONG, DURATIONS, DURATIONS)
def test_life__any_values__fires_only_after_it_was_wrong_for_as_long_as_it_has_to(
    wrong: list[bool], for_seconds: int, keep_seconds: int
) -> None:
    states = _lives(wrong, for_seconds, keep_seconds)

    waits = for_seconds // MINUTE
    for minute, state in enumerate(states):
        begins = state == "firing" and (minute == 0 or states[minute - 1] != "firing")
        if begins:
            assert minute >= waits
            assert all(wrong[minute - waits : minute + 1])


@given(WRONG, DURATIONS, DURATIONS)
def test_life__any_values__ends_only_after_it_was_right_for_as_long_as_it_is_kept(
    wrong: list[bool], for_seconds: int, keep_seconds: int
) -> None:
    states = _lives(wrong, for_seconds, keep_seconds)

    kept = keep_seconds // MINUTE
    for minute in range(1, len(states)):
        if states[minute - 1] == "firing" and states[minute] != "firing":
            assert not any(wrong[minute - kept : minute + 1])


@given(WRONG, DURATIONS)
def test_life__wrong_all_the_time__fires_and_goes_on_firing(wrong: list[bool], for_seconds: int) -> None:
    states = _lives([True] * (len(wrong) + 6), for_seconds, 0)

    assert states[for_seconds // MINUTE :] == ["firing"] * (len(states) - for_seconds // MINUTE)


@given(WRONG, DURATIONS, DURATIONS)
def test_life__right_for_long_enough__is_over_whatever_was_before(
    wrong: list[bool], for_seconds: int, keep_seconds: int
) -> None:
    assert _lives([*wrong, *[False] * 7], for_seconds, keep_seconds)[-1] == ""
