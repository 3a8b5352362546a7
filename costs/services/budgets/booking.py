"""What an event changes on budgets, in the transaction that writes it.

The attribution of an event is one rule, whichever budget counts it and whenever:

1. the event that settled a reservation counts on every period the reservation has a line in, whatever its own instant;
2. on any other budget that covers its entity and passes its filters, an event counts in the period of its instant.

So an event counts on a budget at most once, by construction, and a period's `spent` is a plain function of the events
and the lines (`recount` works it out again from nothing else). Hard budgets are counted here; soft ones by the fold,
by the same rule. Where there is one writer at a time (SQLite) nothing is folded later and all are counted here.

Rows are locked in one order everywhere: events, reservations by id, budgets by id, periods by id. A reservation is
changed only when the periods are locked (see `Settlement.close`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal, localcontext
from typing import NamedTuple
from uuid import UUID

from django.db import connection
from django.db.models import Q

from core.money import CONTEXT, ZERO
from core.windows import Window
from costs.models import BudgetPeriod
from costs.services.budgets.deltas import Deltas, apply, array_text
from costs.services.budgets.periods import create_periods, lock_periods, refresh_limits
from costs.services.budgets.scopes import Scopes, counting_scopes
from costs.services.budgets.settlement import Line, settlement_of
from costs.services.budgets.tally import Cell, converted, tally
from costs.spend import Spend

Place = tuple[UUID, datetime]


def defers_soft() -> bool:
    """Say whether soft budgets are counted by the fold instead of in the transaction that writes the events."""
    return connection.vendor == "postgresql"


def add_hard_spend(spends: Sequence[Spend], *, source: str, now: datetime) -> None:
    """Settle the reservations that these written events name, and count them on the budgets.

    Call it inside the transaction, after the events are written: a budget that becomes hard waits for that
    transaction and counts its events itself, or is found here. `spends` are all written events with an amount, in the
    order received; `source` is the sender's, whose reservations alone it may settle.
    """
    if spends:
        _add(spends, hard_scopes({spend.entity for spend in spends}), source, now)


def add_hard_spend_of(
    entities: Collection[int], spends: Callable[[], Sequence[Spend]], *, reserved: bool, source: str, now: datetime
) -> None:
    """Do what `add_hard_spend` does; `spends` are asked for when a budget counts them or a reservation is named."""
    if not entities:
        return
    scopes = hard_scopes(entities)
    if scopes or reserved:
        _add(spends(), scopes, source, now)


def hard_scopes(entities: Collection[int]) -> Scopes:
    """Return the budgets that count events of these entities in the transaction that writes them."""
    return counting_scopes(entities, hard_only=defers_soft())


def _add(spends: Sequence[Spend], scopes: Scopes, source: str, now: datetime) -> None:
    with localcontext(CONTEXT):
        settlement = settlement_of(spends, client=client_of(source))
        deltas = Deltas()
        _count_lines(deltas, spends, settlement.lines)
        stale = _count_cells(deltas, tally(spends, settlement.lines, scopes), now)
        if stale:
            # In the order of all locks, before any limit is compared.
            locked = lock_periods(BudgetPeriod.objects.filter(id__in=deltas.periods()))
            refresh_limits([row.id for row in locked if row.id in stale], now=now)
        apply(deltas)
        settlement.close(now=now)


def client_of(source: str) -> UUID | None:
    """Return the family of keys that a source names ("key:<hex>"); None for the platform's own sources."""
    name = source.rpartition(":")[2]
    try:
        return UUID(hex=name) if len(name) == 32 else None
    except ValueError:
        return None


def _count_lines(deltas: Deltas, spends: Iterable[Spend], settled: Mapping[UUID, Sequence[Line]]) -> None:
    if not settled:
        return
    for spend in spends:
        for line in settled.get(spend.event, ()):
            now_counted = line.counted and (line.hard or not defers_soft())
            spent = converted(spend, line.currency, line.rate) if now_counted else ZERO
            deltas.add(line.period, spent=spent, reserved=-line.held, hard=line.hard)


class _Row(NamedTuple):
    period: int
    rate: Decimal
    # Whether the limit has ended and the period has not.
    stale: bool


def _count_cells(deltas: Deltas, cells: Sequence[Cell], now: datetime) -> set[int]:
    """Add what was counted by instant; returns the periods whose limit has ended."""
    if not cells:
        return set()
    rows = _rows(cells, now)
    for cell in cells:
        row = rows[cell.scope.id, cell.start]
        deltas.add(row.period, spent=cell.amount(row.rate), hard=cell.scope.hard)
    return {row.period for row in rows.values() if row.stale}


def _rows(cells: Sequence[Cell], now: datetime) -> dict[Place, _Row]:
    rows = _existing(cells, now)
    missing = [cell for cell in cells if (cell.scope.id, cell.start) not in rows]
    if missing:
        create_periods([(cell.scope.id, Window(cell.start, cell.end)) for cell in missing], now=now)
        rows = _existing(cells, now)
    return rows


def _existing(cells: Sequence[Cell], now: datetime) -> dict[Place, _Row]:
    if connection.vendor == "postgresql":
        # By their place in the list, and arrays as text: the driver takes long for instants and lists.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT wanted.place - 1, id, rate, COALESCE(limit_until <= %s AND end_at > %s, false)"
                " FROM costs_budgetperiod JOIN unnest(%s::uuid[], %s::timestamptz[])"
                " WITH ORDINALITY AS wanted(budget, start, place)"
                " ON budget_id = wanted.budget AND start_at = wanted.start",
                [now, now, array_text([cell.scope.id for cell in cells]), array_text([cell.start for cell in cells])],
            )
            found = cursor.fetchall()
        return {(cells[place].scope.id, cells[place].start): _Row(*row) for place, *row in found}
    columns = ("budget_id", "start_at", "id", "rate", "limit_until", "end_at")
    # Grouped by start: budgets of one calendar share it, so the condition stays short.
    wanted = Q()
    for start in {cell.start for cell in cells}:
        wanted |= Q(start_at=start, budget_id__in=[cell.scope.id for cell in cells if cell.start == start])
    return {
        (budget, start): _Row(period, rate, until is not None and until <= now < end)
        for budget, start, period, rate, until, end in BudgetPeriod.objects.filter(wanted).values_list(*columns)
    }
