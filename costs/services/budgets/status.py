"""How a budget stands, in the words of the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from core.money import CONTEXT
from core.windows import Window
from costs.choices import ThresholdBasis
from costs.forecast import Forecast
from costs.models import Budget, BudgetThreshold
from costs.services.budgets.history import forecast_of
from costs.services.budgets.standing import Standing, standings

HUNDRED = Decimal(100)
CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """The current period of a budget, in its own currency.

    `remaining` is limit - spent - reserved and may be negative; `usage_percent` is spent / limit * 100 with two
    decimals, None for a limit of 0; `should_alert` when the lowest threshold on actual spend is reached; `overrun` is
    what went past a hard limit without having been set aside; `thresholds` ascend; `forecast` is what the period is
    expected to end at.
    """

    budget: Budget
    period: Window
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    overrun: Decimal
    thresholds: tuple[BudgetThreshold, ...] = ()
    forecast: Forecast | None = None

    @property
    def alert_threshold(self) -> Decimal | None:
        """The lowest threshold on actual spend."""
        actual = (row.ratio for row in self.thresholds if row.basis == ThresholdBasis.ACTUAL)
        return min(actual, default=None)

    @property
    def remaining(self) -> Decimal:
        """What may still be set aside or spent."""
        return CONTEXT.subtract(CONTEXT.subtract(self.limit, self.spent), self.reserved)

    @property
    def usage_percent(self) -> Decimal | None:
        """Spent as a share of the limit."""
        return share(self.spent, self.limit)

    @property
    def is_over_budget(self) -> bool:
        """Whether more was spent than the limit allows."""
        return self.spent > self.limit

    @property
    def should_alert(self) -> bool:
        """Whether the lowest threshold on actual spend is reached."""
        return self.alert_threshold is not None and reached(self.spent, self.limit, self.alert_threshold)


def share(value: Decimal, limit: Decimal) -> Decimal | None:
    """Return value / limit in percent with two decimals; None for a limit of 0."""
    if not limit:
        return None
    return CONTEXT.divide(CONTEXT.multiply(value, HUNDRED), limit).quantize(CENT, context=CONTEXT)


def reached(value: Decimal, limit: Decimal, ratio: Decimal) -> bool:
    """Say whether a value is at or past this share of the limit; nothing spent reaches no threshold."""
    return value > 0 and value >= CONTEXT.multiply(limit, ratio)


def budget_status(budget: Budget, now: datetime, *, forecast: bool = True) -> BudgetStatus:
    """Return how one budget stands in the period of `now`; its figures are never stale."""
    return budget_statuses([budget], now, forecast=forecast)[budget.id]


def budget_statuses(budgets: Collection[Budget], now: datetime, *, forecast: bool = False) -> dict[UUID, BudgetStatus]:
    """Return how these budgets stand, in the order given.

    One statement reads the periods together with what is not folded yet, so no fold in between is counted twice or
    missed. A forecast, when asked for, takes a read of the ledger for each budget.
    """
    thresholds = _thresholds([budget.id for budget in budgets])
    found = standings(budgets, now=now)
    return {
        budget.id: _status(budget, found[budget.id], thresholds[budget.id], now, forecast=forecast)
        for budget in budgets
    }


def _thresholds(budgets: Collection[UUID]) -> dict[UUID, list[BudgetThreshold]]:
    found: dict[UUID, list[BudgetThreshold]] = defaultdict(list)
    for threshold in BudgetThreshold.objects.filter(budget_id__in=budgets).order_by("ratio", "id"):
        found[threshold.budget_id].append(threshold)
    return found


def _status(
    budget: Budget, standing: Standing, thresholds: list[BudgetThreshold], now: datetime, *, forecast: bool
) -> BudgetStatus:
    return BudgetStatus(
        budget=budget,
        period=standing.window,
        limit=standing.limit,
        spent=standing.spent,
        reserved=standing.reserved,
        overrun=standing.overrun,
        thresholds=tuple(thresholds),
        forecast=forecast_of(budget, standing, now=now) if forecast else None,
    )
