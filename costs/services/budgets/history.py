"""What a budget's scope spent on past days, for its forecast."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from core.money import ZERO, multiply
from core.windows import Window, midnight
from costs import reader
from costs.forecast import HISTORY_DAYS, Forecast, forecast_total
from costs.models import Budget
from costs.reader_plan import Filters, Question
from costs.services.budgets.standing import Standing


def forecast_of(budget: Budget, standing: Standing, *, now: datetime) -> Forecast | None:
    """Return what the period is expected to end at, in the budget's currency; None when nothing can be said."""
    zone = reader.organisation_zone()
    today = now.astimezone(zone).date()
    return forecast_total(
        daily_spend(budget, today, standing.rate),
        spent=standing.spent,
        period=standing.window,
        now=now,
        zone=zone,
    )


def daily_spend(budget: Budget, today: date, rate: Decimal) -> dict[date, Decimal]:
    """Return what the scope spent on each of the last complete days that have any spend, by the organisation's days."""
    zone = reader.organisation_zone()
    window = Window(midnight(today - timedelta(days=HISTORY_DAYS), zone), midnight(today, zone))
    answer = reader.ask(Question(window=window, filters=_filters(budget), group_by=("day",), original=False))
    spent: dict[date, Decimal] = {}
    for group in answer.groups:
        day = date.fromisoformat(group.keys[0].value)
        spent[day] = spent.get(day, ZERO) + multiply(group.measures.base_amount, rate)
    return spent


def _filters(budget: Budget) -> Filters:
    entity = budget.entity
    return Filters(
        entity=None if entity is None else (entity.entity_type, entity.entity_id),
        subtree=entity is not None,
        cost_types=(budget.cost_type,) if budget.cost_type else (),
        provider=budget.provider or None,
        model=budget.model or None,
    )
