"""Giving back by hand what a reservation holds: an operator's act, with a reason, in the audit log."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from core import audit
from core.errors import Invalid
from costs.choices import ReservationStatus
from costs.models import Reservation
from costs.services.reservations import release


def force_release(reservation_id: UUID, *, reason: str, now: datetime) -> bool:
    """Release a reservation for whoever holds it; False when it holds nothing any more.

    Raises Invalid without a reason, Missing for an unknown reservation, and Conflict for a settled one.
    """
    if not reason.strip():
        raise Invalid("say why the money is given back")
    with transaction.atomic():
        held = Reservation.objects.filter(pk=reservation_id, status=ReservationStatus.PENDING).exists()
        reservation = release(reservation_id, client=None, now=now)
        # The conditional update of the release decides; an expiry in between leaves its own mark on the row.
        freed = held and reservation.status == ReservationStatus.RELEASED
        if freed:
            before = {"amount": reservation.amount, "currency": reservation.currency}
            audit.record("reservation.released", reservation, now=now, before=before, reason=reason)
    return freed
