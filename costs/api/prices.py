"""Prices: what the book says, and what a call would cost."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated
from uuid import UUID

import msgspec
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.moments import Moment
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Invalid
from core.money import to_text
from costs import reader
from costs.api.estimating import with_nearest
from costs.choices import PriceVersionStatus
from costs.inputs import Provider, Region, Tier
from costs.models import PriceVersion
from costs.pricebook import component as stored
from costs.pricebook import current_table
from costs.pricing import Component
from costs.pricing.table import Version
from costs.services.estimates import UnknownModel, require_known


class ResolveQuery(msgspec.Struct, kw_only=True):
    """Which price is asked for."""

    model: Annotated[str, Meta(min_length=1, max_length=160)]
    provider: Provider = ""
    at: Annotated[Moment | None, Meta(description="When; now unless given.")] = None
    tier: Tier = "standard"
    region: Region = ""


class PriceTier(msgspec.Struct, kw_only=True):
    """The price from more than `above` units on, and what is added once."""

    above: str
    price: str
    flat: str


class MeterPrice(msgspec.Struct, kw_only=True):
    """What one meter costs: `unit_price` for every `per` units, in `mode`, perhaps at some hours (UTC) only."""

    meter: str
    unit_price: str
    per: int
    mode: str
    tiers: list[PriceTier]
    threshold_meter: str
    time_window: list[str] | None


class ResolvedPrice(msgspec.Struct, kw_only=True):
    """Which SKU a name means, by which rule, and its prices at an instant."""

    provider: str
    model: str
    sku: str
    matched_by: str
    at: datetime
    service_tier: str
    region: str
    currency: str
    book: str
    book_kind: str
    price_version: UUID
    valid_from: datetime | None
    valid_to: datetime | None
    meters: list[MeterPrice]


class PriceQuery(PageQuery, kw_only=True):
    """Which prices are listed."""

    provider: str | None = None
    model: str | None = None
    tier: str | None = None
    at: Annotated[Moment | None, Meta(description="Only prices that hold at this instant.")] = None


class ListedPrice(msgspec.Struct, kw_only=True):
    """One approved version of a SKU's prices, and where it comes from."""

    price_version: UUID
    provider: str
    model: str
    service_tier: str
    region: str
    currency: str
    book: str
    book_kind: str
    valid_from: datetime | None
    valid_to: datetime | None
    source: str
    meters: list[MeterPrice]


class PriceResolution(ApiView):
    """The price of one model."""

    required_scopes = {"GET": "prices:read"}

    @operation("resolve_price", "Find a price", query=ResolveQuery, answers={200: ResolvedPrice}, tag="prices")
    def get(self, request: Request) -> HttpResponse:
        """What this name of a model means, by which rule, and what each of its meters costs at that time."""
        wanted = query(request, ResolveQuery)
        at = wanted.at.instant(reader.organisation_zone()) if wanted.at else timezone.now()
        table = current_table()
        try:
            require_known(table, wanted.provider, wanted.model)
        except UnknownModel as unknown:
            raise with_nearest(unknown) from unknown
        found = table.resolve(wanted.provider, wanted.model)
        version, reason = table.version(found, wanted.tier, wanted.region, at)
        if version is None:
            raise Invalid(reason, code="unpriced", errors=[FieldError("/model", "unpriced", reason)])
        return answer(_resolved(wanted, at, str(found.sku), found.matched_by, version))


class PriceList(ApiView):
    """The price book."""

    required_scopes = {"GET": "prices:read"}

    @operation("list_prices", "List prices", query=PriceQuery, answers={200: CursorPage[ListedPrice]}, tag="prices")
    def get(self, request: Request) -> HttpResponse:
        """The approved prices, the latest first."""
        wanted = query(request, PriceQuery)
        at = wanted.at.instant(reader.organisation_zone()) if wanted.at else None
        return answer(paginate(request, _approved(wanted, at), page=wanted, order=Order(), show=_listed))


def _resolved(wanted: ResolveQuery, at: datetime, sku: str, matched_by: str, version: Version) -> ResolvedPrice:
    return ResolvedPrice(
        provider=wanted.provider or sku.partition("/")[0],
        model=wanted.model,
        sku=sku,
        matched_by=matched_by,
        at=at.astimezone(UTC),
        service_tier=version.service_tier,
        region=version.region,
        currency=version.book.currency,
        book=version.book.name,
        book_kind=version.book.kind,
        price_version=version.id,
        valid_from=version.valid_from,
        valid_to=version.valid_to,
        meters=[_compiled(component) for component in version.components],
    )


def _compiled(component: Component) -> MeterPrice:
    tiers = [
        PriceTier(above=to_text(tier.above), price=to_text(tier.price), flat=to_text(tier.flat))
        for tier in component.tiers
    ]
    window = [_clock(edge) for edge in component.window] if component.window else None
    return MeterPrice(
        meter=component.meter,
        unit_price=to_text(component.unit_price),
        per=component.per,
        mode=component.mode,
        tiers=tiers,
        threshold_meter=component.threshold_meter,
        time_window=window,
    )


def _clock(edge: time) -> str:
    return edge.isoformat("minutes")


def _approved(wanted: PriceQuery, at: datetime | None) -> QuerySet[PriceVersion]:
    exact = {"sku__provider": wanted.provider, "sku__code": wanted.model, "service_tier": wanted.tier}
    rows = PriceVersion.objects.filter(
        status=PriceVersionStatus.APPROVED, **{name: value for name, value in exact.items() if value is not None}
    )
    if at is not None:
        begun, lasting = (
            Q(valid_from__isnull=True) | Q(valid_from__lte=at),
            Q(valid_to__isnull=True) | Q(valid_to__gt=at),
        )
        rows = rows.filter(begun, lasting)
    return rows.select_related("book", "sku").prefetch_related("components")


def _listed(version: PriceVersion) -> ListedPrice:
    return ListedPrice(
        price_version=version.id,
        provider=version.sku.provider,
        model=version.sku.code,
        service_tier=version.service_tier,
        region=version.region,
        currency=version.book.currency,
        book=version.book.name,
        book_kind=version.book.kind,
        valid_from=version.valid_from,
        valid_to=version.valid_to,
        source=version.source,
        meters=[_compiled(stored(component)) for component in version.components.all()],
    )
