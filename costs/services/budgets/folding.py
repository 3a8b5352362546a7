"""What the fold adds to the budgets that are not counted while events are written (PostgreSQL).

Both the fold and every reader of a figure that must not be stale ask the same statement which events, of those that
the fold has or has not passed, count on which period; the rule is that of `booking`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.money import ZERO, money
from costs.models import Budget, BudgetPeriod
from costs.services.budgets.booking import defers_soft
from costs.services.budgets.deltas import Deltas, apply
from costs.services.budgets.periods import create_periods
from costs.services.budgets.scopes import calendar_of, window_of

# Time zones differ by multiples of a quarter of an hour, so an event's quarter decides which period it falls in.
_HITS = """
WITH tail AS MATERIALIZED (
  SELECT e.id, e.entity_id, e.cost_type, e.provider, e.model, e.occurred_at, e.amount, e.currency, e.base_amount,
    e.reservation
  FROM costs_costevent e WHERE e.amount IS NOT NULL AND {tail}
), by_line AS MATERIALIZED (
  SELECT e.id AS event, b.id AS budget, l.period_id AS period,
    CASE WHEN e.currency = b.currency THEN e.amount ELSE money_multiply(e.base_amount, p.rate) END AS counted,
    b.mode <> 'hard' AND b.archived_at IS NULL AS folded
  FROM tail e
  JOIN costs_reservation r ON r.id = e.reservation AND r.event = e.id
  JOIN costs_reservationline l ON l.reservation_id = r.id
  JOIN costs_budgetperiod p ON p.id = l.period_id
  JOIN costs_budget b ON b.id = p.budget_id
), covered AS (
  SELECT e.*, b.id AS budget, b.currency AS budget_currency
  FROM tail e
  JOIN costs_entityclosure c ON c.descendant_id = e.entity_id
  JOIN costs_budget b ON b.entity_id = c.ancestor_id
  WHERE {budget}
  UNION ALL
  SELECT e.*, b.id, b.currency FROM tail e JOIN costs_budget b ON b.entity_id IS NULL WHERE {budget}
), placed AS (
  SELECT e.budget, p.id AS period,
    CASE WHEN p.id IS NULL THEN date_bin('15 minutes', e.occurred_at, 'epoch') END AS missing,
    CASE WHEN e.currency = e.budget_currency THEN e.amount
      WHEN e.budget_currency = %(base)s THEN e.base_amount
      ELSE money_multiply(e.base_amount, p.rate) END AS counted
  FROM covered e
  LEFT JOIN costs_budgetperiod p
    ON p.budget_id = e.budget AND p.start_at <= e.occurred_at AND p.end_at > e.occurred_at
  WHERE e.reservation IS NULL
    OR NOT EXISTS (SELECT 1 FROM by_line x WHERE x.event = e.id AND x.budget = e.budget)
), hits AS (
  SELECT budget, period, missing, sum(counted) AS counted FROM placed GROUP BY budget, period, missing
  UNION ALL
  SELECT budget, period, NULL, sum(counted) FROM by_line x WHERE x.folded AND {line} GROUP BY budget, period
)
"""
_FOUND = "SELECT budget, period, missing, counted FROM hits"
_STANDING = """
SELECT p.budget_id, p.id, p.start_at, p.end_at, p."limit", p.limit_until, p.spent + COALESCE(h.tail, 0), p.reserved,
  p.overrun, p.rate
FROM costs_budgetperiod p
LEFT JOIN (SELECT period, sum(counted) AS tail FROM hits GROUP BY period) h ON h.period = p.id
WHERE p.budget_id = ANY(%(budgets)s) AND p.end_at > %(now)s AND p.start_at <= %(now)s
"""
_SCOPE = """
b.archived_at IS NULL AND {modes} AND b.cost_type IN ('', e.cost_type)
AND b.provider IN ('', e.provider) AND b.model IN ('', e.model)
"""
_HORIZON = "COALESCE((SELECT horizon FROM costs_foldstate WHERE id = 1), 0)::text::xid8"


class Hit(NamedTuple):
    """What events come to on one period of a budget; without a period, `missing` is an instant in it."""

    budget: UUID
    period: int | None
    missing: datetime | None
    amount: Decimal


class PeriodRow(NamedTuple):
    """A period as it stands; `spent` holds what is not folded yet as well."""

    budget: UUID
    period: int
    start_at: datetime
    end_at: datetime
    limit: Decimal
    limit_until: datetime | None
    spent: Decimal
    reserved: Decimal
    overrun: Decimal
    rate: Decimal


def fold_soft_spend(*, low: int, high: int, now: datetime) -> None:
    """Add the events of the transactions from `low` to before `high` to the soft and monitoring budgets.

    Call it in the fold's transaction, under the lock of the fold state; the same range folded twice counts twice.
    """
    if not defers_soft() or not Budget.objects.filter(archived_at=None).exclude(mode="hard").exists():
        return
    hits = _hits("e.txid >= %(low)s::text::xid8 AND e.txid < %(high)s::text::xid8", low=str(low), high=str(high))
    if _create_missing(hits, now):
        hits = _hits("e.txid >= %(low)s::text::xid8 AND e.txid < %(high)s::text::xid8", low=str(low), high=str(high))
    _add(hits, sign=1)


def shift_tail(budget: Budget, *, becomes_hard: bool, now: datetime) -> None:
    """Move the events that the fold has not passed to where they belong after a change of mode.

    A budget that becomes hard counts them now, because the fold will not; one that ceases to be hard gives them back,
    because the fold will count them. Call it under `lock_ledger`, while the budget still has its soft mode.
    """
    if not defers_soft():
        return
    hits = _hits(f"e.txid >= {_HORIZON}", budgets=[budget.id])
    if _create_missing(hits, now):
        hits = _hits(f"e.txid >= {_HORIZON}", budgets=[budget.id])
    _add(hits, sign=1 if becomes_hard else -1)


def current_rows(budgets: Collection[UUID], *, now: datetime) -> list[PeriodRow]:
    """Return the current periods of these budgets that have a row, as if everything had been folded.

    The rows and what is not folded yet come from one statement, hence one snapshot.
    """
    if defers_soft():
        statement = _attribution(f"e.txid >= {_HORIZON}", some=True) + _STANDING
        with connection.cursor() as cursor:
            cursor.execute(statement, {"base": settings.BASE_CURRENCY, "budgets": list(budgets), "now": now})
            return [PeriodRow(*row) for row in cursor.fetchall()]
    columns = (
        "budget_id", "id", "start_at", "end_at", "limit", "limit_until", "spent", "reserved", "overrun", "rate"
    )  # fmt: skip
    rows = BudgetPeriod.objects.filter(budget_id__in=list(budgets), end_at__gt=now, start_at__lte=now)
    return [PeriodRow(*row) for row in rows.values_list(*columns)]


def _attribution(tail: str, *, some: bool) -> str:
    return _HITS.format(
        tail=tail,
        budget=_SCOPE.format(modes="b.mode <> 'hard'" + (" AND b.id = ANY(%(budgets)s)" if some else "")),
        line="x.budget = ANY(%(budgets)s)" if some else "TRUE",
    )


def _hits(tail: str, *, budgets: Sequence[UUID] | None = None, **values: str) -> list[Hit]:
    statement = _attribution(tail, some=budgets is not None) + _FOUND
    with connection.cursor() as cursor:
        cursor.execute(statement, {"base": settings.BASE_CURRENCY, "budgets": list(budgets or ()), **values})
        rows = cursor.fetchall()
    return [
        Hit(budget, period, missing, ZERO if counted is None else money(counted))
        for budget, period, missing, counted in rows
    ]


def _create_missing(hits: Sequence[Hit], now: datetime) -> bool:
    """Make the periods that are missing; those that ended before the budget was made are nobody's."""
    missing = [(hit.budget, hit.missing) for hit in hits if hit.missing is not None]
    budgets = Budget.objects.in_bulk({budget for budget, _ in missing})
    wanted = {
        (key, window)
        for key, instant in missing
        if (window := window_of(calendar_of(budgets[key]), instant)).end > budgets[key].created_at
    }
    if wanted:
        create_periods(wanted, now=now)
    return bool(wanted)


def _add(hits: Sequence[Hit], *, sign: int) -> None:
    deltas = Deltas()
    for hit in hits:
        if hit.period is not None:
            deltas.add(hit.period, spent=hit.amount * sign, hard=False)
    apply(deltas)
