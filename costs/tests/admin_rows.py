"""Rows of the costs app for the tests that open every list and every object of the admin."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.utils import timezone

from costs.inputs import CostItem, Sender
from costs.models import (
    CostCenter,
    Currency,
    Entity,
    IngestReject,
    PriceBook,
    PriceDiscrepancy,
    PriceSyncRun,
    RollupAudit,
    SkuAlias,
    UnpricedModel,
)
from costs.services import entities, fx
from costs.services.budgets import BudgetTerms, create_budget
from costs.services.ingest import record_costs
from costs.services.reservations import Ask, reserve
from costs.tests.price_book import sell, sku

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
CLIENT = uuid.UUID("00000000-0000-4000-8000-00000000000a")
SENDER = Sender(source=f"key:{CLIENT.hex}")
Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def entity(entity_type: str = "agent") -> Entity:
    """Make an entity of its own."""
    name = (entity_type, _fresh(entity_type))
    return Entity.objects.get(pk=entities.resolve([name], now=NOW)[name])


def _entities(count: int) -> None:
    for number in range(count):
        row, parent = entity(), entity("team")
        entities.set_parent(row, parent, now=NOW)
        if number % 2:
            entities.set_cost_center(row, CostCenter.objects.create(code=_fresh("C"), name="Research"), now=NOW)


def _events(count: int) -> None:
    now = timezone.now()
    items = [
        CostItem(
            cost_type=("llm_api", "tool_usage")[number % 2], entity_type="agent", entity_id=_fresh("agent"),
            amount=Decimal("0.25"), occurred_at=now - timedelta(minutes=number), provider=_fresh("p"), model="m",
            tags={"team": "a"}, idempotency_key=_fresh("key"),
        )
        for number in range(count)
    ]  # fmt: skip
    assert {verdict.status for verdict in record_costs(items, sender=SENDER, now=now)} == {"recorded"}


def _budgets(count: int) -> None:
    for number in range(count):
        who = entity()
        terms = BudgetTerms(
            name=_fresh("budget"), amount=Decimal(10 + number), entity_type=who.entity_type, entity_id=who.entity_id,
            mode=("hard", "soft", "monitor")[number % 3], period=("monthly", "daily")[number % 2],
        )  # fmt: skip
        create_budget(terms, now=timezone.now())


def _reservations(count: int) -> None:
    for _ in range(count):
        who = entity()
        terms = BudgetTerms(
            name=_fresh("budget"), amount=Decimal(10), entity_type=who.entity_type, entity_id=who.entity_id, mode="hard"
        )
        create_budget(terms, now=timezone.now())
        ask = Ask(entity_type=who.entity_type, entity_id=who.entity_id, amount=Decimal(1))
        reserve(ask, client=CLIENT, key=_fresh("key"), now=timezone.now())


def _rates(count: int) -> None:
    for number in range(count):
        day = (NOW - timedelta(days=number)).date()
        fx.record_rate(base="EUR", quote="USD", rate=Decimal("1.1"), as_of_date=day, source=_fresh("bank"), now=NOW)


def _discrepancies(count: int) -> None:
    for _ in range(count):
        PriceDiscrepancy.objects.create(
            sku=sku("openai", _fresh("gpt")), meter="input_tokens", used_source="a", used_price=Decimal(1),
            other_source="b", other_price=Decimal(2), found_at=NOW,
        )  # fmt: skip


def _unpriced(count: int) -> None:
    for _ in range(count):
        UnpricedModel.objects.create(
            provider="acme", model=_fresh("model"), event_count=3, first_seen_at=NOW, last_seen_at=NOW
        )


def _rejects(count: int) -> None:
    for _ in range(count):
        IngestReject.objects.create(
            kind="invalid", source=SENDER.source, payload_hash=uuid.uuid4().hex, payload={"amount": "12,5"},
            reasons=[{"pointer": "/amount", "code": "invalid", "detail": "not a number"}], first_seen_at=NOW,
            last_seen_at=NOW,
        )  # fmt: skip


def _audits(count: int) -> None:
    for number in range(count):
        RollupAudit.objects.create(
            day=(NOW - timedelta(days=number)).date(), audited_at=NOW, events_amount=Decimal(1),
            rollup_amount=Decimal(1), events_count=2, rollup_count=2, equal=True,
        )  # fmt: skip


def _each(make: Callable[[int], object]) -> Rows:
    def rows(count: int) -> None:
        for number in range(count):
            make(number)

    return rows


def _alias(_: int) -> SkuAlias:
    return SkuAlias.objects.create(sku=sku("openai", _fresh("gpt")), provider="openai", pattern=_fresh("alias"))


ROWS: dict[str, Rows] = {
    "costs.budget": _budgets,
    "costs.budgetperiod": _budgets,
    "costs.costcenter": _each(lambda _: CostCenter.objects.create(code=_fresh("C"), name="Research")),
    "costs.costevent": _events,
    "costs.currency": _each(lambda _: Currency.objects.create(code=f"X{uuid.uuid4().hex[:5].upper()}", name="Credits")),
    "costs.entity": _entities,
    "costs.fxrate": _rates,
    "costs.ingestreject": _rejects,
    "costs.pricebook": _each(lambda number: PriceBook.objects.create(name=_fresh("book"), priority=number)),
    "costs.pricediscrepancy": _discrepancies,
    "costs.pricesyncrun": _each(lambda _: PriceSyncRun.objects.create(started_at=NOW, finished_at=NOW)),
    "costs.priceversion": _each(lambda _: sell("openai", _fresh("gpt"), input_tokens="2.5", output_tokens="10")),
    "costs.reservation": _reservations,
    "costs.rollupaudit": _audits,
    "costs.sku": _each(lambda _: sell("openai", _fresh("gpt"), input_tokens="2.5", output_tokens="10")),
    "costs.skualias": _each(_alias),
    "costs.unpricedmodel": _unpriced,
}
