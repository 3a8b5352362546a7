"""The rules that are there from the first start, until an operator decides otherwise.

What was written of each is remembered. A value that is still the one written follows the product; one that an operator
changed stays; a rule that an operator deleted does not come back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from alerts.choices import NoData, RuleKind
from alerts.judging import terms_of
from alerts.models import AlertRule, RuleDefault
from alerts.services.rules import keep_clock
from core.choices import Severity

FIELDS = (
    "name", "kind", "description", "parameters", "severity", "for_seconds", "keep_firing_seconds", "interval_seconds",
    "no_data", "labels", "annotations", "enabled",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """One rule the product comes with."""

    slug: str
    name: str
    kind: str
    description: str
    parameters: Mapping[str, object] = field(default_factory=dict)
    severity: str = Severity.HIGH
    for_seconds: int = 0
    keep_firing_seconds: int = 0
    no_data: str = NoData.RESOLVE

    def fields(self) -> dict[str, object]:
        """Return the values as they are stored."""
        checked = terms_of(self.kind, self.parameters)
        own = {name: getattr(self, name) for name in FIELDS if name in self.__slots__}
        plain = {
            name: str(value) if isinstance(value, Severity | NoData | RuleKind) else value
            for name, value in own.items()
        }
        usual = {"interval_seconds": 60, "labels": {}, "annotations": {}, "enabled": True}
        return {**usual, **plain, "parameters": checked.stored()}


DEFAULTS = (
    Default(
        slug="watchdog",
        name="Watchdog",
        kind=RuleKind.WATCHDOG,
        severity=Severity.INFO,
        description="Always fires, so that somebody outside who no longer hears of it knows that alerting has stopped.",
    ),
    Default(
        slug="error-rate",
        name="Error rate over 5 %",
        kind=RuleKind.ERROR_RATE,
        parameters={"ratio": "slas.error_ratio", "threshold": "0.05", "window_seconds": 300},
        for_seconds=120,
        description="More than one in twenty of a service's requests failed over the last five minutes.",
    ),
    Default(
        slug="latency-p95",
        name="p95 latency over 5 s",
        kind=RuleKind.THRESHOLD,
        parameters={"metric": "slas.latency_p95_seconds", "comparison": ">", "threshold": "5", "window_seconds": 300},
        severity=Severity.MEDIUM,
        for_seconds=300,
        description="One in twenty of a service's requests took longer than five seconds.",
    ),
    Default(
        slug="availability",
        name="Availability under 99 %",
        kind=RuleKind.THRESHOLD,
        parameters={
            "metric": "slas.availability_ratio",
            "comparison": "<",
            "threshold": "0.99",
            "window_seconds": 3600,
        },
        for_seconds=300,
        description="A service was available for less than 99 % of the last hour.",
    ),
    Default(
        slug="budget-threshold",
        name="Budget threshold reached",
        kind=RuleKind.CONDITION,
        parameters={"source": "costs.budget"},
        severity=Severity.MEDIUM,
        description="A budget has reached, or is expected to reach, one of its thresholds.",
    ),
    Default(
        slug="budget-exceeded",
        name="Budget exceeded",
        kind=RuleKind.CONDITION,
        parameters={"source": "costs.budget", "labels": {"threshold": "1", "basis": "actual"}},
        description="All of a budget is spent.",
    ),
    Default(
        slug="budget-overrun",
        name="Hard budget overrun",
        kind=RuleKind.CONDITION,
        parameters={"source": "costs.budget", "key": "*:overrun"},
        description="Spending went past a hard limit without having been set aside first.",
    ),
    Default(
        slug="backup",
        name="Backup failed or stale",
        kind=RuleKind.CONDITION,
        parameters={"source": "backups.*"},
        description="A backup failed, could not be verified, or the last good one is too old.",
    ),
    Default(
        slug="health-check",
        name="Health check failing",
        kind=RuleKind.HEALTH,
        parameters={"at_least": "failed"},
        for_seconds=120,
        description="A health check of the platform has failed for two minutes.",
    ),
    Default(
        slug="slo-burn",
        name="SLO burn rate",
        kind=RuleKind.CONDITION,
        parameters={"source": "slas.burn"},
        description="The error budget of an objective is used up faster than it lasts.",
    ),
    Default(
        slug="audit-gap",
        name="Audit log gap",
        kind=RuleKind.CONDITION,
        parameters={"source": "compliance.audit*"},
        severity=Severity.CRITICAL,
        description="The audit log has a gap, or an entry that does not fit the ones around it.",
    ),
)  # fmt: skip


@transaction.atomic
def keep_defaults(*, now: datetime) -> int:
    """Bring the default rules to this version; returns how many were made or changed. Safe to run any time, twice."""
    rules = {rule.slug: rule for rule in AlertRule.objects.filter(slug__in=[default.slug for default in DEFAULTS])}
    records = {record.slug: record for record in RuleDefault.objects.all()}
    changed = sum(_keep(default, rules.get(default.slug), records.get(default.slug), now) for default in DEFAULTS)
    if changed:
        for seconds in sorted({int(str(default.fields()["interval_seconds"])) for default in DEFAULTS}):
            keep_clock(seconds)
    return changed


def _keep(default: Default, rule: AlertRule | None, record: RuleDefault | None, now: datetime) -> bool:
    fields = default.fields()
    if record is not None and record.written == fields:
        return False
    if rule is None and record is None:
        # Somebody else who does the same just now is waited for, and then finds it made.
        made = AlertRule(slug=default.slug, is_default=True, created_at=now, **fields)
        AlertRule.objects.bulk_create([made], ignore_conflicts=True)
    elif rule is not None and record is not None:
        _follow(rule, record.written, fields)
    RuleDefault.objects.update_or_create(slug=default.slug, defaults={"written": fields, "synced_at": now})
    return True


def _follow(rule: AlertRule, written: Mapping[str, object], fields: Mapping[str, object]) -> None:
    """Give the rule the product's new values, as far as it has the old ones."""
    for name, value in fields.items():
        if getattr(rule, name) == written.get(name):
            setattr(rule, name, value)
    rule.revision += 1
    rule.save()
