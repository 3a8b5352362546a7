"""What a batch of reports makes of the alerts that are open, worked out in memory between two reads and two writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction

from alerts.choices import AlertState
from alerts.fingerprints import fingerprint
from alerts.lifecycle import Step, is_worse, opened, quiet_until, reported
from alerts.models import AlertRule
from alerts.reports import Report
from alerts.services import nudges
from alerts.services.intake import postgresql, sqlite
from alerts.services.intake.rows import Changed, Known, New, Past, ReadPast
from core.ids import uuid7s

# A fingerprint that was opened by somebody else between the read and the write is looked at again.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a batch did: alerts that began, changed state or severity, ended, and were only seen again."""

    opened: int = 0
    changed: int = 0
    resolved: int = 0
    repeated: int = 0


def record(reports: Sequence[Report], *, now: datetime) -> Recorded:
    """Write a batch of reports in the caller's transaction, with a constant number of statements.

    Of several reports with the same labels the last one counts. Each change of state is one AlertEvent and one step of
    the alert's `seq`, however many record the same at once: rows are taken in the order of their fingerprints, a
    change is a compare-and-swap on `seq`, and at most one alert of a fingerprint is open. Reports that something is
    right which was never wrong do nothing.
    """
    waiting = {fingerprint(report.labels): report for report in reports}
    total = Recorded()
    with transaction.atomic(savepoint=False):
        for _ in range(TRIES):
            if not waiting:
                break
            batch = _Batch(dict(sorted(waiting.items())), now)
            lost = batch.write()
            total = batch.add_to(total, lost)
            waiting = {key: waiting[key] for key in lost}
        if waiting:
            raise RuntimeError(f"{len(waiting)} alerts were changed by others {TRIES} times over")
        if total.opened or total.changed or total.resolved:
            nudges.wake("route")
    return total


@dataclass
class _Batch:
    """One round: what is known, what becomes of it, and what another writer got to first."""

    reports: Mapping[str, Report]
    now: datetime
    new: list[New] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)

    def write(self) -> Collection[str]:
        """Write the round; return the fingerprints that have to be looked at again."""
        store = postgresql if connection.vendor == "postgresql" else sqlite
        known = {row.fingerprint: row for row in store.read_open(list(self.reports))}
        begun: list[tuple[str, Report, Step]] = []
        for key, report in self.reports.items():
            row = known.get(key)
            if row is not None:
                self.changed.append(_changed(row, report, reported(row.standing, report, self.now)))
            elif (step := opened(report, self.now)) is not None:
                begun.append((key, report, step))
        if begun:
            self.new = _new(begun, store.read_past, self.now)
        return [*store.insert(self.new, self.now), *store.update(self.changed, self.now)]

    def add_to(self, total: Recorded, lost: Collection[str]) -> Recorded:
        """Return the total with what this round did."""
        gone = frozenset(lost)
        done = [item for item in self.changed if item.fingerprint not in gone]
        resolved = sum(item.step.state == AlertState.RESOLVED for item in done)
        moved = sum(bool(item.step.event) for item in done)
        return Recorded(
            total.opened + sum(item.fingerprint not in gone for item in self.new),
            total.changed + moved - resolved,
            total.resolved + resolved,
            total.repeated + len(done) - moved,
        )


def _changed(row: Known, report: Report, step: Step) -> Changed:
    worse = is_worse(step.severity, row.standing.severity)
    quiet = None if worse else row.quiet_until
    return Changed(row.id, row.fingerprint, row.seq, row.standing.state, step, quiet, report)


def _new(begun: Sequence[tuple[str, Report, Step]], read_past: ReadPast, now: datetime) -> list[New]:
    window = timedelta(minutes=settings.ALERTS_FLAP_MINUTES)
    cooldowns = _cooldowns(report.rule_id for _, report, _ in begun)
    since = now - max([window, *(timedelta(seconds=seconds) for seconds in cooldowns.values())])
    past: dict[str, list[Past]] = {}
    for item in read_past([key for key, _, _ in begun], since):
        past.setdefault(item.fingerprint, []).append(item)
    ids = uuid7s(len(begun))
    return [
        _beginning(ids[index], item, past.get(item[0], ()), cooldowns, now - window) for index, item in enumerate(begun)
    ]


def _beginning(
    key: UUID,
    begun: tuple[str, Report, Step],
    past: Sequence[Past],
    cooldowns: Mapping[UUID, int],
    flaps_since: datetime,
) -> New:
    name, report, step = begun
    flaps = sum(item.resolved_at >= flaps_since for item in past)
    last = past[-1] if past else None
    quiet = quiet_until(
        report.severity,
        resolved_at=last.resolved_at if last else None,
        resolved_severity=last.severity if last else report.severity,
        cooldown_seconds=cooldowns.get(report.rule_id, 0) if report.rule_id else 0,
    )
    return New(key, name, step, quiet, flaps, report)


def _cooldowns(rules: Iterable[UUID | None]) -> dict[UUID, int]:
    wanted = {rule for rule in rules if rule is not None}
    if not wanted:
        return {}
    rows = AlertRule.objects.filter(pk__in=wanted, cooldown_seconds__gt=0)
    return dict(rows.values_list("pk", "cooldown_seconds"))
