"""The life of an alert as a pure function."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts.lifecycle import Standing, is_flapping, opened, quiet_until, reported
from alerts.reports import Report

MINUTE = timedelta(minutes=1)


def _report(now: datetime, *, active: bool = True, severity: str = "medium", **values: int) -> Report:
    return Report({"alertname": "A"}, severity, "test", active, now, **values)  # type: ignore[arg-type]  # seconds


def _firing(now: datetime, state: str = "firing", ends_at: datetime | None = None) -> Standing:
    return Standing(state, "medium", None, now, ends_at)


def test_opened__with_for__pending_since_now_whatever_the_sender_saw(now: datetime) -> None:
    step = opened(_report(now - timedelta(hours=1), for_seconds=60), now)
    assert step is not None
    assert (step.state, step.pending_since) == ("pending", now)


def test_opened__end_in_the_past__nothing(now: datetime) -> None:
    report = Report({"alertname": "A"}, "low", "test", True, now - MINUTE, ends_at=now)
    assert opened(report, now) is None


@pytest.mark.parametrize(("seconds", "state"), [(59, "pending"), (60, "firing")])
def test_pending__held_for_its_time__fires(now: datetime, seconds: int, state: str) -> None:
    standing = Standing("pending", "medium", now, now, None)
    later = now + timedelta(seconds=seconds)
    step = reported(standing, _report(now, for_seconds=60), later)
    assert step.state == state
    assert step.starts_at == (later if state == "firing" else now)


def test_pending__no_longer_wrong__over_without_keeping(now: datetime) -> None:
    standing = Standing("pending", "medium", now, now, None)
    step = reported(standing, _report(now, active=False, keep_firing_seconds=600), now + MINUTE)
    assert (step.event, step.state) == ("resolved", "resolved")


def test_firing__over_with_keep_firing__ends_after_it_from_the_first_time(now: datetime) -> None:
    # given
    over = _report(now, active=False, keep_firing_seconds=600)
    # when
    first = reported(_firing(now), over, now)
    second = reported(_firing(now, ends_at=first.ends_at), over, now + 5 * MINUTE)
    last = reported(_firing(now, ends_at=second.ends_at), over, now + 10 * MINUTE)
    # then
    assert (first.event, first.ends_at) == ("", now + 10 * MINUTE)
    assert second.ends_at == first.ends_at
    assert (last.event, last.resolved_at) == ("resolved", now + 10 * MINUTE)


def test_firing__wrong_again_while_kept__not_ended(now: datetime) -> None:
    step = reported(_firing(now, ends_at=now + MINUTE), _report(now), now)
    assert (step.event, step.state, step.ends_at) == ("", "firing", None)


@pytest.mark.parametrize(("severity", "state"), [("high", "firing"), ("low", "acknowledged")])
def test_acknowledged__another_severity__a_rise_takes_it_away(now: datetime, severity: str, state: str) -> None:
    step = reported(_firing(now, "acknowledged"), _report(now, severity=severity), now)
    assert (step.event, step.state, step.severity) == ("severity", state, severity)


def test_cooldown__same_severity_quiet__worse_at_once(now: datetime) -> None:
    past = {"resolved_at": now, "resolved_severity": "medium", "cooldown_seconds": 600}
    assert quiet_until("medium", **past) == now + 10 * MINUTE  # type: ignore[arg-type]  # by name
    assert quiet_until("low", **past) == now + 10 * MINUTE  # type: ignore[arg-type]
    assert quiet_until("high", **past) is None  # type: ignore[arg-type]


def test_flapping__five_changes__from_the_third_occurrence() -> None:
    assert [is_flapping(count, 5) for count in range(4)] == [False, False, True, True]
