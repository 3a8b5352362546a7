"""What people do with final periods: credit them, waive them, take and decide disputes. Numbers stay as they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.money import MoneyError, money, to_text
from slas.choices import PERIOD_MOVES, PeriodStatus
from slas.models import SLAPeriod
from slas.services.contracts.definitions import terms_for
from slas.services.contracts.standing import tell_credit

SETTLED_BY_PEOPLE = (PeriodStatus.FINAL, PeriodStatus.DISPUTED)


def credit_period(
    period_id: UUID, *, reason: str, now: datetime, amount: Decimal | None = None, reference: str = ""
) -> SLAPeriod:
    """Mark the credit as given: what was computed, or another amount that a dispute ended with.

    Raises Conflict when the period is not final or disputed or nothing is to be credited, Invalid without a reason or
    for an amount that is not between 0 and the fee.
    """
    period = _found(period_id)
    settled = period.credit if amount is None else _amount(amount, period)
    if period.credit is None or (amount is None and not period.credit):
        raise Conflict("there is nothing to credit for this period", code="no_credit")
    if settled != period.credit and period.status != PeriodStatus.DISPUTED:
        detail = "another amount than computed is the outcome of a dispute: open one first"
        raise Conflict(detail, code="not_disputed")
    written = {"settled_credit": settled, "credit_reference": reference}
    return _move(period, PeriodStatus.CREDITED, reason=reason, now=now, written=written)


def waive_period(period_id: UUID, *, reason: str, now: datetime) -> SLAPeriod:
    """Settle a period without a credit, for a reason. Raises Conflict when it is not final or disputed."""
    period = _found(period_id)
    return _move(period, PeriodStatus.WAIVED, reason=reason, now=now, written={"settled_credit": Decimal(0)})


def dispute_period(period_id: UUID, *, reason: str, now: datetime) -> SLAPeriod:
    """Take a customer's objection. Raises Conflict when the period is not final or the time for claims is over."""
    period = _found(period_id)
    until = claim_until(period)
    if until is None or now >= until:
        ended = f" on {until:%Y-%m-%d}" if until else ""
        detail = f"the time for claims ended{ended}" if until else "the period is not final yet"
        raise Conflict(detail, code="claim_window_over" if until else "not_final")
    return _move(period, PeriodStatus.DISPUTED, reason=reason, now=now, written={})


def reject_dispute(period_id: UUID, *, reason: str, now: datetime) -> SLAPeriod:
    """Decide that the numbers stand: the period is final again. Raises Conflict when it is not disputed."""
    return _move(_found(period_id), PeriodStatus.FINAL, reason=reason, now=now, written={})


def claim_until(period: SLAPeriod) -> datetime | None:
    """Return when the time for claims is over, counted from when the period became final; None before."""
    if period.final_at is None:
        return None
    return period.final_at + timedelta(days=terms_for(period.contract, period.start)[1].claim_days)


@transaction.atomic
def _move(period: SLAPeriod, status: str, *, reason: str, now: datetime, written: dict[str, Any]) -> SLAPeriod:
    """Take the period to a status from whichever allows it; the row count decides between two at once."""
    if not reason.strip():
        raise Invalid("say why", errors=[FieldError("/reason", "required", "this needs a reason")])
    allowed = [
        before for before, after in PERIOD_MOVES.items() if status in after and before != PeriodStatus.PROVISIONAL
    ]
    changes = {"status": status, "status_at": now, "status_by": current().actor.label, "status_reason": reason[:500]}
    moved = SLAPeriod.objects.filter(pk=period.pk, status=period.status, status__in=allowed).update(
        **changes, **written
    )
    if not moved:
        period.refresh_from_db()
        detail = f"a period that is {period.get_status_display().lower()} cannot become {status}"
        raise Conflict(detail, code="period_state")
    before = period.status
    period.refresh_from_db()
    tell_credit(period, now=now)
    after = {"status": status, **{name: _plain(value) for name, value in written.items()}}
    audit.record(f"contract.period_{status}", period, now=now, before={"status": before}, after=after, reason=reason)
    return period


def _plain(value: Any) -> object:
    return to_text(value) if isinstance(value, Decimal) else value


def _amount(amount: Decimal, period: SLAPeriod) -> Decimal:
    try:
        settled = money(amount)
    except MoneyError as error:
        raise Invalid(str(error), errors=[FieldError("/amount", "invalid", str(error))]) from error
    if not 0 <= settled <= (period.fee or Decimal(0)):
        detail = "a credit is from 0 to the fee of the period"
        raise Invalid(detail, errors=[FieldError("/amount", "out_of_range", detail)])
    return settled


def _found(period_id: UUID) -> SLAPeriod:
    rows = SLAPeriod.objects.select_related("contract__customer", "contract__service", "contract__sli")
    period = rows.filter(pk=period_id).first()
    if period is None:
        raise Missing("there is no such period")
    return period
