"""What an incident cost: alerting asks the costs app through the port of metrics."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from alerts.incident_costs import cost_of
from alerts.services.incidents import NewIncident, open_incident, resolve
from costs.inputs import CostItem
from costs.services.ingest import record_costs
from costs.tests.ledger_case import SENDER

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def _spend(agent: str, amount: str, at: datetime) -> None:
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id=agent, amount=Decimal(amount), occurred_at=at,
                    idempotency_key=f"{agent}{amount}{at}")  # fmt: skip
    record_costs([item], sender=SENDER, now=at)


def test_incident__of_an_agent__cost_what_it_spent_from_beginning_to_end() -> None:
    now = timezone.now().replace(minute=0, second=0, microsecond=0) - 10 * HOUR
    for agent, amount, hours in (("a", "1.5", -1), ("a", "0.25", 1), ("a", "4", 3), ("b", "9", 1)):
        _spend(agent, amount, now + hours * HOUR)
    labels = {"entity_type": "agent", "entity_id": "a"}
    incident = open_incident(NewIncident(title="x", severity="high", started_at=now, labels=labels), now=now)
    incident = resolve(incident.pk, now=now + 2 * HOUR)

    cost = cost_of(incident, now + 5 * HOUR)

    assert (cost.minutes, cost.entity) == (120, ("agent", "a"))
    assert (cost.spend, cost.spend_before) == (Decimal("0.25"), Decimal("1.5"))


def test_incident__without_an_entity__has_minutes_and_no_spend() -> None:
    now = timezone.now() - HOUR
    incident = open_incident(NewIncident(title="x", severity="high", started_at=now), now=now)

    cost = cost_of(incident, now + HOUR)

    assert (cost.minutes, cost.entity, cost.spend) == (60, None, None)
