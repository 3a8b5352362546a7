"""The pass that evaluates rules: claim the intervals that are due, judge outside any transaction, commit fenced.

All rules of an interval are due at its whole multiples, so one lease stands for all of them, the number of queries does
not grow with the number of rules, and rules that find nothing wrong cost no write.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.db import transaction
from django.db.models import Q

from alerts import dockets
from alerts.choices import EVALUATED_KINDS
from alerts.judging import Finding
from alerts.kinds import floor_slot
from alerts.models import AlertRule, EvaluationClock
from alerts.services import findings, intake
from core import leases

LEASE = timedelta(seconds=90)
MOST_CLOCKS = 50
PUNCTUAL = timedelta(seconds=60)
log = structlog.get_logger(__name__)


class LeaseLost(Exception):
    """Another worker has taken over what this one evaluated; its results are thrown away."""


@dataclass(slots=True)
class Batch:
    """The clocks one worker has claimed, and the instants that their rules are evaluated as of."""

    clocks: list[EvaluationClock]
    slots: dict[int, datetime]
    begun: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)

    def keep(self, now: datetime) -> None:
        """Make the lease longer when a third of it is over, so that many slow reads do not lose it."""
        elapsed = time.monotonic()
        if elapsed - self.renewed < LEASE.total_seconds() / 3:
            return
        until = now + timedelta(seconds=elapsed - self.begun) + LEASE
        held = EvaluationClock.objects.filter(
            pk__in=[clock.pk for clock in self.clocks], lease_token=self.clocks[0].lease_token
        )
        if held.update(lease_until=until) != len(self.clocks):
            raise LeaseLost
        self.renewed = elapsed


class Judged(NamedTuple):
    """What the rules of one slot have found, in the order of the rules."""

    slot: datetime
    rules: Sequence[dockets.KeptRule]
    found: Sequence[Finding]


def run(now: datetime) -> int:
    """Evaluate every enabled rule whose slot has come; returns how many. Nothing is done twice by two workers.

    A slot that was missed is not made up for: what counts is what holds now.
    """
    batch = _claim(now)
    if not batch.clocks:
        return 0
    try:
        judged = [_judge(batch, slot, now) for slot in sorted(set(batch.slots.values()))]
        _commit(batch, judged, now)
    except LeaseLost:
        log.warning("evaluation_overtaken", intervals=sorted(batch.slots))
        return 0
    return sum(len(one.rules) for one in judged)


def next_slot(interval_seconds: int, now: datetime) -> datetime:
    """Return when rules of an interval are due next."""
    return floor_slot(now, interval_seconds) + timedelta(seconds=interval_seconds)


def _claim(now: datetime) -> Batch:
    clocks = _clocks(now)
    slots = {clock.interval_seconds: floor_slot(now, clock.interval_seconds) for clock in clocks}
    due = [clock for clock in clocks if _is_due(clock, slots[clock.interval_seconds])]
    if not due:
        return Batch([], {})
    # With the slot that was read: another worker may have finished it since.
    same = [Q(pk=clock.pk, last_slot=clock.last_slot) for clock in due]
    wanted = same[0]
    for one in same[1:]:
        wanted |= one
    claimed = leases.claim(
        EvaluationClock.objects.filter(wanted), order_by=("interval_seconds",), limit=MOST_CLOCKS, lease=LEASE, now=now
    )
    return Batch(claimed, {clock.interval_seconds: slots[clock.interval_seconds] for clock in claimed})


def _is_due(clock: EvaluationClock, slot: datetime) -> bool:
    """Say whether the slot was not evaluated yet.

    A last slot of the future was written by a clock that ran ahead: within an interval it is waited for, so that
    nothing is evaluated twice; further ahead it would stop alerting for as long, and is not believed.
    """
    last = clock.last_slot
    return last is None or last < slot or last > slot + timedelta(seconds=clock.interval_seconds)


def _clocks(now: datetime) -> list[EvaluationClock]:
    """Return the clocks of the intervals in use; a new one is made. One that no rule uses is left alone."""
    intervals = set(
        AlertRule.objects.filter(enabled=True, kind__in=EVALUATED_KINDS)
        .order_by()
        .values_list("interval_seconds", flat=True)
        .distinct()
    )
    clocks = {clock.interval_seconds: clock for clock in EvaluationClock.objects.all()}
    missing = sorted(intervals - clocks.keys())
    if missing:
        EvaluationClock.objects.bulk_create(
            [EvaluationClock(interval_seconds=seconds) for seconds in missing], ignore_conflicts=True
        )
        clocks = {clock.interval_seconds: clock for clock in EvaluationClock.objects.all()}
    return [clocks[seconds] for seconds in sorted(intervals)]


def _judge(batch: Batch, slot: datetime, now: datetime) -> Judged:
    """Return what the rules find whose intervals share this slot."""
    intervals = [seconds for seconds, own in batch.slots.items() if own == slot]
    rules, docket = dockets.load(intervals)
    return Judged(slot, rules, docket.judge(slot, after_each=lambda: batch.keep(now)))


def _commit(batch: Batch, judged: Sequence[Judged], now: datetime) -> None:
    """Write what was found, and that it was found, in one transaction; raises LeaseLost when it is too late."""
    with transaction.atomic():
        counts = Counter(rule.interval_seconds for one in judged for rule in one.rules)
        for clock in batch.clocks:
            done = leases.release(
                last_slot=batch.slots[clock.interval_seconds],
                evaluated_at=now,
                seconds=time.monotonic() - batch.begun,
                rule_count=counts[clock.interval_seconds],
            )
            if not leases.held(clock).update(**done):
                raise LeaseLost
        open_alerts = findings.open_alerts()
        for one in judged:
            reports = findings.reports_of(one.rules, one.found, open_alerts, slot=one.slot)
            if reports:
                intake.record(reports, now=_as_of(one.slot, now))
        findings.keep_errors([pair for one in judged for pair in zip(one.rules, one.found, strict=True)], now=now)


def _as_of(slot: datetime, now: datetime) -> datetime:
    """Return the instant by which `for` is counted: the slot, whole intervals apart, unless it is long past."""
    return slot if now - slot <= PUNCTUAL else now
