"""Closing of reservations by the events that say what their calls cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from core.money import ZERO, multiply
from costs.choices import BudgetMode, ReservationStatus
from costs.models import Reservation, ReservationLine
from costs.services.budgets.periods import RateMissing, rate_of
from costs.spend import Spend

SETTLEABLE = (ReservationStatus.PENDING, ReservationStatus.EXPIRED)


class Line(NamedTuple):
    """What a reservation held in one period, and what is needed to count its event there.

    `held` is 0 where the reservation had expired and held nothing any more; `counted` is False for an archived budget.
    """

    period: int
    budget: UUID
    held: Decimal
    currency: str
    rate: Decimal
    hard: bool
    counted: bool


class Settlement:
    """The reservations that a batch of events settles: locked, and closed when their money has been booked.

    `lines` are theirs by the event that settles each.
    """

    def __init__(self, locked: Sequence[Reservation], named: Mapping[UUID, Spend]) -> None:
        self._locked, self._named = locked, named
        self.lines: dict[UUID, list[Line]] = {named[reservation.id].event: [] for reservation in locked}
        pending = {reservation.id for reservation in locked if reservation.status == ReservationStatus.PENDING}
        for key, line in _lines([reservation.id for reservation in locked]):
            self.lines[named[key].event].append(line if key in pending else line._replace(held=ZERO))

    def close(self, *, now: datetime) -> None:
        """Mark the reservations as settled. Call it when every period the transaction changes is locked.

        A repeated reservation waits for whoever changes the row under its key while it holds the locks of its
        periods; whoever changes that row must not need them any more.
        """
        if not self._locked:
            return
        for reservation in self._locked:
            spend = self._named[reservation.id]
            reservation.status = ReservationStatus.SETTLED
            reservation.actual = _actual(spend, reservation.currency)
            reservation.overrun = max(ZERO, (reservation.actual or ZERO) - reservation.amount)
            reservation.event = spend.event
            reservation.closed_at = now
        Reservation.objects.bulk_update(self._locked, ["status", "actual", "overrun", "event", "closed_at"])


def settlement_of(spends: Sequence[Spend], *, client: UUID | None) -> Settlement:
    """Lock the reservations that these events settle, in the order of their ids.

    The first event that names a pending or expired reservation of this client settles it, once: a second event, or
    one for a reservation released before, settles nothing and counts as any other spend does. Used by
    `add_hard_spend`, in the transaction that wrote the events.
    """
    named: dict[UUID, Spend] = {}
    for spend in spends:
        if spend.reservation is not None:
            named.setdefault(spend.reservation, spend)
    return Settlement(_locked(named, client) if named else [], named)


def _locked(named: Iterable[UUID], client: UUID | None) -> list[Reservation]:
    found = Reservation.objects.filter(id__in=list(named), status__in=SETTLEABLE).order_by("id")
    if client is not None:
        found = found.filter(client=client)
    if connection.vendor == "postgresql":
        found = found.select_for_update(no_key=True)
    return list(found)


def _actual(spend: Spend, currency: str) -> Decimal | None:
    if spend.currency == currency:
        return spend.amount
    if spend.base_amount is None:
        return None
    try:
        return multiply(spend.base_amount, rate_of(currency, spend.occurred_at.date()))
    except RateMissing:
        # The budgets count the event all the same; only the comparison with the estimate has to do without.
        return None


def _lines(reservations: Sequence[UUID]) -> Iterable[tuple[UUID, Line]]:
    if not reservations:
        return
    rows = ReservationLine.objects.filter(reservation_id__in=reservations).values_list(
        "reservation_id",
        "period_id",
        "period__budget_id",
        "amount",
        "period__budget__currency",
        "period__rate",
        "period__budget__mode",
        "period__budget__archived_at",
    )
    for reservation, period, budget, held, currency, rate, mode, archived_at in rows:
        yield reservation, Line(period, budget, held, currency, rate, mode == BudgetMode.HARD, archived_at is None)
