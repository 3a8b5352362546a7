"""Incidents: opened, listed, changed, and moved from state to state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import msgspec
from django.db.models import Model
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from alerts.api.incident_shapes import (
    CostState,
    IncidentState,
    Labels,
    Reason,
    Severities,
    Title,
    incident_state,
)
from alerts.choices import OPEN_INCIDENTS
from alerts.incident_costs import cost_of
from alerts.models import Alert, EscalationPolicy, Incident, Runbook
from alerts.services import incidents
from alerts.services.incidents import IncidentChange, NewIncident
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import FieldError, Invalid, Missing
from core.money import to_text

READ, WRITE = "incidents:read", "incidents:write"
TAG = "incidents"
ModelT = TypeVar("ModelT", bound=Model)


class OpenIncident(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new incident. `policy` and `runbook` name rows by policy id and runbook slug; `alerts` are linked to it."""

    title: Title
    severity: Severities
    summary: Annotated[str, Meta(max_length=20_000)] = ""
    started_at: datetime | None = None
    labels: Labels = {}
    runbook: Annotated[str, Meta(max_length=100)] = ""
    policy: int | None = None
    alerts: Annotated[list[UUID], Meta(max_length=200)] = []


class IncidentPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different."""

    title: Title | None = None
    summary: Annotated[str, Meta(max_length=20_000)] | None = None
    severity: Severities | None = None
    started_at: datetime | None = None
    resolves_itself: bool | None = None
    runbook: Annotated[str, Meta(max_length=100)] = ""
    policy: int | None = None
    reason: Reason = ""


class IncidentQuery(PageQuery, kw_only=True):
    """Which incidents are listed; `state` open means all that people still have to work on."""

    state: Literal["open", "all"] = "all"
    status: Literal["open", "acknowledged", "mitigated", "resolved", "closed"] | None = None
    severity: Severities | None = None


class Acknowledgement(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Until when nobody else is paged: an instant, or minutes from now; 4 hours unless said, 7 days at most."""

    until: datetime | None = None
    minutes: Annotated[int, Meta(ge=1, le=10_080)] | None = None
    reason: Reason = ""


class Because(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why."""

    reason: Reason = ""


class IncidentList(WholeFleetView):
    """All incidents."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation(
        "list_incidents", "List incidents", query=IncidentQuery, answers={200: CursorPage[IncidentState]}, tag=TAG
    )
    def get(self, request: Request) -> HttpResponse:
        """Incidents, the newest first."""
        wanted = query(request, IncidentQuery)
        rows = Incident.objects.select_related("runbook", "policy", "merged_into")
        rows = rows.filter(status__in=OPEN_INCIDENTS) if wanted.state == "open" else rows
        rows = rows.filter(status=wanted.status) if wanted.status else rows
        rows = rows.filter(severity=wanted.severity) if wanted.severity else rows
        return answer(paginate(request, rows, page=wanted, order=Order("number"), show=incident_state))

    @operation(
        "open_incident",
        "Open an incident",
        body=Annotated[OpenIncident, Meta(examples=[{"title": "Login is down", "severity": "critical"}])],
        answers={201: IncidentState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Open an incident by hand; it escalates by its policy, or by the default one."""
        wanted = decode(request, OpenIncident)
        terms = NewIncident(
            title=wanted.title,
            severity=wanted.severity,
            summary=wanted.summary,
            started_at=wanted.started_at,
            labels=wanted.labels,
            runbook=named(Runbook, "slug", wanted.runbook, "/runbook") if wanted.runbook else None,
            policy=None if wanted.policy is None else named(EscalationPolicy, "pk", wanted.policy, "/policy"),
            alerts=_alerts(wanted.alerts),
        )
        return idempotent(request, lambda now: _opened(request, terms, now))


class IncidentDetail(WholeFleetView):
    """One incident."""

    required_scopes = {"GET": READ, "PATCH": WRITE}

    @operation("get_incident", "An incident", answers={200: IncidentState}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """How it stands, who has it, and what it cost so far."""
        incident = found(incident_id)
        return answer(incident_state(incident, cost=_cost(incident, timezone.now())))

    @operation(
        "change_incident",
        "Change an incident",
        body=IncidentPatch,
        answers={200: IncidentState},
        problems=(409,),
        tag=TAG,
    )
    def patch(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Change what it says of itself; its state is changed by its own operations."""
        wanted = decode(request, IncidentPatch)
        change = IncidentChange(
            title=wanted.title,
            summary=wanted.summary,
            severity=wanted.severity,
            started_at=wanted.started_at,
            resolves_itself=wanted.resolves_itself,
            runbook=named(Runbook, "slug", wanted.runbook, "/runbook") if wanted.runbook else None,
            policy=None if wanted.policy is None else named(EscalationPolicy, "pk", wanted.policy, "/policy"),
        )
        incidents.change_incident(incident_id, change, reason=wanted.reason, now=timezone.now())
        return answer(incident_state(found(incident_id)))


class Acknowledge(WholeFleetView):
    """Taking an incident."""

    required_scopes = {"POST": WRITE}

    @operation(
        "acknowledge_incident",
        "Take an incident",
        body=Acknowledgement,
        answers={200: IncidentState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Say that somebody is on it: nobody is paged until the acknowledgement runs out, then it escalates again."""
        wanted = decode(request, Acknowledgement)

        def act(now: datetime) -> HttpResponse:
            until = wanted.until or (None if wanted.minutes is None else now + timedelta(minutes=wanted.minutes))
            incidents.acknowledge(incident_id, until=until, reason=wanted.reason, now=now)
            return answer(incident_state(found(incident_id)))

        return idempotent(request, act)


class _StateView(WholeFleetView):
    """One change of state with a reason."""

    required_scopes = {"POST": WRITE}
    act: Callable[..., Incident]

    def moved(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Change the state and answer how the incident stands."""
        reason = decode(request, Because).reason
        change = type(self).act

        def move(now: datetime) -> HttpResponse:
            change(incident_id, reason=reason, now=now)
            return answer(incident_state(found(incident_id)))

        return idempotent(request, move)


def _moves(name: str, summary: str, change: Callable[..., Incident], text: str) -> type[_StateView]:
    """Return the view of one change of state."""

    def post(self: _StateView, request: Request, incident_id: UUID) -> HttpResponse:
        return self.moved(request, incident_id)

    post.__doc__ = text
    documented = operation(
        f"{name}_incident", summary, body=Because, answers={200: IncidentState}, idempotent=True, tag=TAG
    )(post)
    return type(f"{name.title()}Incident", (_StateView,), {"act": staticmethod(change), "post": documented})


Unacknowledge = _moves("unacknowledge", "Give an incident back", incidents.unacknowledge, "It escalates again.")
Mitigate = _moves("mitigate", "Mitigate an incident", incidents.mitigate, "The harm has stopped; work goes on.")
Resolve = _moves("resolve", "Resolve an incident", incidents.resolve, "It is over; whoever was called is told.")
Close = _moves("close", "Close an incident", incidents.close, "For good, after its review.")
Reopen = _moves("reopen", "Reopen an incident", incidents.reopen, "It is not over after all, and escalates again.")


class Merge(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Into which incident."""

    into: UUID
    reason: Reason = ""


class MergeIncident(WholeFleetView):
    """Two incidents that are one."""

    required_scopes = {"POST": WRITE}

    @operation(
        "merge_incident", "Merge an incident", body=Merge, answers={200: IncidentState}, idempotent=True, tag=TAG
    )
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Move its alerts to another incident, which is answered; this one is resolved and points there."""
        wanted = decode(request, Merge)

        def act(now: datetime) -> HttpResponse:
            incidents.merge(incident_id, wanted.into, reason=wanted.reason, now=now)
            return answer(incident_state(found(wanted.into)))

        return idempotent(request, act)


class LinkedAlerts(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Alerts by their ids."""

    alerts: Annotated[list[UUID], Meta(min_length=1, max_length=200)]


class AlertsLinked(msgspec.Struct, kw_only=True):
    """How many were not linked before."""

    linked: int


class IncidentAlerts(WholeFleetView):
    """The alerts of an incident."""

    required_scopes = {"POST": WRITE}

    @operation("link_alerts", "Link alerts", body=LinkedAlerts, answers={200: AlertsLinked}, idempotent=True, tag=TAG)
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Link alerts to an incident; the timeline tells when they resolve."""
        wanted = decode(request, LinkedAlerts)
        return idempotent(
            request,
            lambda now: answer(AlertsLinked(linked=incidents.link_alerts(incident_id, wanted.alerts, now=now))),
        )


def found(incident_id: UUID) -> Incident:
    """Return an incident with what its state names. Raises Missing."""
    incident = Incident.objects.select_related("runbook", "policy", "merged_into").filter(pk=incident_id).first()
    if incident is None:
        raise Missing("There is no such incident.")
    return incident


def named(model: type[ModelT], field: str, value: object, pointer: str) -> ModelT:
    """Return the row that a request names. Raises Invalid at its place when there is none."""
    row = model._default_manager.filter(**{field: value}).first()
    if row is None:
        detail = f"There is no {model._meta.verbose_name} {value}."
        raise Invalid(detail, errors=[FieldError(pointer, "unknown", detail)])
    return row


def _alerts(keys: list[UUID]) -> list[Alert]:
    rows = list(Alert.objects.filter(pk__in=keys).select_related("rule"))
    if len(rows) != len(set(keys)):
        detail = "One of these alerts does not exist."
        raise Invalid(detail, errors=[FieldError("/alerts", "unknown", detail)])
    return rows


def _opened(request: Request, terms: NewIncident, now: datetime) -> HttpResponse:
    incident = incidents.open_incident(terms, now=now)
    location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{incident.pk}")
    return answer(incident_state(found(incident.pk)), 201, {"Location": location})


def _cost(incident: Incident, now: datetime) -> CostState:
    cost = cost_of(incident, now)
    return CostState(
        minutes=cost.minutes,
        entity_type=cost.entity[0] if cost.entity else "",
        entity_id=cost.entity[1] if cost.entity else "",
        spend=None if cost.spend is None else to_text(cost.spend),
        spend_before=None if cost.spend_before is None else to_text(cost.spend_before),
        currency=cost.currency,
    )
