"""Admin rows of rules, heartbeats, runbooks and sweeps."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.utils import timezone

from alerts.models import AlertRule, SweepState
from alerts.services.heartbeats import create_heartbeat
from alerts.services.rule_terms import RuleTerms
from alerts.services.rules import create_rule
from alerts.services.runbooks import RunbookTerms, create_runbook
from alerts.sweeps import SWEEPS

Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _rules(count: int) -> None:
    # The default rules would be on the list as well.
    AlertRule.objects.filter(is_default=True).delete()
    for number in range(count):
        parameters = {"metric": "costs.spend", "threshold": str(number), "labels": {"entity_type": "agent"}}
        terms = RuleTerms(name=_fresh("rule"), kind="threshold", parameters=parameters, enabled=number % 2 == 0)
        create_rule(terms, now=timezone.now())


def _heartbeats(count: int) -> None:
    for _ in range(count):
        create_heartbeat(_fresh("beat"), now=timezone.now())


def _runbooks(count: int) -> None:
    for _ in range(count):
        create_runbook(RunbookTerms(title=_fresh("runbook"), text="# Look"), now=timezone.now())


def _sweeps(count: int) -> None:
    now = timezone.now()
    if count == 1:
        SweepState.objects.exclude(name=next(iter(SWEEPS))).delete()
    SweepState.objects.bulk_create(
        SweepState(name=_fresh("sweep"), every_seconds=60, created_at=now) for _ in range(count - 1)
    )


ROWS: dict[str, Rows] = {
    "alerts.alertrule": _rules,
    "alerts.heartbeat": _heartbeats,
    "alerts.runbook": _runbooks,
    "alerts.sweepstate": _sweeps,
}
