"""Looking for threats: every rule over what was not seen before, with what is found reported as alerts.

What a rule has looked at and what it reported are one transaction, so a worker may be killed anywhere and two may look
at once: nothing is reported twice, and nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction
from django.db.models import F
from django.urls import reverse
from django.utils.http import urlencode

from alerts.correlation import Correlation, Event, Finding, find
from alerts.detection_terms import Terms, terms_of
from alerts.models import DetectionRule
from alerts.reports import Report
from alerts.services import audit_watch, event_sources, intake, key_spend
from core.errors import Refusal
from core.ports.conditions import Condition, clear_condition, raise_condition

# Events are committed in another order than they happened; whatever comes later than this is not seen any more.
LATENESS = timedelta(minutes=10)
FIRST_LOOK = timedelta(hours=1)
SAY_EVERY = timedelta(minutes=1)
SOURCE = "alerts.detection"
PAGE_OF = {"api_key": "api_key", "address": "address", "actor_id": "user", "user": "user"}

log = structlog.get_logger(__name__)


def run(now: datetime) -> int:
    """Look at every enabled rule once; return how many findings were reported. A rule that fails stops no other."""
    audit_watch.check(now=now)
    key_spend.tell(now=now)
    return sum(_looked(rule, now) for rule in DetectionRule.objects.filter(enabled=True).order_by("pk"))


def _looked(rule: DetectionRule, now: datetime) -> int:
    condition = Condition(SOURCE, rule.slug, "high", f"The detection rule {rule.name} cannot be evaluated")
    try:
        found = look(rule, now=now)
    except Refusal as refusal:
        DetectionRule.objects.filter(pk=rule.pk).update(last_error=refusal.detail[:500])
        raise_condition(condition, now=now)
        return 0
    except Exception as error:
        log.exception("detection_failed", rule=rule.slug)
        DetectionRule.objects.filter(pk=rule.pk).update(last_error=f"{type(error).__name__}: {error}"[:500])
        raise_condition(condition, now=now)
        return 0
    if rule.last_error:
        DetectionRule.objects.filter(pk=rule.pk).update(last_error="")
        clear_condition(condition, now=now)
    return found


def look(rule: DetectionRule, *, now: datetime) -> int:
    """Look at what one rule has not seen, report what it finds, and remember both; return how many findings.

    Raises Invalid for parameters that make no sense.
    """
    terms = terms_of(rule.kind, rule.parameters)
    recent = _recent(rule, terms, now)
    seen = set(rule.memory.get("seen", ()))
    fresh = {event.id for event in recent} - seen
    if not fresh and rule.evaluated_at is not None and now - rule.evaluated_at < SAY_EVERY:
        return 0
    findings = preview(terms, [event for event in recent if event.id in fresh])
    kept = sorted(event.id for event in recent if event.at >= now - LATENESS)
    with transaction.atomic():
        mine = DetectionRule.objects.filter(pk=rule.pk, revision=rule.revision)
        memory = {**rule.memory, "seen": kept}
        if not mine.update(revision=F("revision") + 1, evaluated_at=now, memory=memory):
            # Another worker looked at the same events.
            return 0
        if findings:
            intake.record([_report(rule, terms, finding, now) for finding in findings], now=now)
    return len(findings)


def preview(terms: Terms, fresh: Sequence[Event]) -> list[Finding]:
    """Return what holds around these events, reading what else is needed to know; writes nothing."""
    if not fresh:
        return []
    correlation = terms.correlation
    if correlation.kind == "new_value":
        events = [*fresh, *_earlier(terms, fresh)]
    elif correlation.kind == "baseline":
        events = [*_history(terms, fresh)]
    else:
        start = min(event.at for event in fresh) - correlation.window
        end = max(event.at for event in fresh) + correlation.window
        events = event_sources.between(terms.source, correlation.kinds, start, end)
    return find(correlation, events, {event.id for event in fresh})


def _recent(rule: DetectionRule, terms: Terms, now: datetime) -> list[Event]:
    first = now - min(terms.correlation.window, FIRST_LOOK)
    start = first if rule.evaluated_at is None else rule.evaluated_at - LATENESS
    return event_sources.between(terms.source, terms.correlation.kinds, start, now)


def _group(correlation: Correlation, event: Event) -> tuple[tuple[str, str], ...]:
    return tuple((name, event.value(name)) for name in correlation.group_by)


def _earlier(terms: Terms, fresh: Iterable[Event]) -> list[Event]:
    """Return, per group and value, the last event with the value and the last with any, before the first fresh one."""
    correlation = terms.correlation
    first: dict[tuple[tuple[tuple[str, str], ...], str], Event] = {}
    for event in sorted(fresh, key=lambda item: (item.at, item.id)):
        if any(step.takes(event) for step in correlation.steps):
            first.setdefault((_group(correlation, event), event.value(correlation.field)), event)
    found: dict[int, Event] = {}
    for (group, value), event in first.items():
        if all(text for _, text in group):
            for row in _last_before(terms, event, group, value):
                found[row.id] = row
    known = {event.id for event in fresh}
    return [event for event in found.values() if event.id not in known]


def _last_before(terms: Terms, event: Event, group: tuple[tuple[str, str], ...], value: str) -> list[Event]:
    correlation = terms.correlation
    rows = event_sources.rows(terms.source, correlation.kinds).filter(
        at__gt=event.at - correlation.window, at__lte=event.at
    )
    where = [item for step in correlation.steps for item in step.where.items()]
    mine = event_sources.narrow(terms.source, rows.exclude(pk=event.id), [*group, *where]).order_by("-pk")
    same = event_sources.narrow(terms.source, mine, [(correlation.field, value)])
    return [event_sources.event_of(terms.source, row) for part in (same, mine) for row in part[:1]]


def _history(terms: Terms, fresh: Iterable[Event]) -> list[Event]:
    """Return all events of the groups that could be above their usual: those whose hour alone passes the threshold."""
    correlation = terms.correlation
    groups: dict[tuple[tuple[str, str], ...], list[Event]] = {}
    for event in fresh:
        groups.setdefault(_group(correlation, event), []).append(event)
    found: list[Event] = []
    for group, events in groups.items():
        if not all(text for _, text in group):
            continue
        begin = min(event.at for event in events).replace(minute=0, second=0, microsecond=0)
        end = max(event.at for event in events) + timedelta(microseconds=1)
        hour = event_sources.of_group(terms.source, correlation.kinds, group, begin, end)
        if sum(event.count for event in hour) > correlation.threshold:
            past = event_sources.of_group(terms.source, correlation.kinds, group, begin - correlation.window, begin)
            found += [*past, *hour]
    return found


def _report(rule: DetectionRule, terms: Terms, finding: Finding, now: datetime) -> Report:
    who = ", ".join(f"{name} {value}" for name, value in finding.group)
    return Report(
        labels={"alertname": rule.slug, "detection": rule.kind, **dict(finding.group)},
        severity=rule.severity,
        source=SOURCE,
        active=True,
        starts_at=finding.began_at,
        ends_at=now + terms.keep,
        annotations={
            "summary": f"{rule.name}{f': {who}' if who else ''}",
            "description": " ".join(part for part in (rule.description, finding.detail) if part),
            "amount": str(finding.amount),
            "events": ",".join(str(number) for number in finding.evidence),
        },
        generator_url=_page(finding),
    )


def _page(finding: Finding) -> str:
    """Return the address of the forensic view of whom the finding is about."""
    for name, value in finding.group:
        if name in PAGE_OF:
            return f"{reverse('admin:alerts_forensics')}?{urlencode({PAGE_OF[name]: value, 'period': '7d'})}"
    return reverse("admin:alerts_securityevent_changelist")
