"""The life of one alert, as a pure function of what stands and what is reported or what time it is.

pending → firing ⇄ acknowledged → resolved. A resolved alert never comes back: the next time its labels are wrong is
another occurrence, which knows how often they went right and wrong lately.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from alerts.choices import SEVERITY_ORDER, AlertState
from alerts.reports import Report

_RANK = {severity: rank for rank, severity in enumerate(SEVERITY_ORDER)}


class Standing(NamedTuple):
    """What is stored of an open alert, as far as its life depends on it."""

    state: str
    severity: str
    pending_since: datetime | None
    starts_at: datetime
    ends_at: datetime | None


class Step(NamedTuple):
    """What becomes of an alert; `event` names the change for its history and is empty when nothing changed."""

    event: str
    state: str
    severity: str
    pending_since: datetime | None
    starts_at: datetime
    ends_at: datetime | None
    resolved_at: datetime | None = None


def is_worse(severity: str, than: str) -> bool:
    """Say whether the first severity is more urgent."""
    return _RANK[severity] < _RANK[than]


def worst(severities: list[str]) -> str:
    """Return the most urgent of one or more severities."""
    return min(severities, key=_RANK.__getitem__)


def rank(severity: str) -> int:
    """Return 0 for the most urgent severity, rising to the least."""
    return _RANK[severity]


def holds(report: Report, now: datetime) -> bool:
    """Say whether a report means that something is wrong now."""
    return report.active and (report.ends_at is None or report.ends_at > now)


def opened(report: Report, now: datetime) -> Step | None:
    """Return the beginning of an alert by its first report, or None when nothing is wrong.

    With `for_seconds` it is pending, since now: what the reporter saw before does not count.
    """
    if not holds(report, now):
        return None
    if report.for_seconds:
        return Step("pending", AlertState.PENDING, report.severity, now, report.starts_at, report.ends_at)
    return Step("firing", AlertState.FIRING, report.severity, None, report.starts_at, report.ends_at)


def reported(standing: Standing, report: Report, now: datetime) -> Step:
    """Return what a report makes of an open alert."""
    if holds(report, now):
        return _still_wrong(standing, report, now)
    if standing.state == AlertState.PENDING or not report.keep_firing_seconds:
        return _resolved(standing, report, now)
    return _kept_firing(standing, report, now)


def _still_wrong(standing: Standing, report: Report, now: datetime) -> Step:
    state, since, starts_at, event = standing.state, standing.pending_since, standing.starts_at, ""
    if state == AlertState.PENDING and _held_long_enough(since, report.for_seconds, now):
        state, starts_at, event = AlertState.FIRING, now, "firing"
    elif report.severity != standing.severity:
        event = "severity"
        if state == AlertState.ACKNOWLEDGED and is_worse(report.severity, standing.severity):
            # Who acknowledged the lesser evil did not take on this one.
            state = AlertState.FIRING
    return Step(event, state, report.severity, since, starts_at, report.ends_at)


def _held_long_enough(since: datetime | None, seconds: int, now: datetime) -> bool:
    return since is None or now - since >= timedelta(seconds=seconds)


def _kept_firing(standing: Standing, report: Report, now: datetime) -> Step:
    """Let it fire on from the first report that it is over; later ones do not put the end off."""
    end = now + timedelta(seconds=report.keep_firing_seconds)
    if standing.ends_at is not None:
        end = min(end, standing.ends_at)
    if end <= now:
        return _resolved(standing, report, now)
    return Step("", standing.state, standing.severity, standing.pending_since, standing.starts_at, end)


def _resolved(standing: Standing, report: Report, now: datetime) -> Step:
    at = now
    if report.ends_at is not None and standing.starts_at <= report.ends_at <= now:
        at = report.ends_at
    return Step(
        "resolved", AlertState.RESOLVED, standing.severity, standing.pending_since, standing.starts_at,
        standing.ends_at, at,
    )  # fmt: skip


def quiet_until(
    severity: str, *, resolved_at: datetime | None, resolved_severity: str, cooldown_seconds: int
) -> datetime | None:
    """Return until when nobody is told of an alert again because the same one resolved lately; None to tell at once.

    An alert that is worse than it was before is never kept quiet.
    """
    if resolved_at is None or not cooldown_seconds or is_worse(severity, resolved_severity):
        return None
    return resolved_at + timedelta(seconds=cooldown_seconds)


def is_flapping(ended_count: int, most_changes: int) -> bool:
    """Say whether an alert that ended so often lately counts as flapping: it changed twice each time, and began."""
    return 2 * ended_count + 1 >= most_changes
