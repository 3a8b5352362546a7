"""A period's spent worked out again from the events and lines alone, by the rule of `booking`."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection

from core.money import ZERO, money
from core.windows import Window
from costs.models import Budget, BudgetPeriod, FoldState
from costs.services.budgets.booking import defers_soft

# An event in the budget's currency counts as it is, any other by its base amount and the rate of the period.
_COUNTED = "CASE WHEN e.currency = %(currency)s THEN e.amount ELSE money_multiply(e.base_amount, %(rate)s) END"

_BY_LINE = """
EXISTS (
  SELECT 1 FROM costs_reservation r
  JOIN costs_reservationline l ON l.reservation_id = r.id
  JOIN costs_budgetperiod q ON q.id = l.period_id
  WHERE r.id = e.reservation AND r.event = e.id AND q.budget_id = %(budget)s)
"""

_PLACED = """
SELECT {sum}({counted}) FROM costs_costevent e {within}
WHERE e.occurred_at >= %(start)s AND e.occurred_at < %(end)s
  AND %(cost_type)s IN ('', e.cost_type) AND %(provider)s IN ('', e.provider) AND %(model)s IN ('', e.model)
  AND (e.reservation IS NULL OR NOT {by_line}) {among}
"""

_LINED = """
SELECT {sum}({counted}) FROM costs_reservationline l
JOIN costs_reservation r ON r.id = l.reservation_id
JOIN costs_costevent e ON e.id = r.event
WHERE l.period_id = %(period)s {among}
"""

_SUBTREE = "JOIN costs_entityclosure c ON c.descendant_id = e.entity_id AND c.ancestor_id = %(entity)s"
_HORIZON = "COALESCE((SELECT horizon FROM costs_foldstate WHERE id = 1), 0)::text::xid8"


def lock_ledger(*, writes: bool) -> None:
    """Stop the fold until the transaction ends, and with `writes` everybody who writes events as well.

    Call it before any other lock is taken. After it every event is either visible to the caller or will find what the
    caller writes: nothing is lost between the two, and nothing counted twice. Where there is one writer at a time
    (SQLite) the transaction alone does that.
    """
    if connection.vendor != "postgresql":
        return
    if writes:
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE costs_costevent IN SHARE MODE")
    FoldState.objects.get_or_create(id=1)
    FoldState.objects.select_for_update(no_key=True).get(id=1)


def recount(budget: Budget, period: BudgetPeriod) -> Decimal:
    """Return what the events of a period come to; without the tail for a budget that the fold counts.

    The caller holds `lock_ledger` when it means to write the result.
    """
    among = f"AND e.txid < {_HORIZON}" if defers_soft() and budget.mode != "hard" else ""
    window = Window(period.start_at, period.end_at)
    return _sum(budget, window, period.rate, among) + _sum_of_lines(budget, period, among)


def tail_of(budget: Budget, window: Window, rate: Decimal) -> Decimal:
    """Return what the fold has still to add to a period that has no row yet."""
    if not defers_soft() or budget.mode == "hard" or window.end <= budget.created_at:
        return ZERO
    return _sum(budget, window, rate, f"AND e.txid >= {_HORIZON}")


def _sum(budget: Budget, window: Window, rate: Decimal, among: str) -> Decimal:
    statement = _PLACED.format(
        sum=_sum_function(),
        counted=_COUNTED,
        within="" if budget.entity_id is None else _SUBTREE,
        by_line=_BY_LINE,
        among=among,
    )
    return _one(statement, {**_values(budget, rate), "start": _at(window.start), "end": _at(window.end)})


def _sum_of_lines(budget: Budget, period: BudgetPeriod, among: str) -> Decimal:
    statement = _LINED.format(sum=_sum_function(), counted=_COUNTED, among=among)
    return _one(statement, {**_values(budget, period.rate), "period": period.id})


def _values(budget: Budget, rate: Decimal) -> dict[str, Any]:
    postgresql = connection.vendor == "postgresql"
    return {
        "budget": budget.id if postgresql else budget.id.hex,
        "entity": budget.entity_id,
        "cost_type": budget.cost_type,
        "provider": budget.provider,
        "model": budget.model,
        "currency": budget.currency,
        "rate": rate if postgresql else format(money(rate), "f"),
    }


def _at(instant: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(instant)


def _sum_function() -> str:
    return "sum" if connection.vendor == "postgresql" else "money_sum"


def _one(statement: str, values: dict[str, Any]) -> Decimal:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        total = cursor.fetchone()[0]
    return ZERO if total is None else money(total)


def reserved_differences(*, now: datetime) -> tuple[int, list[str]]:
    """Return how many current periods there are, and the ids of those whose `reserved` is not the sum of what pends.

    One statement, one snapshot: reservations may be made and closed while it runs.
    """
    pending = (
        f"SELECT {_sum_function()}(l.amount) FROM costs_reservationline l"  # noqa: S608  # fixed text
        " JOIN costs_reservation r ON r.id = l.reservation_id WHERE l.period_id = p.id AND r.status = 'pending'"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT p.id, p.reserved, ({pending}) FROM costs_budgetperiod p"  # noqa: S608
            " WHERE p.end_at > %s AND p.start_at <= %s ORDER BY p.id",
            [_at(now), _at(now)],
        )
        rows = cursor.fetchall()
    return len(rows), [str(key) for key, reserved, held in rows if money(reserved) != money(held or ZERO)]
