"""What the API says of incidents, and how their state is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.contrib.auth.models import User
from msgspec import Meta

from alerts.models import ActionItem, ChecklistTick, Incident, IncidentAssignment, IncidentEvent, Postmortem
from core.errors import FieldError, Invalid

Severities = Literal["critical", "high", "medium", "low", "info"]
Title = Annotated[str, Meta(min_length=1, max_length=300)]
Reason = Annotated[str, Meta(max_length=500)]
UserName = Annotated[str, Meta(min_length=1, max_length=150, description="A login name.")]
Labels = dict[Annotated[str, Meta(min_length=1, max_length=100)], Annotated[str, Meta(max_length=500)]]


class CostState(msgspec.Struct, kw_only=True):
    """What it cost so far: minutes, and the spend of its entity during it and during as long before."""

    minutes: int
    entity_type: str
    entity_id: str
    spend: str | None
    spend_before: str | None
    currency: str


class IncidentState(msgspec.Struct, kw_only=True):
    """An incident. `acknowledged_at` is the first answer; who has it now is in `acknowledged_by`."""

    id: UUID
    number: int
    title: str
    summary: str
    severity: str
    status: str
    labels: dict[str, str]
    started_at: datetime
    opened_at: datetime
    acknowledged_at: datetime | None
    acknowledged_until: datetime | None
    acknowledged_by: str
    mitigated_at: datetime | None
    resolved_at: datetime | None
    closed_at: datetime | None
    resolves_itself: bool
    runbook: str
    policy: int | None
    merged_into: UUID | None
    cost: CostState | None = None


class EventState(msgspec.Struct, kw_only=True):
    """One line of a timeline."""

    id: int
    at: datetime
    kind: str
    actor: str
    text: str
    data: dict[str, Any]


class PostmortemState(msgspec.Struct, kw_only=True):
    """A review; `revision` 0 was never written."""

    summary: str = ""
    impact: str = ""
    root_causes: str = ""
    lessons: str = ""
    revision: int = 0
    published_at: datetime | None = None


class ActionItemState(msgspec.Struct, kw_only=True):
    """Something to be done."""

    id: int
    title: str
    owner: str
    due_date: str | None
    link: str
    done_at: datetime | None


class StepState(msgspec.Struct, kw_only=True):
    """One step of a checklist."""

    position: int
    text: str
    done: bool
    done_at: datetime | None
    done_by: str


class RoleState(msgspec.Struct, kw_only=True):
    """Who does what."""

    id: int
    user: str
    role: str
    assigned_at: datetime


def incident_state(incident: Incident, cost: CostState | None = None) -> IncidentState:
    """Return an incident for an answer; its runbook is loaded with it."""
    same = (
        "id", "number", "title", "summary", "severity", "status", "started_at", "opened_at", "acknowledged_at",
        "acknowledged_until", "acknowledged_by", "mitigated_at", "resolved_at", "closed_at", "resolves_itself",
    )  # fmt: skip
    return IncidentState(
        **{name: getattr(incident, name) for name in same},
        labels={str(name): str(value) for name, value in incident.labels.items()},
        runbook=incident.runbook.slug if incident.runbook else "",
        policy=incident.policy_id,
        merged_into=incident.merged_into_id,
        cost=cost,
    )


def event_state(event: IncidentEvent) -> EventState:
    """Return a line of a timeline for an answer."""
    return EventState(id=event.pk, at=event.at, kind=event.kind, actor=event.actor, text=event.text, data=event.data)


def postmortem_state(postmortem: Postmortem | None) -> PostmortemState:
    """Return a review for an answer."""
    if postmortem is None:
        return PostmortemState()
    names = ("summary", "impact", "root_causes", "lessons", "revision", "published_at")
    return PostmortemState(**{name: getattr(postmortem, name) for name in names})


def action_item_state(item: ActionItem) -> ActionItemState:
    """Return an action item for an answer; its owner is loaded with it."""
    return ActionItemState(
        id=item.pk,
        title=item.title,
        owner=item.owner.get_username() if item.owner else "",
        due_date=item.due_date.isoformat() if item.due_date else None,
        link=item.link,
        done_at=item.done_at,
    )


def step_state(step: ChecklistTick) -> StepState:
    """Return a checklist step for an answer."""
    done = step.done_at is not None
    return StepState(position=step.position, text=step.text, done=done, done_at=step.done_at, done_by=step.done_by)


def role_state(assignment: IncidentAssignment) -> RoleState:
    """Return a role for an answer; its user is loaded with it."""
    return RoleState(
        id=assignment.pk,
        user=assignment.user.get_username(),
        role=assignment.role,
        assigned_at=assignment.assigned_at,
    )


def user_named(name: str, pointer: str) -> User:
    """Return the person with this login name. Raises Invalid at its place when there is none."""
    user = User.objects.filter(username=name).first()
    if user is None:
        detail = f"There is nobody called {name}."
        raise Invalid(detail, errors=[FieldError(pointer, "unknown", detail)])
    return user
