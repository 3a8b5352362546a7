"""What the API says of schedules, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.contrib.auth.models import User
from msgspec import UNSET, Meta, UnsetType

from alerts.api.incident_shapes import Reason, UserName, user_named
from alerts.models import OnCallSchedule, Override, Rotation
from alerts.rotations import Person, Segment
from alerts.services.oncall_editing import RotationTerms
from core.api.moments import Moment


class WeekSpan(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename={"begins": "from", "ends": "to"}):
    """A span of every week in the schedule's time zone, such as Mon 09:00 to Fri 17:00; it may wrap."""

    begins: Annotated[str, Meta(max_length=9)]
    ends: Annotated[str, Meta(max_length=9)]


class RotationBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One layer: these people take turns in this order. Hand-overs keep the local time of day of `starts_at`.

    `turn_length` counts hours (hourly, custom), days or weeks. A higher layer covers a lower one.
    """

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    starts_at: datetime
    members: Annotated[list[UserName], Meta(min_length=1, max_length=200)]
    kind: Literal["hourly", "daily", "weekly", "custom"] = "weekly"
    turn_length: Annotated[int, Meta(ge=1, le=1000)] = 1
    layer: Annotated[int, Meta(ge=1, le=1000)] = 1
    ends_at: datetime | None = None
    restrictions: Annotated[list[WeekSpan], Meta(max_length=50)] = []


class ScheduleBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new schedule."""

    slug: Annotated[str, Meta(min_length=1, max_length=100)]
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    time_zone: Annotated[str, Meta(max_length=64)] = ""
    rotations: Annotated[list[RotationBody], Meta(max_length=50)] = []


class SchedulePatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; `rotations` replace all there are."""

    slug: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    name: Annotated[str, Meta(min_length=1, max_length=120)] | UnsetType = UNSET
    time_zone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    rotations: Annotated[list[RotationBody], Meta(max_length=50)] | UnsetType = UNSET


class RotationState(msgspec.Struct, kw_only=True):
    """One layer; a member whose account was deleted is shown by its old name."""

    name: str
    layer: int
    kind: str
    turn_length: int
    starts_at: datetime
    ends_at: datetime | None
    members: list[str]
    restrictions: list[WeekSpan]


class ScheduleState(msgspec.Struct, kw_only=True):
    """A schedule with its layers."""

    id: UUID
    slug: str
    name: str
    time_zone: str
    rotations: list[RotationState]


class SegmentState(msgspec.Struct, kw_only=True):
    """A span of the final schedule; `user` is null where nobody is on call."""

    start: datetime
    end: datetime
    user: str | None
    name: str | None
    source: str


class FinalSchedule(msgspec.Struct, kw_only=True):
    """Segments that tile the window without overlap, and what is wrong in it."""

    items: list[SegmentState]
    complaints: list[str]


class OnCallState(msgspec.Struct, kw_only=True):
    """Who is on call at one instant; null when nobody is."""

    at: datetime
    user: str | None
    name: str | None
    source: str


class OverrideBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Somebody has this span, whoever's turn it is."""

    user: UserName
    starts_at: datetime
    ends_at: datetime
    reason: Reason = ""


class OverrideState(msgspec.Struct, kw_only=True):
    """An override."""

    id: int
    user: str
    starts_at: datetime
    ends_at: datetime
    reason: str


class ShareState(msgspec.Struct, kw_only=True):
    """The hours of one person: all, between 22:00 and 06:00, and on Saturdays and Sundays, in local time."""

    user: str
    name: str
    hours: float
    night_hours: float
    weekend_hours: float


class Fairness(msgspec.Struct, kw_only=True):
    """Everybody's share, the largest first."""

    items: list[ShareState]


class AtQuery(msgspec.Struct, kw_only=True):
    """When; now unless said."""

    at: datetime | None = None


class SpanQuery(msgspec.Struct, kw_only=True):
    """From `start` up to, not including, `end`: two weeks from now unless said, a year at most."""

    start: Moment | None = None
    end: Moment | None = None


def rotation_terms(bodies: list[RotationBody]) -> list[RotationTerms]:
    """Return rotations for the service. Raises Invalid for people who are not known."""
    return [
        RotationTerms(
            name=body.name,
            starts_at=body.starts_at,
            members=[
                user_named(name, f"/rotations/{number}/members/{place}") for place, name in enumerate(body.members)
            ],
            kind=body.kind,
            turn_length=body.turn_length,
            layer=body.layer,
            ends_at=body.ends_at,
            restrictions=[{"from": span.begins, "to": span.ends} for span in body.restrictions],
        )
        for number, body in enumerate(bodies)
    ]


def schedule_state(schedule: OnCallSchedule) -> ScheduleState:
    """Return a schedule for an answer."""
    return ScheduleState(
        id=schedule.pk,
        slug=schedule.slug,
        name=schedule.name,
        time_zone=schedule.time_zone,
        rotations=[rotation_state(rotation) for rotation in schedule.rotations.all()],
    )


def rotation_state(rotation: Rotation) -> RotationState:
    """Return a rotation for an answer."""
    return RotationState(
        name=rotation.name,
        layer=rotation.layer,
        kind=rotation.kind,
        turn_length=rotation.turn_length,
        starts_at=rotation.starts_at,
        ends_at=rotation.ends_at,
        members=[member.user.get_username() if member.user else member.name for member in rotation.members.all()],
        restrictions=[WeekSpan(begins=span["from"], ends=span["to"]) for span in rotation.restrictions],
    )


def override_state(override: Override) -> OverrideState:
    """Return an override for an answer; its user is loaded with it."""
    return OverrideState(
        id=override.pk,
        user=override.user.get_username(),
        starts_at=override.starts_at,
        ends_at=override.ends_at,
        reason=override.reason,
    )


def login_names(found: list[Segment]) -> dict[str, str]:
    """Return the login names of everybody in these segments, by id."""
    return names_of(segment.person for segment in found if segment.person is not None)


def names_of(people: Iterable[Person]) -> dict[str, str]:
    """Return the login names of these people, by id."""
    keys = {person.key for person in people}
    return {str(pk): name for pk, name in User.objects.filter(pk__in=keys).values_list("pk", "username")}


def who(segment: Segment, names: dict[str, str]) -> dict[str, str | None]:
    """Return who has a segment; nulls for nobody."""
    person: Person | None = segment.person
    return {"user": names.get(person.key) if person else None, "name": person.name if person else None}
