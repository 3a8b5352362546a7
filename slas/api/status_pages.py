"""Status pages: what is put on them, whether they are public, and what the public is told."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
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
from slas.models import StatusComponent, StatusIncident, StatusPage, StatusUpdate
from slas.services import status_pages as services

READ, ADMIN = "slas:read", "slas:admin"
TAG = "status pages"
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Text = Annotated[str, Meta(min_length=1, max_length=5000)]
Stage = Literal["investigating", "identified", "monitoring", "resolved"]
ToldImpact = Literal["operational", "degraded", "partial", "major"]
Slug = Annotated[str, Meta(min_length=1, max_length=100)]


class StatusObjective(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The objective behind a component; its name is not shown to the public."""

    service: Slug
    objective: Slug


class StatusLine(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A component under its public name; percentages are of the good events of the last ten minutes."""

    slug: Slug
    name: Title
    description: Annotated[str, Meta(max_length=500)] = ""
    section: Annotated[str, Meta(max_length=100)] = ""
    objective: StatusObjective | None = None
    degraded_below: Decimal = Decimal(99)
    outage_below: Decimal = Decimal(50)
    forced: Literal["", "operational", "degraded", "partial", "major"] = ""


class NewStatusPage(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A page; private until it is published."""

    slug: Slug
    title: Title
    description: Annotated[str, Meta(max_length=500)] = ""
    time_zone: Annotated[str, Meta(max_length=64)] = ""
    propose_incidents: bool = True
    components: Annotated[list[StatusLine], Meta(max_length=200)] = []


class StatusPagePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; `components` replaces them all, `published` shows the page to everybody or to nobody."""

    title: Title | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    propose_incidents: bool | UnsetType = UNSET
    main: bool | UnsetType = UNSET
    components: Annotated[list[StatusLine], Meta(max_length=200)] | UnsetType = UNSET
    published: bool | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] = ""


class StatusLineState(msgspec.Struct, kw_only=True):
    """A component as it is set up."""

    slug: str
    name: str
    description: str
    section: str
    objective: StatusObjective | None
    degraded_below: str
    outage_below: str
    forced: str


class StatusPageState(msgspec.Struct, kw_only=True):
    """A page as it is set up; `url` is where the public finds it."""

    page_id: UUID
    slug: str
    title: str
    description: str
    time_zone: str
    main: bool
    propose_incidents: bool
    published: bool
    url: str
    components: list[StatusLineState]


class NewStatusIncident(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An incident and the first words about it; on the page at once."""

    title: Title
    text: Text
    impact: ToldImpact = "degraded"
    stage: Stage = "investigating"
    components: Annotated[list[str], Meta(max_length=200)] = []


class NewStatusUpdate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is new; “resolved” ends the incident."""

    stage: Stage
    text: Text


class StatusUpdateState(msgspec.Struct, kw_only=True):
    """What was said, and when."""

    stage: str
    text: str
    at: datetime


class StatusIncidentState(msgspec.Struct, kw_only=True):
    """An incident with all that was said; a proposal has no `published_at` and is not public."""

    incident_id: UUID
    title: str
    impact: str
    stage: str
    started_at: datetime
    resolved_at: datetime | None
    published_at: datetime | None
    components: list[str]
    updates: list[StatusUpdateState]


class StatusPageQuery(PageQuery, kw_only=True):
    """Status pages have no filters."""


class StatusIncidentQuery(PageQuery, kw_only=True):
    """Incidents have no filters."""


class StatusPageList(WholeFleetView):
    """All status pages."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_status_pages", "List status pages", query=StatusPageQuery,
               answers={200: CursorPage[StatusPageState]}, tag=TAG)  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Public and private pages as they are set up; what they say is at their own address, without a key."""
        wanted = query(request, StatusPageQuery)
        rows = StatusPage.objects.prefetch_related("components__slo__service")
        return answer(paginate(request, rows, page=wanted, order=Order(), show=lambda page: _shown(page, request)))

    @operation("create_status_page", "Create a status page", body=NewStatusPage, answers={201: StatusPageState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Make a page; nobody outside sees it until it is published."""
        wanted = decode(request, NewStatusPage)

        def make(now: datetime) -> HttpResponse:
            page = services.create_page(
                slug=wanted.slug,
                title=wanted.title,
                description=wanted.description,
                time_zone=wanted.time_zone or settings.ORGANISATION_TIME_ZONE,
                propose_incidents=wanted.propose_incidents,
                now=now,
            )
            services.set_components(page.pk, [_draft(line) for line in wanted.components], now=now)
            location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{page.pk}")
            return answer(_shown(_found(page.pk), request), 201, {"Location": location})

        return idempotent(request, make)


class StatusPageDetail(WholeFleetView):
    """One status page."""

    required_scopes = {"GET": READ, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_status_page", "Read a status page", answers={200: StatusPageState}, tag=TAG)
    def get(self, request: Request, page_id: UUID) -> HttpResponse:
        """A page as it is set up."""
        return answer(_shown(_found(page_id), request))

    @operation("change_status_page", "Change a status page", body=StatusPagePatch, answers={200: StatusPageState},
               problems=(409,), tag=TAG)  # fmt: skip
    def patch(self, request: Request, page_id: UUID) -> HttpResponse:
        """Change what is on a page, publish it or withdraw it; all changes or none."""
        _change(page_id, decode(request, StatusPagePatch), timezone.now())
        return answer(_shown(_found(page_id), request))

    @operation("delete_status_page", "Remove a status page", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, page_id: UUID) -> HttpResponse:
        """Remove a private page with all that was said on it."""
        services.delete_page(page_id, now=timezone.now())
        return HttpResponse(status=204)


class StatusIncidentList(WholeFleetView):
    """The incidents of one page."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_status_incidents", "List a page's incidents", query=StatusIncidentQuery,
               answers={200: CursorPage[StatusIncidentState]}, tag=TAG)  # fmt: skip
    def get(self, request: Request, page_id: UUID) -> HttpResponse:
        """Incidents and proposals, the newest first."""
        wanted = query(request, StatusIncidentQuery)
        rows = StatusIncident.objects.filter(page=_found(page_id)).prefetch_related("components", "updates")
        return answer(paginate(request, rows, page=wanted, order=Order("started_at"), show=_incident))

    @operation("tell_incident", "Tell the public of an incident", body=NewStatusIncident,
               answers={201: StatusIncidentState}, idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request, page_id: UUID) -> HttpResponse:
        """Put an incident on the page, with its first words."""
        values = msgspec.structs.asdict(decode(request, NewStatusIncident))
        return idempotent(
            request, lambda now: answer(_incident(services.tell_incident(page_id, now=now, **values)), 201)
        )


class StatusUpdateList(WholeFleetView):
    """What was said about one incident."""

    required_scopes = {"POST": ADMIN}

    @operation("update_status_incident", "Say what is new", body=NewStatusUpdate, answers={201: StatusUpdateState},
               idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request, page_id: UUID, incident_id: UUID) -> HttpResponse:
        """Add an update to a told incident that is not over."""
        wanted = decode(request, NewStatusUpdate)
        if not StatusIncident.objects.filter(pk=incident_id, page=page_id).exists():
            raise Missing("the page has no such incident")

        def say(now: datetime) -> HttpResponse:
            return answer(
                _update(services.update_incident(incident_id, stage=wanted.stage, text=wanted.text, now=now)), 201
            )

        return idempotent(request, say)


@transaction.atomic
def _change(page_id: UUID, wanted: StatusPagePatch, now: datetime) -> None:
    names = ("title", "description", "time_zone", "propose_incidents", "main")
    changes = {name: getattr(wanted, name) for name in names if getattr(wanted, name) is not UNSET}
    page = services.change_page(page_id, now=now, **changes)
    if wanted.components is not UNSET:
        services.set_components(page_id, [_draft(line) for line in wanted.components], now=now)
    if wanted.published is True and page.published_at is None:
        services.publish_page(page_id, now=now)
    if wanted.published is False and page.published_at is not None:
        services.withdraw_page(page_id, reason=wanted.reason, now=now)


def _draft(line: StatusLine) -> services.ComponentDraft:
    slo = (line.objective.service, line.objective.objective) if line.objective else None
    return services.ComponentDraft(
        slug=line.slug,
        name=line.name,
        description=line.description,
        section=line.section,
        slo=slo,
        degraded_below=line.degraded_below,
        outage_below=line.outage_below,
        forced=line.forced,
    )


def _found(page_id: UUID) -> StatusPage:
    page = StatusPage.objects.prefetch_related("components__slo__service").filter(pk=page_id).first()
    if page is None:
        raise Missing("there is no such status page")
    return page


def _shown(page: StatusPage, request: Request) -> StatusPageState:
    return StatusPageState(
        page_id=page.pk,
        slug=page.slug,
        title=page.title,
        description=page.description,
        time_zone=page.time_zone,
        main=page.main,
        propose_incidents=page.propose_incidents,
        published=page.published_at is not None,
        url=request.build_absolute_uri(reverse("status-page", args=[page.slug])),
        components=[_line(component) for component in page.components.all()],
    )


def _line(component: StatusComponent) -> StatusLineState:
    slo = component.slo
    return StatusLineState(
        slug=component.slug,
        name=component.name,
        description=component.description,
        section=component.section,
        objective=None if slo is None else StatusObjective(service=slo.service.slug, objective=slo.slug),
        degraded_below=to_text(component.degraded_below),
        outage_below=to_text(component.outage_below),
        forced=component.forced,
    )


def _incident(row: StatusIncident) -> StatusIncidentState:
    return StatusIncidentState(
        incident_id=row.pk,
        title=row.title,
        impact=row.impact,
        stage=row.stage,
        started_at=row.started_at,
        resolved_at=row.resolved_at,
        published_at=row.published_at,
        components=[component.slug for component in row.components.all()],
        updates=[_update(item) for item in row.updates.all()],
    )


def _update(row: StatusUpdate) -> StatusUpdateState:
    return StatusUpdateState(stage=row.stage, text=row.text, at=row.at)
