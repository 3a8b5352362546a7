"""A budget is crossed over HTTP: one e-mail, one incident; raised over HTTP, both are over by themselves."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from alerts import sweeps
from alerts.models import Alert, Incident, Notification
from core.tests.api import bearer, new_key
from costs.services import thresholds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def agent() -> Client:
    return Client(headers=bearer(new_key("costs:write", "budgets:write", "budgets:read")))


@pytest.fixture
def operator() -> User:
    user = User.objects.create_user("olga", email="olga@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="operations"))
    return user


def _post(agent: Client, path: str, body: dict[str, Any]) -> Any:
    answer = agent.post(f"/api/v1/financial/{path}", json.dumps(body), content_type="application/json")
    assert answer.status_code in {200, 201}, answer.content
    return answer.json()


def _let_pass(minutes: int, since: datetime) -> datetime:
    """Run every pass each half minute, as the schedule does, and return the instant reached."""
    now = since
    for _ in range(2 * minutes):
        now += timedelta(seconds=30)
        thresholds.evaluate_thresholds(now=now)
        for name in sweeps.SWEEPS:
            sweeps.run(name, now)
    return now


def _mails() -> list[tuple[str, list[str]]]:
    """Return what was mailed about the budget; that a role was given is worth a mail of its own."""
    return [(str(message.subject), message.recipients()) for message in mail.outbox if "Budget" in message.subject]


def _incidents() -> QuerySet[Incident]:
    """Return the incidents of budgets; that this test runs no worker is one as well."""
    return Incident.objects.filter(labels__alertname__startswith="Budget")


def test_budget__crossed_and_raised_over_http__is_one_mail_one_incident_and_clears(
    agent: Client, operator: User
) -> None:
    # Given a budget of 10 that is spent to 12
    entity = {"entity_type": "agent", "entity_id": "spender"}
    budget = _post(agent, "budgets", {"name": "Spender", "amount": "10", "period": "yearly", **entity})["budget_id"]
    _post(agent, "costs", {"cost_type": "compute", "amount": "12", "currency": "USD", **entity})

    # When ten minutes of passes go by
    now = _let_pass(10, timezone.now())

    # Then the role was told once, and one incident waits
    incident = _incidents().get()
    title = f"INC-{incident.number} Budget Spender has reached 100% of 10 USD with 12"
    assert _mails() == [(f"[FIRING] {title}", ["olga@example.com"])]
    assert (incident.status, incident.severity) == ("open", "high")

    # And when the budget is raised, all of it is over by itself, said once more
    _post(agent, f"budgets/{budget}/raise", {"amount": "1000", "reason": "launch"})
    _let_pass(10, now)

    assert [subject for subject, _ in _mails()] == [f"[FIRING] {title}", f"[RESOLVED] {title}"]
    incident.refresh_from_db()
    assert incident.status == "resolved"
    assert _incidents().count() == 1
    assert set(Alert.objects.filter(name__startswith="Budget").values_list("state", flat=True)) == {"resolved"}
    assert not Notification.objects.filter(incident=incident, status__in=("pending", "dead")).exists()
