"""What was found about rules becomes reports of alerts, by each rule's policy for missing data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.urls import reverse

from alerts.choices import NoData
from alerts.dockets import KeptRule
from alerts.judging import Finding
from alerts.kinds.base import Fact, Verdict, fact
from alerts.models import Alert, AlertRule
from alerts.reports import Report
from core.money import to_text

SOURCE = "rule"
NO_DATA_NOTE = "no data"
NO_DATA = ("reason", NO_DATA_NOTE)
RESERVED_LABELS = frozenset({"alertname", "severity"})
_FIELD = re.compile(r"\{\{\s*(value|labels\.[\w.-]+)\s*\}\}")


def reports_of(
    rules: Sequence[KeptRule], found: Sequence[Finding], open_alerts: Mapping[UUID, Sequence[Fact]], *, slot: datetime
) -> list[Report]:
    """Return the reports that follow: of what is wrong, and of open alerts whose label set is right again.

    Runs in the transaction that commits them, with the rules it reports of locked: a rule that was changed, disabled
    or deleted while it was evaluated has nothing to say. Makes one query, however many rules there are.
    """
    telling = [
        (rule, finding)
        for rule, finding in zip(rules, found, strict=True)
        if rule.id in open_alerts or _tells(rule, finding)
    ]
    if not telling:
        return []
    current = {
        rule.pk: rule
        for rule in AlertRule.objects.select_for_update(of=("self",))
        .filter(pk__in=[rule.id for rule, _ in telling], enabled=True)
        .order_by("pk")
    }
    reports: list[Report] = []
    for known, finding in telling:
        rule = current.get(known.id)
        if rule is not None and rule.revision == known.revision:
            reports.extend(_of_rule(rule, finding, slot, open_alerts.get(known.id, ())))
    return reports


def open_alerts() -> dict[UUID, list[Fact]]:
    """Return the label sets of the open alerts of rules, by rule."""
    found: dict[UUID, list[Fact]] = {}
    rows = Alert.objects.filter(resolved_at=None, source=SOURCE, rule__isnull=False)
    for rule_id, labels in rows.values_list("rule_id", "labels"):
        found.setdefault(rule_id, []).append(fact(labels))
    return found


def labels_of(rule: AlertRule, found: Fact) -> dict[str, str]:
    """Return the labels of a rule's alert for one label set."""
    return {**rule.labels, **dict(found), "alertname": rule.name, "severity": rule.severity}


def annotations_of(rule: AlertRule, labels: Mapping[str, str], value: Decimal | None, note: str) -> dict[str, str]:
    """Return a rule's annotations with {{ value }} and {{ labels.name }} filled in, and what is always said."""
    shown = "" if value is None else to_text(value)

    def fill(match: re.Match[str]) -> str:
        name = match.group(1)
        return shown if name == "value" else labels.get(name.removeprefix("labels."), "")

    said = {name: _FIELD.sub(fill, text) for name, text in rule.annotations.items()}
    usual = {"summary": rule.name + (f": {shown}" if shown else ""), "description": rule.description, "note": note}
    if rule.runbook_id is not None:
        usual["runbook_url"] = reverse("admin:alerts_runbook_change", args=[rule.runbook_id])
    return {**{name: text for name, text in usual.items() if text}, **said}


def keep_errors(found: Iterable[tuple[KeptRule, Finding]], *, now: datetime) -> None:
    """Keep why rules could not look, as far as that has changed; one statement for each reason that is new."""
    errors = {rule.id: finding.error[:500] for rule, finding in found if finding.error and not finding.waiting}
    looked = {rule.id for rule, _ in found}
    known = dict(AlertRule.objects.exclude(last_error="").values_list("pk", "last_error"))
    mended = [pk for pk in known if pk in looked and pk not in errors]
    if mended:
        AlertRule.objects.filter(pk__in=mended).update(last_error="", error_since=None)
    changed: dict[str, list[UUID]] = {}
    for pk, text in errors.items():
        if known.get(pk) != text:
            changed.setdefault(text, []).append(pk)
    for text, keys in changed.items():
        rules = AlertRule.objects.filter(pk__in=keys)
        rules.update(last_error=text, error_since=Coalesce("error_since", Value(now, DateTimeField())))


def _tells(rule: KeptRule, finding: Finding) -> bool:
    if any(verdict.active for verdict in finding.verdicts):
        return True
    if rule.no_data != NoData.FIRE:
        return False
    return not finding.verdicts or any(verdict.active is None for verdict in finding.verdicts)


def _of_rule(rule: AlertRule, finding: Finding, slot: datetime, open_labels: Iterable[Fact]) -> Iterator[Report]:
    verdicts = list(_with_no_data(rule, finding))
    by_labels = {fact(labels_of(rule, verdict.labels)): verdict for verdict in verdicts}
    for labels, verdict in by_labels.items():
        if _active(rule, verdict):
            yield _report(rule, slot, labels, verdict, active=True)
    for labels in open_labels:
        known = by_labels.get(labels)
        if known is not None:
            if _right(rule, known):
                yield _report(rule, slot, labels, known, active=False)
        elif _vanished_is_right(rule, finding, labels):
            yield _report(rule, slot, labels, Verdict(labels, False, None, NO_DATA_NOTE), active=False)
        elif rule.no_data == NoData.FIRE and NO_DATA not in labels:
            yield _report(rule, slot, labels, Verdict(labels, True, None, NO_DATA_NOTE), active=True)


def _with_no_data(rule: AlertRule, finding: Finding) -> Iterator[Verdict]:
    """Yield the verdicts, and one about missing data where there is none at all and the rule counts that as wrong."""
    if finding.verdicts:
        yield from finding.verdicts
    elif rule.no_data == NoData.FIRE:
        yield Verdict((NO_DATA,), True, None, finding.error or NO_DATA_NOTE)


def _active(rule: AlertRule, verdict: Verdict) -> bool:
    return bool(verdict.active) or (verdict.active is None and rule.no_data == NoData.FIRE)


def _right(rule: AlertRule, verdict: Verdict) -> bool:
    return verdict.active is False or (verdict.active is None and rule.no_data == NoData.RESOLVE)


def _vanished_is_right(rule: AlertRule, finding: Finding, labels: Fact) -> bool:
    """Say whether an open alert is over although nothing was found for its label set.

    One about missing data is, as soon as there is data; any other by the rule's policy.
    """
    if NO_DATA in labels:
        return bool(finding.verdicts)
    return rule.no_data == NoData.RESOLVE and not finding.error


def _report(rule: AlertRule, slot: datetime, labels: Fact, verdict: Verdict, *, active: bool) -> Report:
    named = dict(labels)
    return Report(
        labels=named,
        severity=rule.severity,
        source=SOURCE,
        active=active,
        starts_at=slot,
        annotations=annotations_of(rule, named, verdict.value, verdict.note),
        generator_url=reverse("admin:alerts_alertrule_change", args=[rule.pk]),
        value=verdict.value,
        rule_id=rule.pk,
        for_seconds=rule.for_seconds,
        keep_firing_seconds=rule.keep_firing_seconds,
    )
