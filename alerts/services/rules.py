"""Making, changing and deleting rules; every act is one transaction and one audit entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.text import slugify

from alerts.choices import RuleKind
from alerts.models import Alert, AlertRule, EvaluationClock, Runbook
from alerts.reports import Report
from alerts.services import conditions, intake
from alerts.services.rule_terms import RuleTerms, check_terms, metrics_of
from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing

PLAIN = (
    "name", "kind", "description", "severity", "for_seconds", "keep_firing_seconds", "interval_seconds",
    "cooldown_seconds", "no_data", "enabled",
)  # fmt: skip
# What the labels of a rule's alerts follow from: with another value of these its open alerts are no longer its own.
NAMING = ("metric", "errors", "total", "ratio", "bad", "labels", "by", "budgets", "checks", "heartbeats", "alertname")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleChange:
    """What is to be different; a value that is not named stays."""

    values: Mapping[str, object]


def create_rule(terms: RuleTerms, *, now: datetime) -> AlertRule:
    """Make a rule, evaluated from the next whole multiple of its interval. Raises Invalid with every mistake."""
    parameters = check_terms(terms)
    with transaction.atomic():
        rule = AlertRule(slug=_slug(terms), created_at=now)
        _assign(rule, terms, parameters)
        rule.save(force_insert=True)
        keep_clock(rule.interval_seconds)
        _tell_conditions(rule)
        audit.record("alert_rule.created", rule, now=now, after=describe(rule))
    return rule


def change_rule(
    rule_id: UUID, change: RuleChange, *, now: datetime, revision: int | None = None, reason: str = ""
) -> AlertRule:
    """Change a rule. Its alerts go on, unless they would have other labels from now on: then they are resolved.

    With `revision`, only as long as the rule is still the one that was looked at. Raises Missing, Conflict, Invalid.
    """
    with transaction.atomic():
        rule = _locked(rule_id)
        if revision is not None and revision != rule.revision:
            raise Conflict("The rule was changed by somebody else meanwhile.", code="changed_meanwhile")
        before, naming = describe(rule), _naming(rule)
        terms = replace(terms_of_rule(rule), **change.values)  # type: ignore[arg-type]  # names are those of RuleTerms
        parameters = check_terms(terms, known_metrics=metrics_of(rule.kind, rule.parameters))
        _assign(rule, terms, parameters)
        after = describe(rule)
        if after == before:
            return rule
        rule.revision += 1
        rule.last_error, rule.error_since = "", None
        rule.save()
        keep_clock(rule.interval_seconds)
        if naming != _naming(rule):
            _end_alerts(rule, now=now)
        _tell_conditions(rule)
        _record_change(rule, before, after, now=now, reason=reason)
    return rule


def delete_rule(rule_id: UUID, *, now: datetime, reason: str = "") -> None:
    """Delete a rule and resolve what it found; a default rule does not come back. Raises Missing."""
    with transaction.atomic():
        rule = _locked(rule_id)
        _end_alerts(rule, now=now)
        _tell_conditions(rule)
        audit.record("alert_rule.deleted", rule, now=now, before=describe(rule), reason=reason)
        rule.delete()


def set_enabled(rule_id: UUID, *, enabled: bool, now: datetime, reason: str = "") -> AlertRule:
    """Switch a rule on or off; off, its open alerts are resolved. Doing it twice changes nothing."""
    return change_rule(rule_id, RuleChange(values={"enabled": enabled}), now=now, reason=reason)


def terms_of_rule(rule: AlertRule) -> RuleTerms:
    """Return the terms of a stored rule."""
    return RuleTerms(
        **{name: getattr(rule, name) for name in PLAIN},
        slug=rule.slug,
        parameters=rule.parameters,
        labels=rule.labels,
        annotations=rule.annotations,
        runbook=rule.runbook.slug if rule.runbook else "",
    )


def describe(rule: AlertRule) -> dict[str, object]:
    """Return what the audit log keeps of a rule."""
    return asdict(terms_of_rule(rule))


def keep_clock(interval_seconds: int) -> None:
    """See that rules of an interval have a clock."""
    EvaluationClock.objects.bulk_create([EvaluationClock(interval_seconds=interval_seconds)], ignore_conflicts=True)


def _assign(rule: AlertRule, terms: RuleTerms, parameters: Mapping[str, Any]) -> None:
    for name in PLAIN:
        setattr(rule, name, getattr(terms, name))
    rule.name = terms.name.strip()
    rule.parameters = dict(parameters)
    rule.labels = dict(terms.labels)
    rule.annotations = dict(terms.annotations)
    rule.runbook = Runbook.objects.get(slug=terms.runbook) if terms.runbook else None


def _slug(terms: RuleTerms) -> str:
    """Return the slug that was asked for, or a free one made of the name; raises Invalid for one that is taken."""
    wanted = terms.slug or slugify(terms.name)[:90] or "rule"
    taken = set(AlertRule.objects.filter(slug__startswith=wanted).values_list("slug", flat=True))
    if wanted not in taken:
        return wanted
    if terms.slug:
        raise Invalid(f"There is a rule {wanted} already.", errors=[FieldError("/slug", "taken", "It is taken.")])
    return next(slug for number in range(2, len(taken) + 3) if (slug := f"{wanted}-{number}") not in taken)


def _locked(rule_id: UUID) -> AlertRule:
    rule = AlertRule.objects.select_for_update(of=("self",)).select_related("runbook").filter(pk=rule_id).first()
    if rule is None:
        raise Missing("There is no such rule.")
    return rule


def _naming(rule: AlertRule) -> tuple[object, ...]:
    parameters = tuple((name, rule.parameters.get(name)) for name in NAMING)
    return (rule.kind, rule.name, rule.severity, rule.labels, rule.enabled, parameters)


def _end_alerts(rule: AlertRule, *, now: datetime) -> None:
    reports = [
        Report(
            labels=alert.labels,
            severity=alert.severity,
            source=alert.source,
            active=False,
            starts_at=alert.starts_at,
            rule_id=rule.pk,
        )
        for alert in Alert.objects.filter(rule=rule, resolved_at=None).order_by("fingerprint")
    ]
    if reports:
        intake.record(reports, now=now)


def _tell_conditions(rule: AlertRule) -> None:
    if rule.kind == RuleKind.CONDITION:
        conditions.look_again()


def _record_change(
    rule: AlertRule, before: Mapping[str, object], after: Mapping[str, object], *, now: datetime, reason: str
) -> None:
    changed = [name for name in after if after[name] != before[name]]
    audit.record(
        "alert_rule.changed",
        rule,
        now=now,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        reason=reason,
    )
