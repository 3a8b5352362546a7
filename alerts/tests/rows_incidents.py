"""Rows of incidents and on-call for the tests that open every list and every object of the admin."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User

from alerts.choices import ChannelKind
from alerts.models import ContactMethod, Runbook
from alerts.services import incidents, oncall_editing, policies
from alerts.services.incidents import ActionTerms, NewIncident
from alerts.services.policies import PolicyTerms, StepTerms
from alerts.tests.incident_case import alert, schedule
from core.choices import Severity

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _user() -> User:
    return User.objects.create_user(_fresh("person"), f"{_fresh('p')}@example.org")


def _incidents(count: int) -> None:
    runbook = Runbook.objects.create(slug=_fresh("r"), title="R", checklist=["look", "act"], updated_at=NOW)
    for number in range(count):
        severity = Severity.values[number % 5]
        terms = NewIncident(title=_fresh("incident"), severity=severity, runbook=runbook, alerts=(alert(NOW),))
        made = incidents.open_incident(terms, now=NOW)
        incidents.assign_role(made.pk, _user(), "responder", now=NOW)
        incidents.add_action_item(made.pk, ActionTerms(title="limit", owner=_user()), now=NOW)
        if number % 2:
            incidents.acknowledge(made.pk, now=NOW + timedelta(minutes=3))


def _schedules(count: int) -> None:
    for _ in range(count):
        made = schedule(NOW, _user(), _user())
        oncall_editing.add_override(made.pk, _user(), starts_at=NOW, ends_at=NOW + timedelta(hours=2), now=NOW)


def _policies(count: int) -> None:
    for _ in range(count):
        steps = [StepTerms(_user()), StepTerms(_user())]
        policies.create_policy(PolicyTerms(name=_fresh("policy"), steps=steps), now=NOW)


def _methods(count: int) -> None:
    for _ in range(count):
        ContactMethod.objects.create(user=_user(), kind=ChannelKind.EMAIL, address=f"{_fresh('p')}@example.org")


ROWS: dict[str, Rows] = {
    "alerts.incident": _incidents,
    "alerts.oncallschedule": _schedules,
    "alerts.escalationpolicy": _policies,
    "alerts.contactmethod": _methods,
}
