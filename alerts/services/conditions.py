"""The pass that turns what the platform's apps report into alerts.

Each condition counts its changes of state. What was read of it is kept by that count, so a change is never missed and
never told twice, whoever looks and however often; one that began and ended between two looks was still an alert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import structlog
from django.db import connection, transaction
from django.db.models import F, Q

from alerts.choices import RuleKind
from alerts.judging import terms_of
from alerts.kinds.reported import ConditionParameters
from alerts.models import AlertRule, SeenCondition
from alerts.reports import Report
from alerts.services import intake
from alerts.services.findings import annotations_of
from core.models import ConditionRecord

AT_ONCE = 500
LOCK = "alerts.read_conditions"
SOURCE = "condition"
SKEW = timedelta(minutes=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Terms:
    """How one condition is told: its rule, or none for a condition that no rule is for."""

    rule: AlertRule | None = None
    parameters: ConditionParameters | None = None

    @property
    def told(self) -> bool:
        """Whether anybody is told: not when the rule for it is disabled."""
        return self.rule is None or self.rule.enabled

    def severity(self, record: ConditionRecord) -> str:
        """Return how bad the condition is by this rule."""
        severities: Mapping[str, str] = self.parameters.severities if self.parameters else {}  # type: ignore[assignment]
        return severities.get(record.severity, record.severity)

    def labels(self, record: ConditionRecord) -> dict[str, str]:
        """Return the labels of the condition's alert."""
        return {
            **(self.rule.labels if self.rule else {}),
            **{name: str(value) for name, value in record.labels.items()},
            "alertname": self.rule.name if self.rule else record.source,
            "source": record.source,
            "severity": self.severity(record),
        }


@dataclass(slots=True)
class Telling:
    """What is reported in one portion: first what ended, then what began, then what of it has ended already."""

    ended: list[Report] = field(default_factory=list)
    begun: list[Report] = field(default_factory=list)
    over: list[Report] = field(default_factory=list)
    seen: list[SeenCondition] = field(default_factory=list)


def run(now: datetime) -> int:
    """Tell of every condition that has changed; returns how many. Leaves at once when another worker is at it."""
    told = 0
    while True:
        portion = _portion(now)
        told += portion
        if portion < AT_ONCE:
            return told


def look_again() -> None:
    """Have every condition that fires told anew: what rules say of them has changed."""
    SeenCondition.objects.filter(condition__firing=True).update(seen_at=LONG_AGO)


@transaction.atomic
def _portion(now: datetime) -> int:
    if not _alone():
        return 0
    changed = _changed(now)
    if not changed:
        return 0
    now = _not_before(changed, now)
    rules = _rules()
    telling = Telling()
    for record in changed:
        _tell(record, _terms(rules, record), telling, now)
    for reports in (telling.ended, telling.begun, telling.over):
        if reports:
            intake.record(reports, now=now)
    SeenCondition.objects.bulk_create(
        telling.seen,
        update_conflicts=True,
        unique_fields=["condition"],
        update_fields=["revision", "seen_at", "labels", "severity", "retell_at"],
    )
    return len(changed)


def _alone() -> bool:
    """Say whether no other worker reads conditions; SQLite has one writer, and its transactions here begin as one."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtext(%s))", [LOCK])
        return bool(cursor.fetchone()[0])


def _changed(now: datetime) -> list[ConditionRecord]:
    """Return conditions whose state has changed since they were told, that were raised again, or that are due again."""
    behind = (
        Q(alerts_seen=None)
        | Q(revision__gt=F("alerts_seen__revision"))
        | Q(firing=True, seen_at__gt=F("alerts_seen__seen_at"))
        | Q(firing=True, alerts_seen__retell_at__lte=now)
    )
    return list(ConditionRecord.objects.filter(behind).select_related("alerts_seen").order_by("pk")[:AT_ONCE])


def _not_before(changed: Sequence[ConditionRecord], now: datetime) -> datetime:
    """Return an instant that no change lies after: some came in while this worker waited, or by a clock ahead of its.

    What lies further ahead than clocks differ is not believed.
    """
    latest = max(record.changed_at for record in changed)
    return latest if now < latest <= now + SKEW else now


def _rules() -> list[Terms]:
    """Return the condition rules, the most exact first."""
    found = []
    for rule in AlertRule.objects.filter(kind=RuleKind.CONDITION).order_by("slug"):
        try:
            found.append(Terms(rule, terms_of(rule.kind, rule.parameters).parameters))
        except msgspec.ValidationError as error:
            log.warning("condition_rule_unreadable", rule=rule.slug, reason=str(error))
    return sorted(found, key=_exactness, reverse=True)


def _exactness(terms: Terms) -> tuple[int, int, int]:
    return terms.parameters.exactness() if terms.parameters else (0, 0, 0)


def _terms(rules: Sequence[Terms], record: ConditionRecord) -> Terms:
    for terms in rules:
        if terms.parameters and terms.parameters.fits(record.source, record.key, record.labels):
            return terms
    return Terms()


def _tell(record: ConditionRecord, terms: Terms, telling: Telling, now: datetime) -> None:
    """Add to the telling what has happened to one condition since it was last told."""
    seen: SeenCondition | None = getattr(record, "alerts_seen", None)
    turns = record.revision - (seen.revision if seen else 0)
    open_labels: dict[str, str] = seen.labels if seen else {}
    labels = terms.labels(record) if terms.told else {}
    again = turns >= (2 if open_labels and record.firing else 3 if open_labels else 2)
    if open_labels and seen and (turns or open_labels != labels):
        # What is told by another rule now has not ended; what fired again had ended before that.
        ended_at = now if not turns else record.raised_at if again else record.changed_at
        telling.ended.append(_report(record, terms, open_labels, seen.severity, now=now, ended_at=ended_at))
    if labels and (record.firing or again):
        telling.begun.append(_report(record, terms, labels, labels["severity"], now=now))
        if not record.firing:
            telling.over.append(_report(record, terms, labels, labels["severity"], now=now, ended_at=record.changed_at))
    holds = bool(labels) and record.firing
    telling.seen.append(
        SeenCondition(
            condition=record,
            revision=record.revision,
            seen_at=record.seen_at,
            labels=labels if holds else {},
            severity=terms.severity(record),
            retell_at=_retell_at(terms, seen, turns, now) if holds else None,
        )
    )


def _retell_at(terms: Terms, seen: SeenCondition | None, turns: int, now: datetime) -> datetime | None:
    """Return when a condition that has to hold for a while is told once more: once, unless it began anew."""
    wait = timedelta(seconds=terms.rule.for_seconds if terms.rule else 0)
    if not wait:
        return None
    if seen is not None and seen.labels and not turns:
        return seen.retell_at if seen.retell_at and seen.retell_at > now else None
    return now + wait


def _report(
    record: ConditionRecord,
    terms: Terms,
    labels: Mapping[str, str],
    severity: str,
    *,
    now: datetime,
    ended_at: datetime | None = None,
) -> Report:
    rule = terms.rule
    own = rule.annotations if rule else {}
    said = {name: text for name, text in (("summary", record.summary), ("condition", record.key)) if name not in own}
    return Report(
        labels=dict(labels),
        severity=severity,
        source=SOURCE,
        active=ended_at is None,
        starts_at=min(record.raised_at, now),
        ends_at=None if ended_at is None else min(ended_at, now),
        annotations={**_annotations(rule, labels), **said},
        generator_url=record.link,
        rule_id=rule.pk if rule else None,
        for_seconds=rule.for_seconds if rule else 0,
        keep_firing_seconds=rule.keep_firing_seconds if rule else 0,
    )


def _annotations(rule: AlertRule | None, labels: Mapping[str, str]) -> dict[str, str]:
    return annotations_of(rule, labels, None, "") if rule else {}
