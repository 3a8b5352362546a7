"""What comes in: one cost as any door hands it over (JSON, a batch, OpenTelemetry), and the verdict it gets.

The structs hold types and lengths only, which msgspec checks in C while it decodes. Whether the values make sense is
judged in one place, `costs.services.ingest`, for every door alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct, field

from core.errors import FieldError

__all__ = ["CostItem", "FieldError", "Rejected", "Sender", "Verdict", "VerdictStatus", "field_error", "item_from"]

Word = Annotated[str, Meta(min_length=1, max_length=32)]
EntityId = Annotated[str, Meta(min_length=1, max_length=200)]
CurrencyCode = Annotated[str, Meta(min_length=1, max_length=8)]
Provider = Annotated[str, Meta(max_length=64)]
ModelName = Annotated[str, Meta(max_length=160)]
Tier = Annotated[str, Meta(min_length=1, max_length=10)]
Region = Annotated[str, Meta(max_length=40)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
IdempotencyKey = Annotated[str, Meta(min_length=1, max_length=200)]
TagKey = Annotated[str, Meta(min_length=1, max_length=64)]
TagValue = Annotated[str, Meta(max_length=256)]
Meter = Annotated[str, Meta(min_length=1, max_length=40)]


class CostItem(Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """One cost. Either `amount` says what it cost, or provider, model and quantities let the price book work it out.

    `input_tokens` is the whole input, cache reads and writes included, and `output_tokens` includes reasoning (the
    convention of OpenTelemetry). Other meters (calls, seconds, gb_hours) go to `quantities`. An event without
    `occurred_at` happened when it is recorded; one without `currency` is in the organisation's. Recording brings the
    values into their normal form in place (instants in UTC, amounts with twelve decimals).
    """

    cost_type: Word
    entity_type: Word
    entity_id: EntityId
    amount: Decimal | None = None
    currency: CurrencyCode | None = None
    occurred_at: datetime | None = None
    provider: Provider = ""
    model: ModelName = ""
    service_tier: Tier = "standard"
    region: Region = ""
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    audio_input_tokens: Count | None = None
    audio_output_tokens: Count | None = None
    image_input_tokens: Count | None = None
    image_output_tokens: Count | None = None
    quantities: Annotated[dict[Meter, Decimal], Meta(max_length=32)] = field(default_factory=dict)
    tags: Annotated[dict[TagKey, TagValue], Meta(max_length=50)] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    trace_id: Annotated[str, Meta(max_length=32)] = ""
    span_id: Annotated[str, Meta(max_length=16)] = ""
    session_id: Annotated[str, Meta(max_length=200)] = ""
    reservation_id: UUID | None = None
    idempotency_key: IdempotencyKey | None = None


class Rejected(Struct, frozen=True):
    """An item that did not even decode: what was sent, as JSON values, and why it is refused.

    The idempotency key is named when it could be read, so that the sender can tell which item is meant.
    """

    payload: Any
    errors: tuple[FieldError, ...]


class Sender(Struct, frozen=True):
    """Who sends: `source` is the namespace of the idempotency keys ("key:<family hex>" for an API key)."""

    source: str


VerdictStatus = Literal["recorded", "duplicate", "conflict", "rejected"]


class Verdict(Struct, frozen=True, gc=False):
    """What became of one item. A duplicate names the record and amount that its key was given the first time."""

    status: VerdictStatus
    record_id: UUID | None = None
    amount: Decimal | None = None
    currency: str = ""
    price_status: str = ""
    errors: tuple[FieldError, ...] = ()


def item_from(values: Mapping[str, Any]) -> CostItem | Rejected:
    """Build an item from Python values with the same checks as decoding; what does not fit comes back as Rejected."""
    try:
        return msgspec.convert(dict(values), CostItem)
    except msgspec.ValidationError as error:
        return Rejected(payload=msgspec.to_builtins(values), errors=(field_error(error),))


def field_error(error: msgspec.ValidationError) -> FieldError:
    """Return msgspec's complaint with the JSON pointer of the value it is about."""
    detail, _, path = str(error).partition(" - at `$")
    pointer = path.rstrip("`").replace("[...]", "").replace(".", "/").replace("[", "/").replace("]", "")
    return FieldError(pointer=pointer, code="invalid", detail=detail)
