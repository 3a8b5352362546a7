"""How the current periods of many budgets stand, whether their rows exist yet or not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from core.money import ZERO
from core.windows import Window
from costs.models import Budget, BudgetPeriod, BudgetRevision
from costs.services.budgets.folding import PeriodRow, current_rows
from costs.services.budgets.periods import rate_of
from costs.services.budgets.recount import tail_of
from costs.services.budgets.revisions import limit_in_force
from costs.services.budgets.scopes import calendar_of, window_of


class Standing(NamedTuple):
    """The current period of a budget in figures; `period` is None as long as it has no row."""

    period: int | None
    window: Window
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    overrun: Decimal
    rate: Decimal


def standings(budgets: Collection[Budget], *, now: datetime) -> dict[UUID, Standing]:
    """Return how these budgets stand in the period of `now`, with what is not folded and the limits in force."""
    rows = {row.budget: row for row in current_rows([budget.id for budget in budgets], now=now)}
    limits = _limits([budget for budget in budgets if _needs_limit(rows.get(budget.id), now)], now)
    return {
        budget.id: _with_row(rows[budget.id], limits.get(budget.id))
        if budget.id in rows
        else _without_row(budget, limits[budget.id], now)
        for budget in budgets
    }


def _needs_limit(row: PeriodRow | None, now: datetime) -> bool:
    return row is None or (row.limit_until is not None and row.limit_until <= now)


def _limits(budgets: Iterable[Budget], now: datetime) -> dict[UUID, Decimal]:
    ids = [budget.id for budget in budgets]
    revisions: dict[UUID, list[BudgetRevision]] = defaultdict(list)
    if ids:
        for revision in BudgetRevision.objects.filter(budget_id__in=ids).order_by("-effective_from", "-id"):
            revisions[revision.budget_id].append(revision)
    return {key: limit_in_force(revisions[key], now).amount for key in ids}


def _with_row(row: PeriodRow, limit: Decimal | None) -> Standing:
    return Standing(
        row.period,
        Window(row.start_at, row.end_at),
        row.limit if limit is None else limit,
        row.spent,
        row.reserved,
        row.overrun,
        row.rate,
    )


def _without_row(budget: Budget, limit: Decimal, now: datetime) -> Standing:
    window = window_of(calendar_of(budget), now)
    zone = ZoneInfo(budget.time_zone)
    rate = rate_of(budget.currency, window.start.astimezone(zone).date(), now.astimezone(zone).date())
    tail = tail_of(budget, window, rate)
    if BudgetPeriod.objects.filter(budget=budget, start_at=window.start).exists():
        # Made while we looked: it may have taken what we counted as still to come.
        return standings([budget], now=now)[budget.id]
    return Standing(None, window, limit, tail, ZERO, ZERO, rate)
