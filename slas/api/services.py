"""Services and indicators: made, listed, changed; objectives from ready templates."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Missing
from slas.api.objects import ServiceState, SliState, SloState, show_service, show_sli, show_slo
from slas.models import Service, Sli
from slas.services import objectives
from slas.services.templates import instantiate
from slas.sli_templates import TEMPLATES

Slug = Annotated[str, Meta(pattern=r"^[-a-zA-Z0-9_]+$", min_length=1, max_length=100)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Kind = Literal["ratio", "threshold", "latency", "timeslice", "external"]
Source = Literal["push", "health", "metric", "prometheus"]
Operator = Literal["lte", "lt", "gte", "gt", ""]
NoData = Literal["ignore", "good", "bad", "hold"]
Ratio = Annotated[Decimal, Meta(description="A share: 0.999 is 99.9 %.")]


class NewService(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something that people or agents depend on; `entity_type` and `entity_id` name what it stands for."""

    slug: Slug
    name: Name
    description: str = ""
    owner: Annotated[str, Meta(max_length=200)] = ""
    tier: Annotated[int, Meta(ge=0, le=9)] = 2
    entity_type: Annotated[str, Meta(max_length=32)] = ""
    entity_id: Annotated[str, Meta(max_length=200)] = ""
    labels: dict[str, str] = {}


class ServiceChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    owner: Annotated[str, Meta(max_length=200)] | UnsetType = UNSET
    tier: Annotated[int, Meta(ge=0, le=9)] | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class NewSli(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An indicator: where its events come from and which of them are good."""

    service: Slug
    slug: Slug
    name: Name
    kind: Kind
    description: str = ""
    source: Source = "push"
    config: dict[str, Any] = {}
    operator: Operator = ""
    threshold: Decimal | None = None
    unit: Annotated[str, Meta(max_length=20)] = ""
    slice_seconds: int | None = None
    slice_target: Ratio | None = None
    no_data: NoData = "ignore"
    lateness_seconds: int = 172_800


class SliChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different. `retroactive`: a new threshold judges everything kept anew, from its histograms."""

    name: Name | UnsetType = UNSET
    description: str | UnsetType = UNSET
    config: dict[str, Any] | UnsetType = UNSET
    operator: Operator | UnsetType = UNSET
    threshold: Decimal | UnsetType | None = UNSET
    unit: Annotated[str, Meta(max_length=20)] | UnsetType = UNSET
    slice_target: Ratio | UnsetType | None = UNSET
    no_data: NoData | UnsetType = UNSET
    lateness_seconds: int | UnsetType = UNSET
    retroactive: bool = False
    reason: Annotated[str, Meta(max_length=500)] = ""


class ServiceQuery(PageQuery, kw_only=True):
    """Which services are listed."""

    slug: str = ""


class SliQuery(PageQuery, kw_only=True):
    """Which indicators are listed."""

    service: str = ""


class TemplateOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which ready objectives to make for a service, with other targets than theirs where wanted."""

    templates: Annotated[list[str], Meta(min_length=1, max_length=20)]
    targets: dict[str, Ratio] = {}


class TemplateState(msgspec.Struct, kw_only=True):
    """A ready indicator with its objective, and what one of its events looks like."""

    key: str
    title: str
    description: str
    kind: str
    operator: str
    threshold: str | None
    unit: str
    target: str
    event: dict[str, Any]


class TemplatesAnswer(msgspec.Struct, kw_only=True):
    """All ready templates."""

    templates: list[TemplateState]


class SlosMade(msgspec.Struct, kw_only=True):
    """The objectives that were made; events go to the indicator of each."""

    slos: list[SloState]


class ServiceList(ApiView):
    """All services."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation(
        "list_services", "List services", query=ServiceQuery, answers={200: CursorPage[ServiceState]}, tag="slas"
    )
    def get(self, request: Request) -> HttpResponse:
        """Services, newest first."""
        caller(request).require_unbound()
        wanted = query(request, ServiceQuery)
        rows = Service.objects.filter(slug=wanted.slug) if wanted.slug else Service.objects.all()
        return answer(paginate(request, rows, page=wanted, order=Order(), show=show_service))

    @operation(
        "create_service", "Create a service", body=NewService, answers={201: ServiceState}, problems=(409,),
        idempotent=True, tag="slas",
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make a service."""
        caller(request).require_unbound()
        values = msgspec.structs.asdict(decode(request, NewService))
        return idempotent(request, lambda now: answer(show_service(objectives.create_service(values, now=now)), 201))


class ServiceDetail(ApiView):
    """One service."""

    required_scopes = {"GET": "slas:read", "PATCH": "slas:admin"}

    @operation("get_service", "Read a service", answers={200: ServiceState}, problems=(404,), tag="slas")
    def get(self, request: Request, service_id: UUID) -> HttpResponse:
        """One service."""
        caller(request).require_unbound()
        return answer(show_service(service_of(pk=service_id)))

    @operation(
        "change_service",
        "Change a service",
        body=ServiceChange,
        answers={200: ServiceState},
        problems=(404,),
        tag="slas",
    )
    def patch(self, request: Request, service_id: UUID) -> HttpResponse:
        """Change what is known of a service."""
        caller(request).require_unbound()
        values = given(decode(request, ServiceChange))
        return idempotent(
            request, lambda now: answer(show_service(objectives.change_service(service_id, values, now=now)))
        )


class ServiceTemplates(ApiView):
    """Ready objectives for one service."""

    required_scopes = {"POST": "slas:admin"}

    @operation(
        "create_slos_from_templates", "Make ready objectives for a service", body=TemplateOrder,
        answers={201: SlosMade}, problems=(404, 409), idempotent=True, tag="slas",
    )  # fmt: skip
    def post(self, request: Request, service_id: UUID) -> HttpResponse:
        """Make the indicators and objectives of these templates, all of them or none."""
        caller(request).require_unbound()
        wanted, service = decode(request, TemplateOrder), service_of(pk=service_id)

        def make(now: datetime) -> HttpResponse:
            made = instantiate(service, wanted.templates, now=now, targets=wanted.targets)
            return answer(SlosMade(slos=[show_slo(slo) for slo in made]), 201)

        return idempotent(request, make)


class TemplateList(ApiView):
    """The ready templates."""

    required_scopes = {"GET": "slas:read"}

    @operation("list_slo_templates", "List the ready objectives", answers={200: TemplatesAnswer}, tag="slas")
    def get(self, request: Request) -> HttpResponse:
        """What may be measured of an AI agent, ready made."""
        shown = [
            TemplateState(
                key=item.key, title=item.title, description=item.description, kind=item.kind, operator=item.operator,
                threshold=None if item.threshold is None else str(item.threshold), unit=item.unit,
                target=str(item.target), event=dict(item.event),
            )
            for item in TEMPLATES
        ]  # fmt: skip
        return answer(TemplatesAnswer(templates=shown))


class SliList(ApiView):
    """All indicators."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation("list_slis", "List SLIs", query=SliQuery, answers={200: CursorPage[SliState]}, tag="slas")
    def get(self, request: Request) -> HttpResponse:
        """Indicators, newest first; of one service when its slug is given."""
        caller(request).require_unbound()
        wanted = query(request, SliQuery)
        rows = Sli.objects.select_related("service")
        rows = rows.filter(service__slug=wanted.service) if wanted.service else rows
        return answer(paginate(request, rows, page=wanted, order=Order(), show=show_sli))

    @operation(
        "create_sli", "Create an SLI", body=NewSli, answers={201: SliState}, problems=(404, 409), idempotent=True,
        tag="slas",
    )  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make an indicator of a service."""
        caller(request).require_unbound()
        wanted = decode(request, NewSli)
        values, service = msgspec.structs.asdict(wanted), service_of(slug=wanted.service)
        return idempotent(request, lambda now: answer(show_sli(objectives.create_sli(service, values, now=now)), 201))


class SliDetail(ApiView):
    """One indicator."""

    required_scopes = {"GET": "slas:read", "PATCH": "slas:admin"}

    @operation("get_sli", "Read an SLI", answers={200: SliState}, problems=(404,), tag="slas")
    def get(self, request: Request, sli_id: UUID) -> HttpResponse:
        """One indicator; `late_dropped` counts what came too late."""
        caller(request).require_unbound()
        return answer(show_sli(_sli(sli_id)))

    @operation("change_sli", "Change an SLI", body=SliChange, answers={200: SliState}, problems=(404,), tag="slas")
    def patch(self, request: Request, sli_id: UUID) -> HttpResponse:
        """Change an indicator; kind, source and slices are for good."""
        caller(request).require_unbound()
        wanted = decode(request, SliChange)

        def change(now: datetime) -> HttpResponse:
            objectives.change_sli(
                sli_id, given(wanted), now=now, retroactive=wanted.retroactive, reason=wanted.reason
            )  # fmt: skip
            return answer(show_sli(_sli(sli_id)))

        return idempotent(request, change)


def given(change: msgspec.Struct) -> dict[str, Any]:
    """Return what a change names, without what it leaves out."""
    return {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}


def service_of(**by: Any) -> Service:
    """Return the service with this key or slug; raises Missing."""
    found = Service.objects.filter(**by).first()
    if found is None:
        raise Missing("There is no such service.")
    return found


def _sli(sli_id: UUID) -> Sli:
    found = Sli.objects.select_related("service").filter(pk=sli_id).first()
    if found is None:
        raise Missing("There is no such indicator.")
    return found
