"""The pass that watches the passes, and the health check that watches them all from the web server.

A pass that has stopped cannot say so itself: this one reports the others straight to the intake, past rules and
conditions; that nothing runs at all is seen by `/readyz` and by an address outside that is no longer called.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from alerts.models import Alert, AlertRule, SweepState
from alerts.reports import Report
from alerts.services import intake
from alerts.sweeps import SWEEPS, Sweep
from core import outbound
from core.choices import Severity
from core.ports.health import HealthResult

MARGIN = timedelta(seconds=30)
FAILED_MARGIN = timedelta(minutes=5)
RULE_PATIENCE = timedelta(minutes=15)
SOURCE = "watch"
STALLED, BROKEN = "SweepStalled", "RuleCannotBeEvaluated"
MOST_BROKEN = 100
PING_SECONDS = 10.0
CURE = "See that a worker and the scheduler run: `manage.py up`, or `manage.py sweep` from cron."
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Age:
    """How long ago one pass last succeeded; `stalled` after three of its intervals, `failed` after ten."""

    sweep: Sweep
    age: timedelta
    error: str

    @property
    def stalled(self) -> bool:
        """Whether it should have run several times by now."""
        return self.age > 3 * self.sweep.every + MARGIN

    @property
    def failed(self) -> bool:
        """Whether nobody can rely on it any more."""
        return self.age > 10 * self.sweep.every + FAILED_MARGIN


def run(now: datetime) -> int:
    """Report passes that have stopped and rules that cannot be evaluated; call the address outside when all is well."""
    found = ages(now=now)
    stalled = [age for age in found if age.stalled and age.sweep.name != "watch"]
    with transaction.atomic():
        reports = [*_stalled(stalled, now), *_broken(now)]
        reports += _over(reports, now)
        if reports:
            intake.record(reports, now=now)
    if not stalled:
        ping()
    return len(found)


def ages(*, now: datetime) -> list[Age]:
    """Return how long ago every pass last succeeded; one that never did counts from when it was first known."""
    states = {state.name: state for state in SweepState.objects.all()}
    return [_age(sweep, states[name], now) for name, sweep in SWEEPS.items() if name in states]


def keep_states(*, now: datetime) -> None:
    """Have a row for every pass, so that one that never ran is missed."""
    SweepState.objects.bulk_create(
        [
            SweepState(name=sweep.name, every_seconds=int(sweep.every.total_seconds()), created_at=now)
            for sweep in SWEEPS.values()
        ],
        ignore_conflicts=True,
    )


def check_sweeps() -> HealthResult:
    """Say which passes have stopped: a warning after three of their intervals, failed after ten."""
    found = ages(now=timezone.now())
    late = [age for age in found if age.stalled]
    if not late:
        return HealthResult("ok", f"{len(found)} passes are on time")
    said = ", ".join(_said(age) for age in late)
    return HealthResult("failed" if any(age.failed for age in late) else "warning", said, CURE)


def ping() -> bool:
    """Call the address outside that expects to be called, if one is set; True when it answered well.

    That it did not is no more than a warning: whoever waits there will notice.
    """
    address = settings.ALERTS_DEADMAN_URL
    if not address:
        return False
    try:
        answer = outbound.request("GET", address, timeout=PING_SECONDS)
    except outbound.OutboundError as error:
        log.warning("deadman_failed", reason=str(error))
        return False
    return 200 <= answer.status < 300


def _age(sweep: Sweep, state: SweepState, now: datetime) -> Age:
    # An instant of the future was written by a clock that ran ahead: the pass has not run since that was mended.
    return Age(sweep, abs(now - (state.finished_at or state.created_at)), state.error)


def _said(age: Age) -> str:
    why = f": {age.error}" if age.error else ""
    return f"{age.sweep.name} {int(age.age.total_seconds())} s ago{why}"


def _stalled(late: Iterable[Age], now: datetime) -> list[Report]:
    link = reverse("admin:alerts_sweepstate_changelist")
    return [
        _report(
            {"alertname": STALLED, "severity": Severity.HIGH, "sweep": age.sweep.name},
            f"The pass {_said(age)} has not succeeded since. {CURE}",
            link,
            now,
        )
        for age in late
    ]


def _broken(now: datetime) -> list[Report]:
    rules = AlertRule.objects.filter(enabled=True, error_since__lte=now - RULE_PATIENCE).order_by("pk")[:MOST_BROKEN]
    return [
        _report(
            {"alertname": BROKEN, "severity": Severity.MEDIUM, "rule": rule.slug},
            f"The rule {rule.name} cannot be evaluated: {rule.last_error}",
            reverse("admin:alerts_alertrule_change", args=[rule.pk]),
            now,
        )
        for rule in rules
    ]


def _report(labels: dict[str, str], summary: str, link: str, now: datetime) -> Report:
    return Report(
        labels={name: str(value) for name, value in labels.items()},
        severity=labels["severity"],
        source=SOURCE,
        active=True,
        starts_at=now,
        annotations={"summary": summary},
        generator_url=link,
    )


def _over(reports: Iterable[Report], now: datetime) -> list[Report]:
    """Return reports for the open alerts of this pass that hold no longer."""
    holding = {tuple(sorted(report.labels.items())) for report in reports}
    return [
        Report(labels=alert.labels, severity=alert.severity, source=SOURCE, active=False, starts_at=alert.starts_at)
        for alert in Alert.objects.filter(source=SOURCE, resolved_at=None).order_by("fingerprint")
        if tuple(sorted(alert.labels.items())) not in holding
    ]
