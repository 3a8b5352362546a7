"""What was found about rules becomes reports of alerts, by each rule's policy for missing data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.urls import reverse

from alerts.choices import NoData
from alerts.judging import Finding
from alerts.kinds.base import Fact, Verdict, fact
from alerts.models import Alert, AlertRule
from alerts.reports import Report
from core.money import to_text

SOURCE = "rule"
NO_DATA = ("reason", "no data")
RESERVED_LABELS = frozenset({"alertname", "severity"})
_FIELD = re.compile(r"\{\{\s*(value|labels\.[\w.-]+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Found:
    """What one rule, as it was at `revision`, found as of `slot`."""

    rule_id: UUID
    revision: int
    no_data: str
    slot: datetime
    finding: Finding


def reports_of(found: Sequence[Found]) -> list[Report]:
    """Return the reports that follow: of what is wrong, and of open alerts whose label set is right again.

    Runs in the transaction that commits them, with the rules it reports of locked: a rule that was changed, disabled
    or deleted while it was evaluated has nothing to say. Makes three queries, however many rules there are.
    """
    open_alerts = _open_alerts()
    telling = [one for one in found if one.rule_id in open_alerts or _tells(one)]
    if not telling:
        return []
    rules = {
        rule.pk: rule
        for rule in AlertRule.objects.select_for_update(of=("self",))
        .filter(pk__in=[one.rule_id for one in telling], enabled=True)
        .order_by("pk")
    }
    reports: list[Report] = []
    for one in telling:
        rule = rules.get(one.rule_id)
        if rule is not None and rule.revision == one.revision:
            reports.extend(_of_rule(rule, one, open_alerts.get(one.rule_id, ())))
    return reports


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


def keep_errors(errors: Mapping[UUID, str], *, now: datetime) -> None:
    """Keep why rules could not look, as far as that has changed; as many statements as there are different reasons."""
    by_text: dict[str, list[UUID]] = {}
    for rule_id, text in errors.items():
        by_text.setdefault(text[:500], []).append(rule_id)
    for text, ids in by_text.items():
        rules = AlertRule.objects.filter(pk__in=ids)
        if text:
            rules.filter(error_since=None).update(error_since=now)
            rules.update(last_error=text)
        else:
            rules.update(last_error="", error_since=None)


def _open_alerts() -> dict[UUID, list[Fact]]:
    """Return the label sets of the open alerts of rules, by rule."""
    found: dict[UUID, list[Fact]] = {}
    rows = Alert.objects.filter(resolved_at=None, source=SOURCE, rule__isnull=False)
    for rule_id, labels in rows.values_list("rule_id", "labels"):
        found.setdefault(rule_id, []).append(fact(labels))
    return found


def _tells(one: Found) -> bool:
    finding = one.finding
    if any(verdict.active for verdict in finding.verdicts):
        return True
    unknown = not finding.verdicts or any(verdict.active is None for verdict in finding.verdicts)
    return one.no_data == NoData.FIRE and unknown


def _of_rule(rule: AlertRule, one: Found, open_labels: Iterable[Fact]) -> Iterator[Report]:
    verdicts = list(_with_no_data(one))
    by_labels = {fact(labels_of(rule, verdict.labels)): verdict for verdict in verdicts}
    for labels, verdict in by_labels.items():
        if _active(rule, verdict):
            yield _report(rule, one.slot, labels, verdict, active=True)
    for labels in open_labels:
        known = by_labels.get(labels)
        if known is not None:
            if _right(rule, known):
                yield _report(rule, one.slot, labels, known, active=False)
        elif _vanished_is_right(rule, one, labels):
            yield _report(rule, one.slot, labels, Verdict(labels, False, None, "no data"), active=False)
        elif rule.no_data == NoData.FIRE and NO_DATA not in labels:
            yield _report(rule, one.slot, labels, Verdict(labels, True, None, "no data"), active=True)


def _with_no_data(one: Found) -> Iterator[Verdict]:
    """Yield the verdicts, and one about missing data where there is none at all and the rule counts that as wrong."""
    if one.finding.verdicts:
        yield from one.finding.verdicts
    elif one.no_data == NoData.FIRE:
        yield Verdict((NO_DATA,), True, None, one.finding.error or "no data")


def _active(rule: AlertRule, verdict: Verdict) -> bool:
    return bool(verdict.active) or (verdict.active is None and rule.no_data == NoData.FIRE)


def _right(rule: AlertRule, verdict: Verdict) -> bool:
    return verdict.active is False or (verdict.active is None and rule.no_data == NoData.RESOLVE)


def _vanished_is_right(rule: AlertRule, one: Found, labels: Fact) -> bool:
    """Say whether an open alert is over although nothing was found for its label set.

    One about missing data is, as soon as there is data; any other by the rule's policy.
    """
    if NO_DATA in labels:
        return bool(one.finding.verdicts)
    return rule.no_data == NoData.RESOLVE


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
