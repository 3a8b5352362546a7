"""The decision on SQLite: read, compare and write exact decimals in one immediate transaction.

There is one such transaction at a time, so what was read still holds when it is written. It is kept short: plain
statements, three to read and three to write.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from core.money import CONTEXT, ZERO, money, multiply
from costs.services.reservations.asking import Bound, Room
from costs.services.reservations.decision import Decision, Wish

_NAMES = """
SELECT EXISTS (SELECT 1 FROM costs_reservation WHERE client = %s AND key = %s),
  (SELECT id FROM costs_entity WHERE entity_type = %s AND entity_id = %s)
"""
# A budget without its current period comes with NULLs.
_PERIODS = """
SELECT p.id, b.id, b.name, b.mode, b.currency, p."limit", p.limit_until, p.spent, p.reserved, p.rate, p.end_at
FROM costs_budget b
LEFT JOIN costs_budgetperiod p ON p.budget_id = b.id AND p.end_at > %s AND p.start_at <= %s
WHERE b.active AND b.archived_at IS NULL
  AND b.cost_type IN ('', %s) AND b.provider IN ('', %s) AND b.model IN ('', %s)
  AND (b.entity_id IS NULL OR b.entity_id IN (SELECT ancestor_id FROM costs_entityclosure WHERE descendant_id = %s))
ORDER BY p.id
"""
_RESERVATION = """
INSERT INTO costs_reservation (id, client, key, content_hash, status, entity_id, cost_type, provider, model, amount,
  currency, overrun, created_at, expires_at)
VALUES (%s, %s, %s, %s, 'pending', %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_LINE = "INSERT INTO costs_reservationline (reservation_id, period_id, amount) VALUES (%s, %s, %s)"
_HOLD = "UPDATE costs_budgetperiod SET reserved = %s WHERE id = %s"


class _Period(NamedTuple):
    id: int
    limit_until: datetime | None
    reserved: Decimal
    room: Room

    def holding(self) -> str:
        """Return what is reserved with what is asked."""
        return _text(CONTEXT.add(self.reserved, self.room.asked or ZERO))


def decide(wish: Wish) -> Decision:
    """Set the money aside, or say why not."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_NAMES, [wish.client.hex, wish.key, wish.ask.entity_type, wish.ask.entity_id])
        known, entity = cursor.fetchone()
        if known:
            return Decision("known")
        if entity is None:
            return Decision("unknown_entity")
        return _decide(cursor, wish, entity)


def _decide(cursor: CursorWrapper, wish: Wish, entity: int) -> Decision:
    periods = _periods(cursor, wish, entity)
    if periods is None:
        return Decision("missing_period", entity)
    if any(period.limit_until is not None and period.limit_until <= wish.now for period in periods):
        return Decision("stale_limit", entity)
    tightest = min((period.room for period in periods if period.room.hard), key=_slack, default=None)
    if tightest is not None and tightest.refuses:
        return Decision("refused", entity, tightest)
    _hold(cursor, wish, entity, periods)
    return Decision("held", entity, tightest)


def _periods(cursor: CursorWrapper, wish: Wish, entity: int) -> list[_Period] | None:
    """Return the current periods of the budgets that apply; None when one has not been made yet."""
    ask, now = wish.ask, _at(wish.now)
    cursor.execute(_PERIODS, [now, now, ask.cost_type, ask.provider, ask.model, entity])
    found = []
    for key, budget, name, mode, currency, limit, until, spent, reserved, rate, end_at in cursor.fetchall():
        if key is None:
            return None
        left = CONTEXT.subtract(CONTEXT.subtract(Decimal(limit), Decimal(spent)), Decimal(reserved))
        asked = asked_of(wish.bound, currency, Decimal(rate))
        room = Room(UUID(budget), name, mode == "hard", currency, left, asked, _aware(end_at))
        found.append(_Period(key, None if until is None else _aware(until), Decimal(reserved), room))
    return found


def _hold(cursor: CursorWrapper, wish: Wish, entity: int, periods: list[_Period]) -> None:
    ask, bound = wish.ask, wish.bound
    names: list[Any] = [wish.id.hex, wish.client.hex, wish.key, wish.content_hash.hex, entity]
    values = [ask.cost_type, ask.provider, ask.model, _text(bound.amount or ZERO), bound.currency, _text(ZERO)]
    cursor.execute(_RESERVATION, [*names, *values, _at(wish.now), _at(wish.expires_at)])
    cursor.executemany(_LINE, [(wish.id.hex, period.id, _text(period.room.asked or ZERO)) for period in periods])
    cursor.executemany(_HOLD, [(period.holding(), period.id) for period in periods])


def asked_of(bound: Bound, currency: str, rate: Decimal) -> Decimal | None:
    """Return what is asked of a budget in its own currency; None when that is not known."""
    if bound.currency == currency:
        return bound.amount
    if bound.base_amount is None:
        return None
    return bound.base_amount if currency == settings.BASE_CURRENCY else multiply(bound.base_amount, rate)


def _slack(room: Room) -> tuple[bool, Decimal]:
    return (room.asked is not None, room.room - (room.asked or ZERO))


def _text(amount: Decimal) -> str:
    return format(money(amount), "f")


def _at(instant: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(instant))


def _aware(instant: datetime) -> datetime:
    # SQLite keeps UTC without saying so.
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
