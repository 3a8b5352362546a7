"""Loading of the demonstration: entities, rates, ninety days of costs, budgets and reservations, all marked.

Everything goes through the services that real data goes through, so what is shown is what would be computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from uuid import UUID, uuid5

from django.conf import settings
from django.db import connection, transaction

from core import audit
from core.errors import Conflict
from core.windows import calendar_period
from costs import reader
from costs.choices import BudgetMode, BudgetPeriodKind
from costs.demo.fleet import CENTERS, TEAMS, WORKERS
from costs.demo.traffic import days_of, items_of
from costs.inputs import CostItem, Rejected, Sender
from costs.models import CostCenter, Entity, Sku
from costs.reader_plan import Filters
from costs.services import entities, fx
from costs.services.budgets import BudgetTerms, create_budget
from costs.services.currencies import ensure_currencies
from costs.services.ingest import record_costs
from costs.services.prices_sync import sync_prices
from costs.services.reservations import Ask, BudgetExceeded, reserve
from costs.services.rollups import fold
from costs.services.thresholds import evaluate_thresholds

SOURCE = "demo"
CENTER_PREFIX = "DEMO-"
CLIENT = uuid5(UUID(int=0), "demonstration")
BATCH = 2000
SUBJECT = ("costs.costevent", SOURCE)
RATES_EVERY_DAYS = 7
EUR_IN_USD = Decimal("1.0850")


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What was loaded."""

    event_count: int
    entity_count: int
    budget_count: int


def is_loaded() -> bool:
    """Say whether the demonstration is there."""
    return Entity.objects.filter(demo=True).exists()


def load_demo(*, days: int, now: datetime) -> LoadReport:
    """Load `days` days of the invented fleet up to `now`. Raises Conflict when it is there already."""
    if is_loaded():
        raise Conflict("The demonstration data is there already; remove it first to load it anew.")
    ensure_currencies()
    if not Sku.objects.exists():
        sync_prices(now=now)
    _rates(days, now)
    count = _entities(now)
    events = _costs(days, now)
    budgets = _budgets(now)
    _reservations(now)
    evaluate_thresholds(now=now)
    report = LoadReport(events, count, budgets)
    with transaction.atomic():
        after = {"days": days, "events": events, "entities": count, "budgets": budgets}
        audit.record("demo.loaded", SUBJECT, now=now, after=after)
    return report


def _rates(days: int, now: datetime) -> None:
    """Record what a euro was worth each week; the first rate is before the first cost."""
    today = now.date()
    for number, back in enumerate(range(0, days + RATES_EVERY_DAYS, RATES_EVERY_DAYS)):
        swing = Decimal(number * 37 % 11 - 5) * Decimal("0.0017")
        fx.record_rate(
            base="EUR", quote="USD", rate=EUR_IN_USD + swing, as_of_date=today - timedelta(days=back), source=SOURCE,
            now=now,
        )  # fmt: skip


def _entities(now: datetime) -> int:
    """Make teams, agents and workflows, put them in their tree and on their cost centres, and mark them."""
    centers = {
        center.code: CostCenter.objects.get_or_create(
            code=CENTER_PREFIX + center.code.removeprefix("CC-"),
            defaults={"name": center.name, "gl_account": center.gl_account},
        )[0]
        for center in CENTERS
    }
    names = [("team", team.key) for team in TEAMS] + [(worker.entity_type, worker.key) for worker in WORKERS]
    keys = entities.resolve(names, now=now)
    Entity.objects.filter(pk__in=keys.values()).update(demo=True)
    rows = {entity.pk: entity for entity in Entity.objects.filter(pk__in=keys.values())}
    for team in TEAMS:
        row = rows[keys["team", team.key]]
        entities.rename(row, team.name, now=now)
        entities.set_cost_center(row, centers[team.center], now=now)
    by_team = {team.key: team for team in TEAMS}
    for worker in WORKERS:
        row = rows[keys[worker.entity_type, worker.key]]
        entities.rename(row, worker.name, now=now)
        entities.set_parent(row, rows[keys["team", worker.team]], now=now)
        entities.set_cost_center(row, centers[by_team[worker.team].center], now=now)
    return len(keys)


def _costs(days: int, now: datetime) -> int:
    """Record the fleet's costs in large batches and return how many events there are."""
    items = _items(days, now)
    recorded = 0
    while batch := list(islice(items, BATCH)):
        verdicts = record_costs(batch, sender=Sender(source=SOURCE), now=now)
        recorded += sum(verdict.status == "recorded" for verdict in verdicts)
    _send_differently(days, now)
    if connection.vendor == "postgresql":
        fold(now=now)
    return recorded


def _items(days: int, now: datetime) -> Iterator[CostItem | Rejected]:
    zone = reader.organisation_zone()
    today = now.astimezone(zone).date()
    for day in days_of(today, days):
        yield from items_of(day, today=today, count=days, now=now, zone=zone)


def _send_differently(days: int, now: datetime) -> None:
    """Send a key a second time with another amount: a conflict for the queue of rejects."""
    first = next((item for item in _items(days, now) if isinstance(item, CostItem) and item.amount is not None), None)
    if first is not None:
        changed = CostItem(
            cost_type=first.cost_type, entity_type=first.entity_type, entity_id=first.entity_id,
            amount=(first.amount or Decimal(0)) * 2, currency=first.currency, occurred_at=first.occurred_at,
            provider=first.provider, idempotency_key=first.idempotency_key,
        )  # fmt: skip
        record_costs([changed], sender=Sender(source=SOURCE), now=now)


def _budgets(now: datetime) -> int:
    """Make a budget of each mode: some near their limit, one past it, one with plenty of room."""
    wanted = [
        _terms(now, "Demo: whole fleet", "", "0.62", BudgetMode.MONITOR, forecast=True),
        _terms(now, "Demo: customer care", "demo-customer-care", "0.91", BudgetMode.HARD),
        _terms(now, "Demo: engineering", "demo-engineering", "1.12", BudgetMode.SOFT, forecast=True),
        _terms(now, "Demo: growth", "demo-growth", "0.45", BudgetMode.SOFT),
        _terms(now, "Demo: document extractor, daily", "demo-document-extractor", "0.35", BudgetMode.HARD,
               period=BudgetPeriodKind.DAILY),
        _terms(now, "Demo: operations Europe", "demo-europe", "0.84", BudgetMode.SOFT, currency="EUR"),
        _terms(now, "Demo: Anthropic, weekly", "", "0.97", BudgetMode.SOFT, period=BudgetPeriodKind.WEEKLY,
               provider="anthropic"),
    ]  # fmt: skip
    for terms in wanted:
        create_budget(terms, now=now, demo=True)
    return len(wanted)


def _terms(  # noqa: PLR0913  # a line of a table
    now: datetime,
    name: str,
    key: str,
    used: str,
    mode: str,
    *,
    period: str = BudgetPeriodKind.MONTHLY,
    currency: str = "",
    provider: str = "",
    forecast: bool = False,
) -> BudgetTerms:
    """Return the terms of a budget of which about `used` is spent already."""
    kinds = {worker.key: worker.entity_type for worker in WORKERS}
    entity_type = kinds.get(key, "team") if key else ""
    zone = reader.organisation_zone()
    window = calendar_period(period, now, zone)  # type: ignore[arg-type]  # the same words
    filters = Filters(entity=(entity_type, key) if key else None, subtree=bool(key), provider=provider or None)
    spent = reader.total(window, filters).base_amount
    if currency:
        quote = fx.rate_on(settings.BASE_CURRENCY, currency, now.date())
        spent = quote.convert(spent) if quote else spent
    return BudgetTerms(
        name=name, amount=_round(spent / Decimal(used)), period=period, entity_type=entity_type, entity_id=key,
        provider=provider, currency=currency, mode=mode, alert_threshold=Decimal("0.8"),
        forecast_threshold=Decimal(1) if forecast else None,
    )  # fmt: skip


def _round(amount: Decimal) -> Decimal:
    """Return a limit as a person would set it: three significant digits, never nothing."""
    if amount < 1:
        return Decimal(1)
    return round(amount, 2 - amount.adjusted())


def _reservations(now: datetime) -> None:
    """Set some money aside for calls under way."""
    asks: Sequence[tuple[str, str, str, str]] = (
        ("demo-support-chat", "anthropic", "claude-sonnet-4-5", "0.18"),
        ("demo-support-triage", "anthropic", "claude-haiku-4-5", "0.02"),
        ("demo-refund-clerk", "openai", "gpt-5.1", "0.09"),
    )
    for number, (key, provider, model, amount) in enumerate(asks):
        ask = Ask(entity_type="agent", entity_id=key, provider=provider, model=model, amount=Decimal(amount))
        # Late in a month the hard budget may have no room left: then this agent is refused, as it would be for real.
        with suppress(BudgetExceeded):
            reserve(ask, client=CLIENT, key=f"demo-{number}", now=now, ttl=timedelta(hours=12))
