"""Short words for the tests of budgets and reservations."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from costs.inputs import CostItem, Sender
from costs.models import Budget, BudgetPeriod, Entity
from costs.services import entities
from costs.services.budgets import BudgetStatus, BudgetTerms, budget_status, create_budget
from costs.services.ingest import record_cost
from costs.services.reservations import Ask, Held, reserve

CLIENT = UUID("00000000-0000-4000-8000-000000000001")
OTHER_CLIENT = UUID("00000000-0000-4000-8000-000000000002")
SENDER = Sender(source=f"key:{CLIENT.hex}")
AGENT = ("agent", "writer")
TEAM = ("team", "research")


def budget(now: datetime, amount: str = "10", *, entity: tuple[str, str] | None = AGENT, **terms: Any) -> Budget:
    """Make a budget, hard and on the agent unless said otherwise."""
    entity_type, entity_id = entity or ("", "")
    named = {"name": "Budget", "mode": "hard", **terms}
    return create_budget(
        BudgetTerms(amount=Decimal(amount), entity_type=entity_type, entity_id=entity_id, **named), now=now
    )


def ask(amount: str | None = "1", *, entity: tuple[str, str] = AGENT, **more: Any) -> Ask:
    """Ask for an amount, or without one for what the price book says."""
    exact = None if amount is None else Decimal(amount)
    return Ask(entity_type=entity[0], entity_id=entity[1], amount=exact, **more)


def hold(now: datetime, amount: str | None = "1", *, key: str = "k", client: UUID = CLIENT, **more: Any) -> Held:
    """Set an amount aside for the agent."""
    return reserve(ask(amount, **more), client=client, key=key, now=now)


def spend(
    now: datetime,
    amount: str | None,
    *,
    entity: tuple[str, str] = AGENT,
    sender: Sender = SENDER,
    **more: Any,
) -> UUID:
    """Record a cost as any client does and return its event's id."""
    exact = None if amount is None else Decimal(amount)
    item = CostItem(cost_type="llm_api", entity_type=entity[0], entity_id=entity[1], amount=exact, **more)
    verdict = record_cost(item, sender=sender, now=now)
    assert verdict.status == "recorded", verdict
    assert verdict.record_id is not None
    return verdict.record_id


def entity(now: datetime, name: tuple[str, str], *, below: tuple[str, str] | None = None) -> Entity:
    """Return an entity, put below another one if that is said."""
    keys = entities.resolve([name] + ([below] if below else []), now=now)
    row = Entity.objects.get(pk=keys[name])
    if below:
        entities.set_parent(row, Entity.objects.get(pk=keys[below]), now=now)
    return row


def stand(row: Budget, now: datetime) -> tuple[Decimal, Decimal, Decimal]:
    """Return what is spent, reserved and left of a budget."""
    status: BudgetStatus = budget_status(row, now, forecast=False)
    return status.spent, status.reserved, status.remaining


def amounts(*texts: str) -> tuple[Decimal, ...]:
    """Return amounts to compare with."""
    return tuple(Decimal(text) for text in texts)


def period_of(row: Budget) -> BudgetPeriod:
    """Return the latest period row of a budget."""
    return BudgetPeriod.objects.filter(budget=row).latest("start_at")
