"""Inhibition, evaluated when a group is flushed: what fires now hides what is its consequence, also after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from alerts.choices import ACTIVE_STATES
from alerts.matching import Matcher, matches, stored_matchers
from alerts.models import Alert, InhibitRule
from alerts.services.routetree import labels_of

Values = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    sources: tuple[Matcher, ...]
    targets: tuple[Matcher, ...]
    equal: tuple[str, ...]

    def values(self, labels: Mapping[str, str]) -> Values:
        return tuple(labels.get(name, "") for name in self.equal)


@dataclass(frozen=True, slots=True)
class Inhibitor:
    """An alert that hides another, and the rule by which it does."""

    alert: UUID
    fingerprint: str
    rule: str


def inhibitors_of(alerts: Iterable[Alert]) -> dict[UUID, Inhibitor]:
    """Return which of these active alerts are hidden by another active one, with one query per rule that applies.

    As in Alertmanager, labels that both lack count as equal, and an alert that is source and target of a rule is not
    hidden by another such: they would hide each other.
    """
    waiting = [(alert, labels_of(alert)) for alert in alerts]
    found: dict[UUID, Inhibitor] = {}
    for rule in _rules():
        targets = [
            (alert, labels) for alert, labels in waiting if alert.pk not in found and matches(rule.targets, labels)
        ]
        if targets:
            found |= _inhibited(rule, targets)
    return found


def _rules() -> list[_Rule]:
    return [
        _Rule(
            rule.name, stored_matchers(rule.source_matchers), stored_matchers(rule.target_matchers), tuple(rule.equal)
        )
        for rule in InhibitRule.objects.filter(enabled=True)
    ]


def _inhibited(rule: _Rule, targets: Sequence[tuple[Alert, dict[str, str]]]) -> dict[UUID, Inhibitor]:
    one_sided: dict[Values, Alert] = {}
    any_side: dict[Values, Alert] = {}
    for source in _sources(rule, [alert.name for alert, _ in targets]).iterator(chunk_size=2000):
        labels = labels_of(source)
        if matches(rule.sources, labels):
            values = rule.values(labels)
            any_side.setdefault(values, source)
            if not matches(rule.targets, labels):
                one_sided.setdefault(values, source)
    found = {}
    for alert, labels in targets:
        by = (one_sided if matches(rule.sources, labels) else any_side).get(rule.values(labels))
        if by is not None:
            found[alert.pk] = Inhibitor(by.pk, by.fingerprint, rule.name)
    return found


def _sources(rule: _Rule, names: Sequence[str]) -> QuerySet[Alert]:
    """Return the alerts that can be sources: narrowed by what is a column, the rest is looked at one by one."""
    rows = Alert.objects.filter(state__in=ACTIVE_STATES).defer("annotations", "generator_url").order_by("pk")
    if "alertname" in rule.equal:
        rows = rows.filter(name__in=set(names))
    for matcher in rule.sources:
        if matcher.name == "alertname" and matcher.op == "=":
            rows = rows.filter(name=matcher.value[:200])
    return rows
