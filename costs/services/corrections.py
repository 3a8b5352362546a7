"""What changes a recorded cost: another event. The original stays, so every total is a plain sum of rows.

An adjustment holds a difference (a price or a rate that came late, a repricing); a correction is a reversal of what
the event has come to and a new event in its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, localcontext
from hashlib import sha256
from typing import Literal
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Sum

from core import audit
from core.errors import Conflict, FieldError, Invalid
from core.ids import uuid7
from core.money import CONTEXT, ZERO, MoneySum, money
from costs.choices import EventClass, PriceStatus
from costs.models import CostEvent, EventKey
from costs.services.budgets.booking import add_hard_spend
from costs.services.fx import rates_for
from costs.services.rollups.deltas import Addend, add_to_rollups
from costs.spend import Spend

SOURCE = "ledger"
Question = Literal["", "price", "rate"]


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A difference to be booked on an event.

    `key` makes it happen once: the same key again is left out. `answers` names the open question of the original that
    this settles: it was unpriced and has a price now, or it had no exchange rate and has one now.
    """

    original: CostEvent
    key: str
    amount: Decimal
    base_amount: Decimal | None
    answers: Question = ""
    currency: str = ""
    price_version: UUID | None = None
    fx_rate: int | None = None
    breakdown: dict[str, str] = field(default_factory=dict)
    reason: str = ""


def write_adjustments(adjustments: Iterable[Adjustment], *, now: datetime) -> list[CostEvent]:
    """Book differences as events of their own at the instant of the originals; returns those not booked before."""
    wanted = {_digest(adjustment.key): adjustment for adjustment in adjustments}
    with transaction.atomic():
        taken = set(EventKey.objects.filter(digest__in=wanted).values_list("digest", flat=True))
        rows = [_adjusting(adjustment, now) for digest, adjustment in wanted.items() if digest not in taken]
        _write(rows, now)
    return rows


def correct_cost(event: CostEvent, amount: Decimal, *, reason: str, now: datetime) -> CostEvent:
    """Book that an event cost `amount` of its currency instead; returns the event that stands in its place.

    Raises Invalid for an amount below zero or without a reason, and Conflict when the event was corrected before or
    is itself a correction's reversal or an adjustment: what stands in its place is to be corrected then.
    """
    amount = money(amount)
    if amount < 0:
        raise Invalid("an amount is 0 or more", errors=[FieldError("/amount", "min_value", "an amount is 0 or more")])
    if not reason.strip():
        raise Invalid("say why the cost is corrected", errors=[FieldError("/reason", "required", "say why")])
    if event.event_class in {EventClass.ADJUSTMENT, EventClass.REVERSAL}:
        raise Conflict("an adjustment or reversal is not corrected; correct the event that it belongs to")
    try:
        with transaction.atomic():
            reversal = _reversal(event, reason, now)
            replacement = _replacement(event, amount, reason, now)
            _write([reversal, replacement], now)
            audit.record(
                "cost.corrected",
                event,
                now=now,
                before={"amount": event.amount, "currency": event.currency},
                after={"amount": amount, "replacement": replacement.id},
                reason=reason,
            )
    except IntegrityError:
        raise Conflict("this event was corrected already; correct the event that stands in its place") from None
    return replacement


def convert_pending(*, now: datetime, limit: int = 2000) -> int:
    """Fill in base amounts for which an exchange rate has become known; returns how many events were converted.

    The rate of the day the event occurred on is used, however late it was recorded.
    """
    answered = CostEvent.objects.filter(adjusts=OuterRef("id"), unconverted_count=-1)
    reversed_ = CostEvent.objects.filter(adjusts=OuterRef("id"), event_class=EventClass.REVERSAL)
    pending = CostEvent.objects.filter(amount__isnull=False, base_amount__isnull=True)
    pending = pending.exclude(event_class=EventClass.REVERSAL).filter(~Exists(answered), ~Exists(reversed_))
    codes = set(pending.order_by().values_list("currency", flat=True).distinct())
    converted = 0
    for code in sorted(codes):
        converted += _convert(list(pending.filter(currency=code).order_by("id")[:limit]), code, now)
    return converted


def standing_amounts(event: CostEvent) -> tuple[Decimal | None, Decimal | None, int, int]:
    """Return what an event has come to with its adjustments: (amount, base amount, open price, open rate)."""
    sums = CostEvent.objects.filter(adjusts=event.id, event_class=EventClass.ADJUSTMENT).aggregate(
        amount=MoneySum("amount", default=None),
        base=MoneySum("base_amount", default=None),
        unpriced=Sum("unpriced_count"),
        unconverted=Sum("unconverted_count"),
    )
    return (
        _plus(event.amount, sums["amount"]),
        _plus(event.base_amount, sums["base"]),
        event.unpriced_count + (sums["unpriced"] or 0),
        event.unconverted_count + (sums["unconverted"] or 0),
    )


def _convert(events: Sequence[CostEvent], currency: str, now: datetime) -> int:
    if not events:
        return 0
    days = [event.occurred_at.date() for event in events]
    rates = rates_for({currency}, settings.BASE_CURRENCY, min(days), max(days))
    adjustments = []
    for event, day in zip(events, days, strict=True):
        quote = rates.quote(currency, settings.BASE_CURRENCY, day)
        if quote is None or event.amount is None:
            continue
        base = quote.convert(event.amount)
        key = f"rate:{event.id}"
        adjustments.append(Adjustment(event, key, ZERO, base, answers="rate", fx_rate=quote.rate_id))
    return len(write_adjustments(adjustments, now=now))


def _adjusting(adjustment: Adjustment, now: datetime) -> CostEvent:
    original = adjustment.original
    row = _like(original, now, f"{adjustment.key}")
    row.event_class = EventClass.ADJUSTMENT
    row.amount, row.base_amount = money(adjustment.amount), adjustment.base_amount
    row.currency = adjustment.currency or original.currency
    row.price_status = PriceStatus.PRICED if adjustment.answers == "price" else original.price_status
    if row.price_status == PriceStatus.UNPRICED:
        row.price_status = PriceStatus.PRICED
    row.price_version_id, row.fx_rate_id = adjustment.price_version, adjustment.fx_rate
    row.breakdown = adjustment.breakdown
    row.metadata = {"reason": adjustment.reason} if adjustment.reason else {}
    row.event_count = 0
    row.unpriced_count = -1 if adjustment.answers == "price" else 0
    row.unconverted_count = -1 if adjustment.answers == "rate" else int(row.base_amount is None)
    return row


def _reversal(event: CostEvent, reason: str, now: datetime) -> CostEvent:
    amount, base, unpriced, unconverted = standing_amounts(event)
    row = _like(event, now, f"reversal:{event.id}")
    row.event_class = EventClass.REVERSAL
    row.amount, row.base_amount = _minus(amount), _minus(base)
    row.price_status = event.price_status if amount is None else PriceStatus.REPORTED
    row.metadata = {"reason": reason}
    row.event_count, row.unpriced_count, row.unconverted_count = -event.event_count, -unpriced, -unconverted
    row.input_tokens, row.output_tokens = -event.input_tokens, -event.output_tokens
    return row


def _replacement(event: CostEvent, amount: Decimal, reason: str, now: datetime) -> CostEvent:
    row = _like(event, now, f"replacement:{event.id}")
    row.event_class = event.event_class
    row.amount, row.price_status = amount, PriceStatus.REPORTED
    row.metadata = {**event.metadata, "reason": reason}
    row.quantities = event.quantities
    row.input_tokens, row.output_tokens = event.input_tokens, event.output_tokens
    if event.currency == settings.BASE_CURRENCY:
        row.base_amount = amount
    else:
        day = event.occurred_at.date()
        quote = rates_for({event.currency}, settings.BASE_CURRENCY, day, day).quote(
            event.currency, settings.BASE_CURRENCY, day
        )
        row.base_amount = None if quote is None else quote.convert(amount)
        row.fx_rate_id = None if quote is None else quote.rate_id
    row.unconverted_count = int(row.base_amount is None)
    return row


def _like(event: CostEvent, now: datetime, key: str) -> CostEvent:
    return CostEvent(
        id=uuid7(),
        occurred_at=event.occurred_at,
        recorded_at=now,
        entity_id=event.entity_id,
        cost_type=event.cost_type,
        provider=event.provider,
        model=event.model,
        service_tier=event.service_tier,
        region=event.region,
        currency=event.currency,
        tags=event.tags,
        trace_id=event.trace_id,
        span_id=event.span_id,
        session_id=event.session_id,
        adjusts=event.id,
        source=SOURCE,
        idempotency_key=key,
    )


def _write(rows: Sequence[CostEvent], now: datetime) -> None:
    if not rows:
        return
    keys = [_key_of(row) for row in rows]
    EventKey.objects.bulk_create(sorted(keys, key=lambda key: key.digest), batch_size=500)
    CostEvent.objects.bulk_create(rows, batch_size=500)
    if connection.vendor == "sqlite":
        add_to_rollups(_addend(row) for row in rows)
    add_hard_spend([_spend(row) for row in rows if row.amount is not None], source=SOURCE, now=now)


def _key_of(row: CostEvent) -> EventKey:
    content = _half(f"{row.adjusts}\0{row.amount}\0{row.base_amount}".encode())
    return EventKey(
        digest=_digest(row.idempotency_key), content_hash=content, event=row.id, occurred_at=row.occurred_at
    )


def _addend(row: CostEvent) -> Addend:
    return Addend(
        row.entity_id,
        row.cost_type,
        row.provider,
        row.model,
        row.occurred_at,
        row.currency,
        row.amount,
        row.base_amount,
        row.event_count,
        row.unpriced_count,
        row.unconverted_count,
        row.input_tokens,
        row.output_tokens,
    )


def _spend(row: CostEvent) -> Spend:
    return Spend(
        event=row.id,
        entity=row.entity_id,
        cost_type=row.cost_type,
        provider=row.provider,
        model=row.model,
        occurred_at=row.occurred_at,
        amount=row.amount if row.amount is not None else ZERO,
        currency=row.currency,
        base_amount=row.base_amount,
    )


def _digest(key: str) -> UUID:
    return _half(f"{SOURCE}\0{key}".encode())


def _half(data: bytes) -> UUID:
    return UUID(bytes=sha256(data).digest()[:16])


def _plus(left: Decimal | None, right: Decimal | None) -> Decimal | None:
    if left is None or right is None:
        return right if left is None else left
    with localcontext(CONTEXT):
        return left + right


def _minus(value: Decimal | None) -> Decimal | None:
    return None if value is None else value.copy_negate() if value else value
