"""The budgets that the race is about, and what the tables say about it afterwards, worked out the slow way."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any
from uuid import UUID

from core.money import CONTEXT, ZERO
from costs.choices import ReservationStatus
from costs.models import Budget, BudgetPeriod, CostEvent, Entity, ReservationLine
from costs.services import entities
from costs.services.budgets import BudgetTerms, create_budget

TEAM = ("team", "race-team")
AGENTS = (("agent", "race-1"), ("agent", "race-2"), ("agent", "race-3"))
MODELS = ("race-m1", "race-m2")


@dataclass(frozen=True)
class Figures:
    """One budget after the race."""

    name: str
    limit: Decimal
    revised: Decimal
    spent: Decimal
    reserved: Decimal
    overrun: Decimal
    counted: Decimal
    pending: Decimal


def lay_out(now: datetime) -> None:
    """Make a hot budget on everything, one on a team, one on an agent in it, one on a model, and a soft one.

    A spend of the three agents with the two models falls on one to four hard budgets. They are small, and raised while
    the race is on: at any speed of the machine some spends fit and some are refused.
    """
    keys = entities.resolve([TEAM, *AGENTS], now=now)
    team = Entity.objects.get(pk=keys[TEAM])
    for agent in AGENTS[:2]:
        entities.set_parent(Entity.objects.get(pk=keys[agent]), team, now=now)
    scopes: list[tuple[str, str, dict[str, Any]]] = [
        ("hot", "1.5", {}),
        ("team", "1", {"entity_type": TEAM[0], "entity_id": TEAM[1]}),
        ("agent", "0.5", {"entity_type": AGENTS[0][0], "entity_id": AGENTS[0][1]}),
        ("model", "0.75", {"model": MODELS[0]}),
    ]
    for name, limit, scope in scopes:
        create_budget(BudgetTerms(name=name, amount=Decimal(limit), mode="hard", **scope), now=now)
    soft = BudgetTerms(name="soft", amount=Decimal(1), mode="soft", entity_type=TEAM[0], entity_id=TEAM[1])
    create_budget(soft, now=now)


def figures() -> list[Figures]:
    """Compare every budget with the events, reservations and lines themselves."""
    with localcontext(CONTEXT):
        counted = _counted()
        pending = _pending()
        return [
            Figures(
                period.budget.name,
                period.limit,
                period.budget.revisions.order_by("-id")[0].amount,
                period.spent,
                period.reserved,
                period.overrun,
                counted[period.budget_id],
                pending[period.id],
            )
            for period in BudgetPeriod.objects.select_related("budget").order_by("budget__name")
        ]


def _counted() -> dict[UUID, Decimal]:
    """Add every event to its reservation's budgets when it settled one, to those that cover it otherwise."""
    by_line = defaultdict(set)
    for line in ReservationLine.objects.select_related("reservation", "period"):
        by_line[line.reservation.event].add(line.period.budget_id)
    covers = {entity.pk: _ancestors(entity) for entity in Entity.objects.all()}
    budgets = list(Budget.objects.all())
    totals: dict[UUID, Decimal] = defaultdict(lambda: ZERO)
    for event in CostEvent.objects.all():
        scoped = {
            budget.id
            for budget in budgets
            if (budget.entity_id is None or budget.entity_id in covers[event.entity_id])
            and budget.model in {"", event.model}
        }
        for budget_id in scoped | by_line.get(event.id, set()):
            totals[budget_id] += event.amount or ZERO
    return totals


def _ancestors(entity: Entity) -> set[int]:
    found = {entity.pk}
    while entity.parent is not None:
        entity = entity.parent
        found.add(entity.pk)
    return found


def _pending() -> dict[int, Decimal]:
    totals: dict[int, Decimal] = defaultdict(lambda: ZERO)
    for line in ReservationLine.objects.filter(reservation__status=ReservationStatus.PENDING):
        totals[line.period_id] += line.amount
    return totals
