"""Changes of period rows, collected in memory and written in one ordered statement."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, localcontext

from django.db import connection

from core.money import CONTEXT, ZERO
from costs.models import BudgetPeriod


@dataclass(slots=True)
class Delta:
    """What changes on one period; `hard` says whether going past the limit is an overrun."""

    spent: Decimal = ZERO
    reserved: Decimal = ZERO
    hard: bool = False


class Deltas:
    """The changes of a transaction, by period."""

    def __init__(self) -> None:
        self._by_period: dict[int, Delta] = {}

    def add(self, period: int, *, spent: Decimal = ZERO, reserved: Decimal = ZERO, hard: bool) -> None:
        """Add to the changes of a period; nothing is noted when nothing changes."""
        if spent or reserved:
            delta = self._by_period.setdefault(period, Delta(hard=hard))
            delta.spent += spent
            delta.reserved += reserved

    def periods(self) -> list[int]:
        """Return the ids of the periods that change, in the order they are locked in."""
        return sorted(self._by_period)

    def ordered(self) -> Iterable[tuple[int, Delta]]:
        """Return the changes in the order of the locks."""
        return sorted(self._by_period.items())


# The rows are locked in the order of their ids before any is changed: an UPDATE alone locks in the order of its plan,
# and two of them deadlock. Overrun grows by as much as the commitments (spent + reserved) grow past the limit.
_APPLY = """
WITH delta AS (
  SELECT * FROM unnest(%s::bigint[], %s::numeric[], %s::numeric[], %s::boolean[]) AS d(id, spent, reserved, hard)
), locked AS MATERIALIZED (
  SELECT p.id FROM costs_budgetperiod p JOIN delta USING (id) ORDER BY p.id FOR NO KEY UPDATE OF p
)
UPDATE costs_budgetperiod p SET
  spent = p.spent + delta.spent,
  reserved = p.reserved + delta.reserved,
  overrun = p.overrun + CASE WHEN delta.hard THEN greatest(0,
    greatest(0, p.spent + p.reserved + delta.spent + delta.reserved - p."limit")
    - greatest(0, p.spent + p.reserved - p."limit")) ELSE 0 END
FROM delta JOIN locked USING (id) WHERE p.id = delta.id
"""


def apply(deltas: Deltas) -> None:
    """Write the changes, locking the periods in the order of their ids; the caller's transaction holds them."""
    changes = list(deltas.ordered())
    if not changes:
        return
    if connection.vendor == "postgresql":
        columns = zip(*((period, d.spent, d.reserved, d.hard) for period, d in changes), strict=True)
        with connection.cursor() as cursor:
            cursor.execute(_APPLY, [array_text(column) for column in columns])
        return
    rows = BudgetPeriod.objects.in_bulk([period for period, _ in changes])
    for period, delta in changes:
        _change(rows[period], delta)
    BudgetPeriod.objects.bulk_update(rows.values(), ["spent", "reserved", "overrun"])


def array_text(values: Iterable[object]) -> str:
    """Return numbers, ids, instants or truths as PostgreSQL's text of an array; the driver is slow to adapt lists."""
    return "{" + ",".join([f'"{value}"' for value in values]) + "}"


def _change(row: BudgetPeriod, delta: Delta) -> None:
    with localcontext(CONTEXT):
        before = row.spent + row.reserved
        row.spent += delta.spent
        row.reserved += delta.reserved
        if delta.hard:
            past = max(ZERO, row.spent + row.reserved - row.limit)
            row.overrun += max(ZERO, past - max(ZERO, before - row.limit))
