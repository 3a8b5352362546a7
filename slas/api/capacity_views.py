"""Capacity: resources, their daily samples, and when their limit is expected to be reached."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import Missing
from core.money import to_text
from slas.models import CapacityForecast, CapacityResource, CapacitySample
from slas.services import capacity
from slas.services.capacity import ResourceTerms

READ, ADMIN = "slas:read", "slas:admin"
TAG = "capacity"
Statistic = Literal["p50", "p95", "maximum", "total"]
Slug = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[-a-zA-Z0-9_]+\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Labels = Annotated[dict[str, Annotated[str, Meta(max_length=200)]], Meta(max_length=20)]
Lead = Annotated[int, Meta(ge=0, le=3650)]


class ResourceBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A resource: which metric measures it, what its limit is, and how far ahead somebody wants to know."""

    slug: Slug
    name: Name
    metric: Annotated[str, Meta(min_length=1, max_length=100)]
    limit: Decimal
    description: Annotated[str, Meta(max_length=5000)] = ""
    labels: Labels = {}
    statistic: Statistic = "p95"
    headroom_ratio: Decimal = Decimal("0.2")
    lead_days: Lead = 30
    enabled: bool = True


class ResourcePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different."""

    name: Name | UnsetType = UNSET
    metric: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    limit: Decimal | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=5000)] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    statistic: Statistic | UnsetType = UNSET
    headroom_ratio: Decimal | UnsetType = UNSET
    lead_days: Lead | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ResourceState(msgspec.Struct, kw_only=True):
    """A resource, and whether its metric could be read."""

    id: UUID
    slug: str
    name: str
    description: str
    metric: str
    labels: dict[str, str]
    statistic: str
    limit: str
    headroom_ratio: str
    lead_days: int
    enabled: bool
    measured_until: datetime | None
    last_error: str


class SampleState(msgspec.Struct, kw_only=True):
    """One day, from its hourly readings."""

    day: date
    hours: int
    p50: float
    p95: float
    maximum: float
    total: float


class Exhausts(msgspec.Struct, kw_only=True):
    """Days on which the usable limit is reached: at the steepest likely slope, the slope, and the flattest one."""

    earliest: date | None
    expected: date | None
    latest: date | None


class DemandDayState(msgspec.Struct, kw_only=True):
    """One day to come, with the range that four of five past forecasts fell in."""

    day: date
    expected: float
    low: float
    high: float


class BackTestState(msgspec.Struct, kw_only=True):
    """How a method did on the past; a scaled error below 1 beats last week's same weekday one week ahead."""

    method: str
    mase: float | None
    mean_absolute_error: float
    origins: int


class DemandState(msgspec.Struct, kw_only=True):
    """The coming two weeks, by the method that did better on the past."""

    method: str
    days: list[DemandDayState]
    back_tests: list[BackTestState]


class ForecastState(msgspec.Struct, kw_only=True):
    """The latest forecast of a resource; `level` and `slope` (per day) in the unit of its metric."""

    resource_id: UUID
    as_of: date
    level: float
    slope: float
    slope_low: float
    slope_high: float
    history_days: int
    exhausts: Exhausts
    demand: DemandState | None


class ResourceList(WholeFleetView):
    """All resources."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_capacity_resources", "List resources", query=PageQuery,
               answers={200: CursorPage[ResourceState]}, tag=TAG)  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Resources, the newest first."""
        wanted = query(request, PageQuery)
        return answer(paginate(request, CapacityResource.objects.all(), page=wanted, order=Order(), show=_resource))

    @operation("create_capacity_resource", "Create a resource", body=ResourceBody, answers={201: ResourceState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make a resource; it is measured from the next full hour on, with the past where its metric has one."""
        terms = ResourceTerms(**msgspec.structs.asdict(decode(request, ResourceBody)))
        return idempotent(request, lambda now: answer(_resource(capacity.create_resource(terms, now=now)), 201))


class ResourceDetail(WholeFleetView):
    """One resource."""

    required_scopes = {"GET": READ, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_capacity_resource", "Read a resource", answers={200: ResourceState}, tag=TAG)
    def get(self, request: Request, resource_id: UUID) -> HttpResponse:
        """One resource."""
        return answer(_resource(_found(resource_id)))

    @operation("change_capacity_resource", "Change a resource", body=ResourcePatch, answers={200: ResourceState},
               tag=TAG)  # fmt: skip
    def patch(self, request: Request, resource_id: UUID) -> HttpResponse:
        """Change what is named; another metric or other labels begin a new history."""
        given = msgspec.structs.asdict(decode(request, ResourcePatch))
        changes = {name: value for name, value in given.items() if value is not UNSET}
        return answer(_resource(capacity.change_resource(resource_id, changes, now=timezone.now())))

    @operation("delete_capacity_resource", "Delete a resource", answers={204: None}, tag=TAG)
    def delete(self, request: Request, resource_id: UUID) -> HttpResponse:
        """Delete a resource with its samples and forecasts."""
        capacity.delete_resource(resource_id, now=timezone.now())
        return HttpResponse(status=204)


class SampleList(WholeFleetView):
    """The days of one resource."""

    required_scopes = {"GET": READ}

    @operation("list_capacity_samples", "List a resource's days", query=PageQuery,
               answers={200: CursorPage[SampleState]}, tag=TAG)  # fmt: skip
    def get(self, request: Request, resource_id: UUID) -> HttpResponse:
        """Days, the latest first."""
        wanted = query(request, PageQuery)
        rows = CapacitySample.objects.filter(resource=_found(resource_id))
        return answer(paginate(request, rows, page=wanted, order=Order("day"), show=_sample))


class ForecastView(WholeFleetView):
    """When a resource's limit is expected to be reached."""

    required_scopes = {"GET": READ}

    @operation("get_capacity_forecast", "Read a resource's forecast", answers={200: ForecastState}, tag=TAG)
    def get(self, request: Request, resource_id: UUID) -> HttpResponse:
        """The latest forecast; 404 until seven complete days were measured."""
        latest = CapacityForecast.objects.filter(resource=_found(resource_id)).order_by("-day").first()
        if latest is None:
            raise Missing("there is no forecast yet: it takes seven complete days of measurements")
        return answer(_forecast(latest))


def _found(resource_id: UUID) -> CapacityResource:
    found = CapacityResource.objects.filter(pk=resource_id).first()
    if found is None:
        raise Missing("there is no such resource")
    return found


def _resource(row: CapacityResource) -> ResourceState:
    plain = {
        name: getattr(row, name) for name in ResourceState.__struct_fields__ if name not in {"limit", "headroom_ratio"}
    }
    return ResourceState(**plain, limit=to_text(row.limit), headroom_ratio=to_text(row.headroom_ratio))


def _sample(row: CapacitySample) -> SampleState:
    return SampleState(
        day=row.day, hours=len(row.readings), p50=row.p50, p95=row.p95, maximum=row.maximum, total=row.total
    )


def _forecast(row: CapacityForecast) -> ForecastState:
    return ForecastState(
        resource_id=row.resource_id,
        as_of=row.day,
        level=row.level,
        slope=row.slope,
        slope_low=row.slope_low,
        slope_high=row.slope_high,
        history_days=row.history_days,
        exhausts=Exhausts(
            earliest=_after(row.day, row.days_earliest),
            expected=_after(row.day, row.days_expected),
            latest=_after(row.day, row.days_latest),
        ),
        demand=msgspec.convert(row.demand, DemandState) if row.demand else None,
    )


def _after(day: date, days: float | None) -> date | None:
    return None if days is None else day + timedelta(days=int(days))
