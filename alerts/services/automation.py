"""Automated answers to alerts: each rule meets each occurrence of an alert once, within its limit, on the record.

What an alert calls for is written down first, in one transaction per rule; what was written down is then done under a
lease. An action of the platform itself happens in the transaction that says so, one that leaves the platform is handed
the run's id, so that whoever it reaches can tell a second attempt from a second alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.urls import reverse

from alerts.choices import AlertState, AutomationOutcome
from alerts.matching import matches, parse_matchers
from alerts.models import Alert, AutomationRule, AutomationRun
from core import approvals, audit
from core.context import Actor, Context, acting
from core.errors import Refusal
from core.ids import uuid7
from core.leases import claim, held, release
from core.ports.approvals import ApprovalKind, Approved, Arguments, Description, approval_kinds
from core.ports.automation import AutomationAction, Occasion, TryAgain, checked, filled, known_action
from core.ports.conditions import Condition, clear_condition, raise_condition

KIND = "alerts.automation"
SOURCE = "alerts.automation"
BATCH = 50
MOST_PER_PASS = 1000
LEASE = timedelta(minutes=2)
LIMIT_WINDOW = timedelta(hours=1)
MOST_ATTEMPTS = 4
WAITS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2))
COUNTED = (AutomationOutcome.PENDING, AutomationOutcome.WAITING, AutomationOutcome.DONE, AutomationOutcome.FAILED)

log = structlog.get_logger(__name__)


def run(now: datetime) -> int:
    """Write down what firing alerts call for, and do what is due; return how many of both."""
    rules = AutomationRule.objects.filter(enabled=True).order_by("pk").values_list("pk", flat=True)
    planned = sum(plan(rule, now=now) for rule in list(rules))
    due = AutomationRun.objects.filter(outcome=AutomationOutcome.PENDING, due_at__lte=now)
    claimed = claim(due, order_by=("due_at", "pk"), limit=BATCH, lease=LEASE, now=now)
    for item in claimed:
        carry_out(item, now=now)
    return planned + len(claimed)


def met_by(rule: AutomationRule) -> list[Alert]:
    """Return the firing alerts that match a rule, whether it has met them or not; the oldest first."""
    matchers = parse_matchers(rule.matchers)
    rows = Alert.objects.filter(state=AlertState.FIRING).order_by("pk")
    for matcher in matchers:
        if matcher.op == "=" and matcher.value:
            rows = rows.filter(**{f"labels__{matcher.name}": matcher.value}) if matcher.name.isidentifier() else rows
    return [alert for alert in rows.iterator(chunk_size=500) if matches(matchers, alert.labels)]


def plan(rule_id: UUID, *, now: datetime) -> int:
    """Write a run for every firing alert that the rule has not met; return how many. One worker at a time per rule."""
    with transaction.atomic():
        rule = AutomationRule.objects.select_for_update().filter(pk=rule_id, enabled=True).first()
        if rule is None:
            return 0
        unmet = set(_unmet(rule))
        alerts = [alert for alert in met_by(rule) if alert.pk in unmet][:MOST_PER_PASS] if unmet else []
        hour = AutomationRun.objects.filter(rule=rule, at__gt=now - LIMIT_WINDOW, outcome__in=COUNTED)
        left = rule.runs_per_hour - hour.count() if alerts else 0
        for alert in alerts:
            planned = _planned(rule, alert, now, limited=left <= 0)
            left -= planned.outcome in COUNTED
    return len(alerts)


def carry_out(item: AutomationRun, *, now: datetime) -> None:
    """Do one claimed run; whatever comes of it is in the row. Nothing when another worker has it by now."""
    if item.attempt >= MOST_ATTEMPTS:
        _end(item, AutomationOutcome.FAILED, "the worker was lost each time it was at it", now)
        return
    if not held(item).update(attempt=F("attempt") + 1):
        return
    with acting(_circumstances(item.rule, item.alert)):
        try:
            action = known_action(item.rule.action)
            (_inside if action.atomic else _outside)(item, action, now)
        except TryAgain as reason:
            _later(item, str(reason), now)
        except Refusal as refusal:
            _end(item, AutomationOutcome.FAILED, refusal.detail, now)
        except Exception as error:
            log.exception("automation_failed", run=str(item.pk), rule=item.rule.name)
            _end(item, AutomationOutcome.FAILED, f"{type(error).__name__}: {error}", now)


def try_out(rule: AutomationRule, alert: Alert, *, now: datetime) -> str:
    """Return what the rule would do about an alert, and do nothing. Raises what the action refuses."""
    action = known_action(rule.action)
    arguments = filled(checked(action, rule.arguments), _texts(alert.labels))
    with acting(_circumstances(rule, alert)):
        return action.run(arguments, _occasion(rule, alert, uuid7(), now, dry_run=True))


def register() -> None:
    """Offer the kind of approval; called once, from the app's ready()."""
    approval_kinds.register(
        ApprovalKind(
            name=KIND,
            title="Automated answer to an alert",
            request_permission="alerts.change_automationrule",
            approve_permission="alerts.change_automationrule",
            describe=_describe,
            execute=_approved,
            closed=_closed,
            expires_after=timedelta(hours=12),
            remind_after=timedelta(minutes=30),
        )
    )


def _unmet(rule: AutomationRule) -> QuerySet[Alert, UUID]:
    met = AutomationRun.objects.filter(rule=rule, alert=OuterRef("pk"))
    return Alert.objects.filter(~Exists(met), state=AlertState.FIRING).values_list("pk", flat=True)


def _planned(rule: AutomationRule, alert: Alert, now: datetime, *, limited: bool) -> AutomationRun:
    item = AutomationRun(rule=rule, alert=alert, at=now, due_at=now, outcome=AutomationOutcome.PENDING)
    try:
        item.arguments = filled(checked(known_action(rule.action), rule.arguments), _texts(alert.labels))
        if rule.dry_run:
            item.detail, item.outcome = try_out(rule, alert, now=now)[:500], AutomationOutcome.DRY_RUN
    except Refusal as refusal:
        item.detail, item.outcome = refusal.detail[:500], AutomationOutcome.REFUSED
    if limited and item.outcome == AutomationOutcome.PENDING:
        item.outcome = AutomationOutcome.LIMITED
        item.detail = f"the rule may act {rule.runs_per_hour} times an hour"
    if rule.needs_approval and item.outcome == AutomationOutcome.PENDING:
        item.outcome = AutomationOutcome.WAITING
    if item.outcome not in {AutomationOutcome.PENDING, AutomationOutcome.WAITING}:
        item.finished_at = now
    item.save(force_insert=True)
    if item.outcome == AutomationOutcome.WAITING:
        with acting(_circumstances(rule, alert)):
            why = _summary(alert)[:500]
            approval = approvals.request_approval(KIND, {"run": str(item.pk)}, reason=why, now=now)
        item.approval = approval.pk
        item.save(update_fields=["approval"])
    if item.outcome in {AutomationOutcome.LIMITED, AutomationOutcome.REFUSED}:
        raise_condition(_condition(rule, f"{rule.name}: {item.detail}"), now=now)
        _record(item, now)
    return item


def _inside(item: AutomationRun, action: AutomationAction, now: datetime) -> None:
    """Act and say so in one transaction: both or neither."""
    with transaction.atomic():
        mine = held(item).filter(outcome=AutomationOutcome.PENDING)
        if mine.update(**release(outcome=AutomationOutcome.DONE, finished_at=now)):
            detail = action.run(item.arguments, _occasion(item.rule, item.alert, item.pk, now))
            _done(item, detail, now)


def _outside(item: AutomationRun, action: AutomationAction, now: datetime) -> None:
    """Act, then say so unless the lease was lost meanwhile."""
    detail = action.run(item.arguments, _occasion(item.rule, item.alert, item.pk, now))
    with transaction.atomic():
        mine = held(item).filter(outcome=AutomationOutcome.PENDING)
        if mine.update(**release(outcome=AutomationOutcome.DONE, finished_at=now)):
            _done(item, detail, now)


def _done(item: AutomationRun, detail: str, now: datetime) -> None:
    AutomationRun.objects.filter(pk=item.pk).update(detail=detail[:500])
    item.outcome, item.detail = AutomationOutcome.DONE, detail
    clear_condition(_condition(item.rule, ""), now=now)
    _record(item, now)


def _later(item: AutomationRun, reason: str, now: datetime) -> None:
    if item.attempt + 1 >= MOST_ATTEMPTS:
        _end(item, AutomationOutcome.FAILED, f"{reason}, {MOST_ATTEMPTS} times", now)
        return
    wait = WAITS[min(item.attempt, len(WAITS) - 1)]
    held(item).update(**release(due_at=now + wait, detail=reason[:500]))


def _end(item: AutomationRun, outcome: AutomationOutcome, detail: str, now: datetime) -> None:
    with transaction.atomic():
        mine = held(item).filter(outcome=AutomationOutcome.PENDING)
        if mine.update(**release(outcome=outcome, detail=detail[:500], finished_at=now)):
            item.outcome, item.detail = outcome, detail
            raise_condition(_condition(item.rule, f"{item.rule.name}: {detail}"), now=now)
            _record(item, now)


def _record(item: AutomationRun, now: datetime) -> None:
    after = {
        "run": str(item.pk),
        "alert": item.alert.name,
        "fingerprint": item.alert.fingerprint,
        "action": item.rule.action,
        "arguments": item.arguments,
        "outcome": item.outcome,
        "detail": item.detail,
    }
    with acting(_circumstances(item.rule, item.alert)):
        audit.record("automation.ran", item.rule, now=now, after=after)


def _condition(rule: AutomationRule, summary: str) -> Condition:
    link = reverse("admin:alerts_automationrule_change", args=[rule.pk])
    return Condition(SOURCE, str(rule.pk), "high", summary[:500], {"rule": rule.name}, link)


def _circumstances(rule: AutomationRule, alert: Alert) -> Context:
    actor = Actor("system", f"automation:{rule.pk}"[:64], f"automation “{rule.name}”")
    return Context(actor=actor, channel="task", request_id=f"alert-{alert.pk}", reason=_reason(rule, alert))


def _reason(rule: AutomationRule, alert: Alert) -> str:
    return f"automation “{rule.name}”: {_summary(alert)}"[:200]


def _summary(alert: Alert) -> str:
    return str(alert.annotations.get("summary") or alert.name)


def _occasion(rule: AutomationRule, alert: Alert, run_id: UUID, now: datetime, *, dry_run: bool = False) -> Occasion:
    context = _circumstances(rule, alert)
    return Occasion(
        run_id=run_id,
        actor=context.actor,
        dry_run=dry_run,
        now=now,
        labels=_texts(alert.labels),
        annotations=_texts(alert.annotations),
        severity=alert.severity,
        reason=context.reason,
        link=alert.generator_url,
    )


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in values.items()}


def _described(arguments: Arguments) -> AutomationRun:
    return AutomationRun.objects.select_related("rule", "alert").get(pk=str(arguments["run"]))


def _describe(arguments: Arguments) -> Description:
    item = _described(arguments)
    action = known_action(item.rule.action)
    shown = ", ".join(f"{name} {value}" for name, value in item.arguments.items() if value)
    lines = (
        f"{action.title}: {shown}" if shown else action.title,
        action.description,
        f"Because of the alert {item.alert.name}: {item.alert.annotations.get('summary', '') or item.alert.labels}",
    )
    link = reverse("admin:alerts_automationrule_change", args=[item.rule_id])
    return Description(lines, audit.identify(item.rule), link)


def _approved(arguments: Arguments, approved: Approved, now: datetime) -> str:
    waiting = AutomationRun.objects.filter(pk=str(arguments["run"]), outcome=AutomationOutcome.WAITING)
    changed = waiting.update(outcome=AutomationOutcome.PENDING, due_at=now)
    return "it runs with the next pass" if changed else "it was over already"


def _closed(arguments: Arguments, status: str, now: datetime) -> None:
    waiting = AutomationRun.objects.filter(pk=str(arguments["run"]), outcome=AutomationOutcome.WAITING)
    waiting.update(outcome=AutomationOutcome.REFUSED, detail=f"the approval was {status}", finished_at=now)
