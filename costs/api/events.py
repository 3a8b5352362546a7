"""A cost event as the API shows it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from core.money import to_text
from costs.models import CostEvent


class CostRecord(msgspec.Struct, kw_only=True):
    """One event of the ledger, as it was recorded. A correction is another event that names it in `adjusts`."""

    record_id: UUID
    occurred_at: datetime
    recorded_at: datetime
    entity_type: str
    entity_id: str
    cost_type: str
    event_class: str
    provider: str
    model: str
    service_tier: str
    region: str
    quantities: dict[str, Any]
    amount: str | None
    currency: str
    base_amount: str | None
    list_amount: str | None
    price_status: str
    price_version: UUID | None
    breakdown: dict[str, Any]
    tags: dict[str, Any]
    metadata: dict[str, Any]
    trace_id: str
    span_id: str
    session_id: str
    reservation_id: UUID | None
    adjusts: UUID | None
    idempotency_key: str


SAME = (
    "occurred_at", "recorded_at", "cost_type", "event_class", "provider", "model", "service_tier", "region",
    "quantities", "currency", "price_status", "breakdown", "tags", "metadata", "trace_id", "span_id", "session_id",
    "adjusts", "idempotency_key",
)  # fmt: skip


def shown(event: CostEvent) -> CostRecord:
    """Return the event for an answer; its entity is loaded with it."""
    return CostRecord(
        record_id=event.id,
        entity_type=event.entity.entity_type,
        entity_id=event.entity.entity_id,
        amount=text(event.amount),
        base_amount=text(event.base_amount),
        list_amount=text(event.list_amount),
        price_version=event.price_version_id,
        reservation_id=event.reservation,
        **{name: getattr(event, name) for name in SAME},
    )


def text(amount: Decimal | None) -> str | None:
    """Return an amount as text, or None for one that is not known."""
    return None if amount is None else to_text(amount)
