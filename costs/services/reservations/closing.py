"""Settling, releasing, extending and expiring what was set aside.

Exactly one cost event settles a reservation, and it is that event which counts on the budgets (see
`costs.services.budgets.booking`). Whoever settles through here has the event recorded under a key made of the
reservation's id, so a repetition finds the event and records nothing; whoever sends a cost event that names the
reservation settles it with that event. Money is given back by nothing but a change of the reservation's status from
pending, which happens once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet

from core.errors import Conflict, FieldError, Invalid, Missing
from core.money import ZERO
from costs.choices import BudgetMode, ReservationStatus
from costs.inputs import CostItem, Rejected, Sender, item_from
from costs.models import CostEvent, Reservation, ReservationLine
from costs.services.budgets.deltas import Deltas, apply
from costs.services.reservations.asking import LONGEST_TTL

EXPIRE_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Settled:
    """What a settlement came to; `repeated` when it had been made before.

    With an event that nobody can price yet the reservation stays open and holds its money until it expires; the cost
    counts when its price is found.
    """

    reservation: Reservation
    record_id: UUID
    amount: Decimal | None
    currency: str
    price_status: str
    repeated: bool


def settle(reservation_id: UUID, spent: Mapping[str, object], *, client: UUID, now: datetime) -> Settled:
    """Record what the call cost as a cost event, and book it instead of what was set aside.

    `spent` are fields of a cost item: `amount`, or token counts for the price book, and what else is worth keeping;
    entity, cost type, provider and model are those reserved for unless given. An expired reservation is booked all
    the same. Settling again with the same content returns the first result. Raises Missing for an unknown reservation
    or one of another client, Conflict when it was released or settled differently, and Invalid. Released at the same
    moment by somebody else, the cost is recorded all the same, as a spend of its own.
    """
    from costs.services.ingest import record_cost  # ingest books through the package this one uses

    reservation = _of_client(reservation_id, client)
    _refuse_closed(reservation)
    verdict = record_cost(_item(reservation, spent), sender=Sender(source=f"key:{client.hex}"), now=now)
    if verdict.status == "conflict":
        raise Conflict("The reservation was settled with something else.", code="settled_differently")
    if verdict.status == "rejected" or verdict.record_id is None:
        errors = [FieldError(error.pointer, error.code, error.detail) for error in verdict.errors]
        raise Invalid(errors[0].detail if errors else "This cannot be recorded.", errors=errors)
    reservation.refresh_from_db()
    return Settled(
        reservation,
        verdict.record_id,
        verdict.amount,
        verdict.currency,
        verdict.price_status,
        repeated=verdict.status == "duplicate",
    )


def release(reservation_id: UUID, *, client: UUID | None, now: datetime) -> Reservation:
    """Give back what was set aside because nothing was spent; once released or expired, nothing more happens.

    `client` None is the platform itself (an operator). Raises Missing, and Conflict for a settled reservation.
    """
    reservation = _of_client(reservation_id, client)
    with transaction.atomic():
        _give_back(Reservation.objects.filter(id=reservation_id), ReservationStatus.RELEASED, now)
    reservation.refresh_from_db()
    if reservation.status == ReservationStatus.SETTLED:
        raise Conflict("The reservation is settled: the money was spent.", code="settled")
    return reservation


def extend(reservation_id: UUID, *, ttl: timedelta, client: UUID, now: datetime) -> Reservation:
    """Keep the money aside until `ttl` from now, for a call that takes its time; it is never shortened.

    Raises Missing, Invalid for a time out of range, and Conflict for one that is not pending any more.
    """
    if not timedelta(seconds=1) <= ttl <= LONGEST_TTL:
        detail = "A reservation lasts 1 second to 24 hours."
        raise Invalid(detail, errors=[FieldError("/ttl_seconds", "out_of_range", detail)])
    reservation = _of_client(reservation_id, client)
    pending = Reservation.objects.filter(id=reservation_id, status=ReservationStatus.PENDING)
    pending.filter(expires_at__lt=now + ttl).update(expires_at=now + ttl)
    reservation.refresh_from_db()
    if reservation.status != ReservationStatus.PENDING:
        raise Conflict(f"The reservation is {reservation.status}; reserve again.", code=reservation.status)
    return reservation


def expire_due(*, now: datetime, limit: int = EXPIRE_AT_ONCE) -> int:
    """Give back what pending reservations hold whose time is over, `limit` at most; returns how many.

    Any number of sweeps may run at once: each takes others' rows, and none waits for a settlement in progress.
    """
    due = Reservation.objects.filter(status=ReservationStatus.PENDING, expires_at__lte=now).order_by("expires_at", "id")
    with transaction.atomic():
        return _give_back(due, ReservationStatus.EXPIRED, now, limit=limit, skip_locked=True)


def _of_client(reservation_id: UUID, client: UUID | None) -> Reservation:
    found = Reservation.objects.filter(id=reservation_id)
    reservation = (found if client is None else found.filter(client=client)).select_related("entity").first()
    if reservation is None:
        raise Missing("There is no such reservation.")
    return reservation


def _refuse_closed(reservation: Reservation) -> None:
    if reservation.status == ReservationStatus.RELEASED:
        raise Conflict("The reservation was released: record the cost as an event of its own.", code="released")
    if reservation.event is not None:
        own = CostEvent.objects.filter(id=reservation.event, idempotency_key=_key(reservation)).exists()
        if not own:
            raise Conflict("The reservation was settled by another cost event.", code="settled_differently")


def _key(reservation: Reservation) -> str:
    return f"settle:{reservation.id}"


def _item(reservation: Reservation, spent: Mapping[str, object]) -> CostItem:
    values: dict[str, object] = {
        "cost_type": reservation.cost_type,
        "provider": reservation.provider,
        "model": reservation.model,
        **({"currency": reservation.currency} if spent.get("amount") is not None else {}),
        **spent,
        "entity_type": reservation.entity.entity_type,
        "entity_id": reservation.entity.entity_id,
        "reservation_id": reservation.id,
        "idempotency_key": _key(reservation),
    }
    item = item_from(values)
    if isinstance(item, Rejected):
        errors = [FieldError(error.pointer, error.code, error.detail) for error in item.errors]
        raise Invalid(errors[0].detail, errors=errors)
    return item


def _give_back(
    found: QuerySet[Reservation],
    status: ReservationStatus,
    now: datetime,
    *,
    limit: int | None = None,
    skip_locked: bool = False,
) -> int:
    """Close the pending ones among these reservations and take what they held off the periods."""
    pending = found.filter(status=ReservationStatus.PENDING)
    if connection.vendor == "postgresql":
        pending = pending.select_for_update(no_key=True, skip_locked=skip_locked)
    ids = [reservation.id for reservation in pending.only("id")[:limit]]
    if not ids:
        return 0
    deltas = Deltas()
    held = ReservationLine.objects.filter(reservation_id__in=ids).values_list(
        "period_id", "amount", "period__budget__mode"
    )
    for period, amount, mode in held:
        deltas.add(period, spent=ZERO, reserved=-amount, hard=mode == BudgetMode.HARD)
    apply(deltas)
    # Last, under the locks of the periods, as every change of a reservation (see `Settlement.close`).
    Reservation.objects.filter(id__in=ids).update(status=status, closed_at=now)
    return len(ids)
