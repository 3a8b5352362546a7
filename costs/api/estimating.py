"""What a call would cost."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.decoding import decode
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Invalid
from core.money import to_text
from costs.inputs import Count, EntityId, ModelName, Provider, Region, Tier, Word
from costs.services import estimates
from costs.services.estimates import Call, Estimate, UnknownModel

SHARE_DIGITS = Decimal("0.000001")


class EstimateRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A call to be priced: `tokens` in all, or exact counts. `input_tokens` is the whole input, with cached parts."""

    entity_type: Word
    entity_id: EntityId
    model: Annotated[ModelName, Meta(min_length=1)]
    provider: Provider = ""
    service_tier: Tier = "standard"
    region: Region = ""
    at: datetime | None = None
    tokens: Annotated[Count | None, Meta(description="Input and output together.")] = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_write_1h_tokens: Count | None = None
    reasoning_tokens: Count | None = None
    audio_input_tokens: Count | None = None
    audio_output_tokens: Count | None = None


COUNTS = tuple(name for name in EstimateRequest.__struct_fields__ if name.endswith("_tokens"))


class TokenSplit(msgspec.Struct, kw_only=True):
    """How the tokens divide into input and output.

    `source` given: as asked. history: as this entity's calls of this model in the last 30 days (`event_count` of
    them). default: 3 to 1, because there is no history.
    """

    source: str
    input_tokens: int
    output_tokens: int
    input_share: str | None
    event_count: int


class EstimatedCost(msgspec.Struct, kw_only=True):
    """What a call would cost. `price_status` partial means that a part of it has no price of its own (see `note`)."""

    estimated_cost: str
    currency: str
    tokens: int
    entity_type: str
    entity_id: str
    provider: str
    model: str
    sku: str
    matched_by: str
    service_tier: str
    at: datetime
    split: TokenSplit
    breakdown: dict[str, str]
    list_cost: str | None
    price_status: str
    price_version: UUID | None
    note: str


class CostEstimate(ApiView):
    """Estimates of calls."""

    required_scopes = {"POST": "costs:read"}

    @operation(
        "estimate_cost",
        "Estimate a call",
        body=Annotated[
            EstimateRequest,
            Meta(examples=[{"entity_type": "agent", "entity_id": "my-agent", "model": "gpt-4o-mini", "tokens": 4000}]),
        ],
        answers={200: EstimatedCost},
        tag="costs",
    )
    def post(self, request: Request) -> HttpResponse:
        """What a call would cost by the price book; an unknown model is 422, with the nearest names.

        Records nothing and sets nothing aside.
        """
        wanted = decode(request, EstimateRequest)
        caller(request).require_entity(wanted.entity_type, wanted.entity_id)
        now = timezone.now()
        at = wanted.at or now
        try:
            return answer(_estimated(wanted, at, estimates.estimate(_call(wanted), at=at, now=now)))
        except UnknownModel as unknown:
            raise with_nearest(unknown) from unknown


def _call(wanted: EstimateRequest) -> Call:
    counts = {name: getattr(wanted, name) for name in COUNTS if getattr(wanted, name) is not None}
    if (wanted.tokens is None) == (not counts):
        detail = "give either tokens, or exact counts such as input_tokens and output_tokens"
        raise Invalid(detail, errors=[FieldError("/tokens", "required", detail)])
    return Call(
        entity=(wanted.entity_type, wanted.entity_id),
        provider=wanted.provider,
        model=wanted.model,
        service_tier=wanted.service_tier,
        region=wanted.region,
        tokens=wanted.tokens,
        counts=counts,
    )


def _estimated(wanted: EstimateRequest, at: datetime, found: Estimate) -> EstimatedCost:
    price, split = found.price, found.split
    assert price.amount is not None  # estimate() raises otherwise
    return EstimatedCost(
        estimated_cost=to_text(price.amount),
        currency=price.currency,
        tokens=split.input_tokens + split.output_tokens,
        entity_type=wanted.entity_type,
        entity_id=wanted.entity_id,
        provider=wanted.provider or price.sku.partition("/")[0],
        model=wanted.model,
        sku=price.sku,
        matched_by=price.matched_by,
        service_tier=wanted.service_tier,
        at=at.astimezone(UTC),
        split=TokenSplit(
            source=split.source,
            input_tokens=split.input_tokens,
            output_tokens=split.output_tokens,
            input_share=None if split.input_share is None else to_text(split.input_share.quantize(SHARE_DIGITS)),
            event_count=split.event_count,
        ),
        breakdown=price.breakdown,
        list_cost=None if price.list_amount is None else to_text(price.list_amount),
        price_status=price.status,
        price_version=price.version_id,
        note=price.reason,
    )


def with_nearest(unknown: UnknownModel) -> Problem:
    """Return the problem for a model nobody knows, with the names that are like it."""
    return Problem(422, unknown.detail, code=unknown.code, errors=unknown.errors, members={"nearest": unknown.nearest})
