"""What belongs to an incident: timeline, roles, checklist, postmortem and action items; and figures over many."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from msgspec import UNSET, Meta, UnsetType
from rest_framework.request import Request

from alerts import reliability
from alerts.api.incident_shapes import (
    ActionItemState,
    EventState,
    PostmortemState,
    RoleState,
    Severities,
    StepState,
    Title,
    UserName,
    action_item_state,
    event_state,
    postmortem_state,
    role_state,
    step_state,
    user_named,
)
from alerts.api.incident_views import READ, TAG, WRITE, found
from alerts.models import ActionItem, IncidentAssignment, IncidentEvent, Postmortem
from alerts.services import incidents
from alerts.services.incidents import ActionTerms, PostmortemText
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.moments import Moment
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import FieldError, Invalid, Missing
from core.windows import Window

Part = Annotated[str, Meta(max_length=100_000, description="Markdown.")]


class Note(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What somebody saw or did."""

    text: Annotated[str, Meta(min_length=1, max_length=10_000)]


class Timeline(WholeFleetView):
    """The lines of an incident."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("list_timeline", "The timeline", query=PageQuery, answers={200: CursorPage[EventState]}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """What happened, oldest first: acts with actor and reason, alerts linked and resolved, pages and notes."""
        wanted = query(request, PageQuery)
        rows = IncidentEvent.objects.filter(incident=found(incident_id))
        return answer(paginate(request, rows, page=wanted, order=Order(descending=False), show=event_state))

    @operation("add_note", "Add a note", body=Note, answers={201: EventState}, idempotent=True, tag=TAG)
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Add a line in words; lines are never changed."""
        wanted = decode(request, Note)
        return idempotent(
            request, lambda now: answer(event_state(incidents.add_note(incident_id, wanted.text, now=now)), 201)
        )


class NewRole(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Who does what."""

    user: UserName
    role: Literal["commander", "communications", "scribe", "responder"]


class RoleList(msgspec.Struct, kw_only=True):
    """Everybody's roles."""

    items: list[RoleState]


class Roles(WholeFleetView):
    """Who does what in an incident."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("list_roles", "Roles", answers={200: RoleList}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Everybody with a role."""
        rows = IncidentAssignment.objects.filter(incident=found(incident_id)).select_related("user")
        return answer(RoleList(items=[role_state(row) for row in rows]))

    @operation("assign_role", "Assign a role", body=NewRole, answers={201: RoleState}, idempotent=True, tag=TAG)
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Give somebody a role; there is one commander, and a new one takes over."""
        wanted = decode(request, NewRole)
        user = user_named(wanted.user, "/user")
        return idempotent(
            request,
            lambda now: answer(role_state(incidents.assign_role(incident_id, user, wanted.role, now=now)), 201),
        )


class RoleDetail(WholeFleetView):
    """One role."""

    required_scopes = {"DELETE": WRITE}

    @operation("remove_role", "Take a role away", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, incident_id: UUID, role_id: int) -> HttpResponse:
        """Take a role away; the timeline keeps that it was given."""
        incidents.remove_role(incident_id, role_id, now=timezone.now())
        return HttpResponse(status=204)


class Checklist(msgspec.Struct, kw_only=True):
    """The steps of the runbook as they were when the incident was opened."""

    runbook_version: int | None
    items: list[StepState]


class ChecklistView(WholeFleetView):
    """The checklist of an incident."""

    required_scopes = {"GET": READ}

    @operation("get_checklist", "The checklist", answers={200: Checklist}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """The steps in order, and who did which."""
        incident = found(incident_id)
        steps = [step_state(step) for step in incident.checklist.all()]
        return answer(Checklist(runbook_version=incident.runbook_version, items=steps))


class Tick(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Whether the step is done."""

    done: bool


class ChecklistStep(WholeFleetView):
    """One step of a checklist."""

    required_scopes = {"PUT": WRITE}

    @operation("tick_step", "Tick a step", body=Tick, answers={200: StepState}, tag=TAG)
    def put(self, request: Request, incident_id: UUID, position: int) -> HttpResponse:
        """Mark a step as done, or as not done after all."""
        wanted = decode(request, Tick)
        return answer(step_state(incidents.tick(incident_id, position, done=wanted.done, now=timezone.now())))


class PostmortemBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The whole review. With the `revision` that was read, a text written meanwhile is not written over."""

    summary: Part = ""
    impact: Part = ""
    root_causes: Part = ""
    lessons: Part = ""
    revision: Annotated[int, Meta(ge=0)] | None = None


class PostmortemView(WholeFleetView):
    """The review of an incident."""

    required_scopes = {"GET": READ, "PUT": WRITE}

    @operation("get_postmortem", "The postmortem", answers={200: PostmortemState}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """What was learned; empty with revision 0 until somebody writes it."""
        return answer(postmortem_state(Postmortem.objects.filter(incident=found(incident_id)).first()))

    @operation(
        "write_postmortem",
        "Write the postmortem",
        body=PostmortemBody,
        answers={200: PostmortemState},
        problems=(409,),
        tag=TAG,
    )
    def put(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Write the review as a whole."""
        wanted = decode(request, PostmortemBody)
        text = PostmortemText(
            summary=wanted.summary, impact=wanted.impact, root_causes=wanted.root_causes, lessons=wanted.lessons
        )
        saved = incidents.save_postmortem(incident_id, text, revision=wanted.revision, now=timezone.now())
        return answer(postmortem_state(saved))


class PostmortemPublishing(WholeFleetView):
    """Showing the review."""

    required_scopes = {"POST": WRITE}

    @operation("publish_postmortem", "Publish the postmortem", answers={200: PostmortemState}, idempotent=True, tag=TAG)
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Publish the review of a resolved incident; it needs a summary."""
        return idempotent(
            request, lambda now: answer(postmortem_state(incidents.publish_postmortem(incident_id, now=now)))
        )


class NewActionItem(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something to be done, by whom and until when."""

    title: Title
    owner: Annotated[str, Meta(max_length=150)] = ""
    due_date: date | None = None
    link: Annotated[str, Meta(max_length=500)] = ""


class ActionItemPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; an empty owner is nobody."""

    title: Title | UnsetType = UNSET
    owner: Annotated[str, Meta(max_length=150)] | UnsetType = UNSET
    due_date: date | UnsetType | None = UNSET
    link: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    done: bool | UnsetType = UNSET


class ActionItemList(msgspec.Struct, kw_only=True):
    """Everything to be done."""

    items: list[ActionItemState]


class ActionItems(WholeFleetView):
    """What is to be done after an incident."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("list_action_items", "Action items", answers={200: ActionItemList}, tag=TAG)
    def get(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Everything to be done, and what is done."""
        rows = ActionItem.objects.filter(incident=found(incident_id)).select_related("owner")
        return answer(ActionItemList(items=[action_item_state(row) for row in rows]))

    @operation(
        "add_action_item",
        "Add an action item",
        body=NewActionItem,
        answers={201: ActionItemState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request, incident_id: UUID) -> HttpResponse:
        """Write down something to be done."""
        wanted = decode(request, NewActionItem)
        owner = user_named(wanted.owner, "/owner") if wanted.owner else None
        terms = ActionTerms(title=wanted.title, owner=owner, due_date=wanted.due_date, link=wanted.link)
        return idempotent(
            request, lambda now: answer(action_item_state(incidents.add_action_item(incident_id, terms, now=now)), 201)
        )


class ActionItemDetail(WholeFleetView):
    """One thing to be done."""

    required_scopes = {"PATCH": WRITE}

    @operation("change_action_item", "Change an action item", body=ActionItemPatch,
               answers={200: ActionItemState}, tag=TAG)  # fmt: skip
    def patch(self, request: Request, incident_id: UUID, item_id: int) -> HttpResponse:
        """Change it, or say that it is done."""
        wanted, now = decode(request, ActionItemPatch), timezone.now()
        item = ActionItem.objects.select_related("owner").filter(incident=incident_id, pk=item_id).first()
        if item is None:
            raise Missing("The incident has no such action item.")
        if any(value is not UNSET for value in (wanted.title, wanted.owner, wanted.due_date, wanted.link)):
            item = incidents.change_action_item(incident_id, item_id, _terms(item, wanted), now=now)
        if wanted.done is not UNSET:
            item = incidents.set_action_done(incident_id, item_id, done=wanted.done, now=now)
        return answer(action_item_state(item))


class StatisticsQuery(msgspec.Struct, kw_only=True):
    """Which incidents: opened from `start` up to, not including, `end`; the last 90 days unless said."""

    start: Moment | None = None
    end: Moment | None = None
    severity: Severities | None = None


class MonthFigures(msgspec.Struct, kw_only=True):
    """Means in seconds over one month; severity "" is all of them. Null where there is nothing to take a mean of."""

    month: str
    severity: str
    incident_count: int
    open_count: int
    answered_count: int
    mttd_seconds: float | None
    mtta_seconds: float | None
    mttr_seconds: float | None
    median_to_acknowledge_seconds: float | None
    median_to_resolve_seconds: float | None


class Statistics(msgspec.Struct, kw_only=True):
    """Figures by month of opening, in the organisation's time zone, and by severity."""

    items: list[MonthFigures]


class StatisticsView(WholeFleetView):
    """How quickly incidents are answered and ended."""

    required_scopes = {"GET": READ}

    @operation("incident_statistics", "MTTA and MTTR", query=StatisticsQuery, answers={200: Statistics}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Mean and median times to detect, acknowledge and resolve; merged incidents do not count."""
        wanted, now = query(request, StatisticsQuery), timezone.now()
        zone = settings.ORGANISATION_ZONE
        end = wanted.end.instant(zone) if wanted.end else now
        start = wanted.start.instant(zone) if wanted.start else end - timedelta(days=90)
        if end <= start:
            raise Invalid("It ends before it starts.", errors=[FieldError("/end", "before_start", "Before the start.")])
        rows = reliability.by_month(Window(start, end), zone, severity=wanted.severity or "")
        return answer(Statistics(items=[_figures(row) for row in rows]))


def _figures(row: reliability.Row) -> MonthFigures:
    found_ = row.figures
    return MonthFigures(
        month=row.month,
        severity=row.severity,
        incident_count=found_.incident_count,
        open_count=found_.open_count,
        answered_count=found_.answered_count,
        mttd_seconds=_seconds(found_.mttd),
        mtta_seconds=_seconds(found_.mtta),
        mttr_seconds=_seconds(found_.mttr),
        median_to_acknowledge_seconds=_seconds(found_.median_to_acknowledge),
        median_to_resolve_seconds=_seconds(found_.median_to_resolve),
    )


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()


def _terms(item: ActionItem, wanted: ActionItemPatch) -> ActionTerms:
    owner = item.owner
    if wanted.owner is not UNSET:
        owner = user_named(wanted.owner, "/owner") if wanted.owner else None
    return ActionTerms(
        title=item.title if wanted.title is UNSET else wanted.title,
        owner=owner,
        due_date=item.due_date if wanted.due_date is UNSET else wanted.due_date,
        link=item.link if wanted.link is UNSET else wanted.link,
    )
