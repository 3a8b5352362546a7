"""Making and changing schedules, rotations and overrides; every act is one transaction and one audit entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.models import User
from django.core.validators import slug_re
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from alerts.choices import RotationKind
from alerts.models import OnCallSchedule, Override, Rotation, RotationMember
from alerts.rotations import parse_restriction
from alerts.services import oncall
from core import audit
from core.errors import Conflict, FieldError, Invalid, Missing

LARGEST_TURN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationTerms:
    """One rotation as it is to be: its people take turns in this order from `starts_at` on."""

    name: str
    starts_at: datetime
    members: Sequence[User]
    kind: str = "weekly"
    turn_length: int = 1
    layer: int = 1
    ends_at: datetime | None = None
    restrictions: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleTerms:
    """A schedule as it is to be; `rotations` None leaves them as they are."""

    slug: str
    name: str
    time_zone: str
    rotations: Sequence[RotationTerms] | None = None


def create_schedule(terms: ScheduleTerms, *, now: datetime) -> OnCallSchedule:
    """Make a schedule with its rotations. Raises Invalid with every mistake, Conflict for a slug that is taken."""
    _check(terms)
    with transaction.atomic():
        schedule = OnCallSchedule(slug=terms.slug, created_at=now)
        _save(schedule, terms)
        audit.record("oncallschedule.added", schedule, now=now, after=_described(terms))
        oncall.check_schedules(now)
    return schedule


def change_schedule(schedule_id: UUID, terms: ScheduleTerms, *, now: datetime) -> OnCallSchedule:
    """Change a schedule; rotations that are given replace the ones it had. Raises Missing, Invalid and Conflict."""
    _check(terms)
    with transaction.atomic():
        schedule = get_schedule(schedule_id)
        before = {"slug": schedule.slug, "name": schedule.name, "time_zone": schedule.time_zone}
        schedule.slug = terms.slug
        _save(schedule, terms)
        audit.record("oncallschedule.changed", schedule, now=now, before=before, after=_described(terms))
        oncall.check_schedules(now)
    return schedule


def delete_schedule(schedule_id: UUID, *, now: datetime) -> None:
    """Delete a schedule. Raises Missing, and Conflict while an escalation policy relies on it."""
    with transaction.atomic():
        schedule = get_schedule(schedule_id)
        audit.record("oncallschedule.deleted", schedule, now=now, before={"slug": schedule.slug, "name": schedule.name})
        oncall.clear_for(schedule, now=now)
        try:
            schedule.delete()
        except ProtectedError as error:
            raise Conflict("An escalation policy relies on this schedule.", code="in_use") from error


def set_members(rotation: Rotation, members: Sequence[User | RotationMember]) -> None:
    """Give a rotation its people in this order, in the caller's transaction; a place of a deleted account may stay."""
    RotationMember.objects.filter(rotation=rotation).delete()
    RotationMember.objects.bulk_create(
        RotationMember(
            rotation=rotation,
            position=position,
            user=member.user if isinstance(member, RotationMember) else member,
            name=member.name if isinstance(member, RotationMember) else member.get_username(),
        )
        for position, member in enumerate(members, start=1)
    )


def add_override(
    schedule_id: UUID, user: User, *, starts_at: datetime, ends_at: datetime, reason: str = "", now: datetime
) -> Override:
    """Let somebody have a span of a schedule, whoever's turn it is. Raises Missing and Invalid."""
    mistakes = []
    if ends_at <= starts_at:
        mistakes.append(FieldError("/ends_at", "before_start", "It ends before it begins."))
    elif ends_at <= now:
        mistakes.append(FieldError("/ends_at", "in_the_past", "It is over already."))
    if not user.is_active:
        mistakes.append(FieldError("/user", "inactive", "This account is not active."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)
    with transaction.atomic():
        schedule = get_schedule(schedule_id)
        override = Override.objects.create(
            schedule=schedule, user=user, starts_at=starts_at, ends_at=ends_at, reason=reason[:300]
        )
        span = {"user": user.get_username(), "starts_at": starts_at, "ends_at": ends_at}
        audit.record("oncallschedule.overridden", schedule, now=now, after=span, reason=reason)
        oncall.check_schedules(now)
    return override


def remove_override(schedule_id: UUID, override_id: int, *, now: datetime, reason: str = "") -> None:
    """Take an override back. Raises Missing."""
    with transaction.atomic():
        schedule = get_schedule(schedule_id)
        override = Override.objects.filter(schedule=schedule, pk=override_id).select_related("user").first()
        if override is None:
            raise Missing("The schedule has no such override.")
        span = {"user": str(override.user), "starts_at": override.starts_at, "ends_at": override.ends_at}
        override.delete()
        audit.record("oncallschedule.override_removed", schedule, now=now, before=span, reason=reason)
        oncall.check_schedules(now)


def get_schedule(schedule_id: UUID) -> OnCallSchedule:
    """Return a schedule. Raises Missing."""
    schedule = OnCallSchedule.objects.filter(pk=schedule_id).first()
    if schedule is None:
        raise Missing("There is no such schedule.")
    return schedule


def rotation_mistakes(terms: RotationTerms, pointer: str) -> list[FieldError]:
    """Return what is wrong with one rotation."""
    mistakes = []
    if not terms.name.strip():
        mistakes.append(FieldError(f"{pointer}/name", "required", "A rotation has a name."))
    if terms.kind not in RotationKind.values:
        mistakes.append(FieldError(f"{pointer}/kind", "not_a_choice", f"One of {', '.join(RotationKind.values)}."))
    if not 1 <= terms.turn_length <= LARGEST_TURN:
        mistakes.append(FieldError(f"{pointer}/turn_length", "out_of_range", f"1 to {LARGEST_TURN}."))
    if not terms.members:
        mistakes.append(FieldError(f"{pointer}/members", "required", "A rotation needs somebody to take turns."))
    if terms.ends_at is not None and terms.ends_at <= terms.starts_at:
        mistakes.append(FieldError(f"{pointer}/ends_at", "before_start", "It ends before it begins."))
    return mistakes + restriction_mistakes(terms.restrictions, f"{pointer}/restrictions")


def restriction_mistakes(restrictions: Sequence[Mapping[str, str]], pointer: str) -> list[FieldError]:
    """Return what is wrong with spans of the week."""
    mistakes = []
    for number, span in enumerate(restrictions):
        try:
            if set(span) != {"from", "to"}:
                raise ValueError("a span has `from` and `to`, such as Mon 09:00 and Mon 17:00")
            parse_restriction(span["from"], span["to"])
        except ValueError as error:
            mistakes.append(FieldError(f"{pointer}/{number}", "restriction", f"{error}."))
    return mistakes


def _check(terms: ScheduleTerms) -> None:
    mistakes = []
    if not 0 < len(terms.name.strip()) <= 120:
        mistakes.append(FieldError("/name", "length", "A name has 1 to 120 characters."))
    if not slug_re.fullmatch(terms.slug) or len(terms.slug) > 100:
        mistakes.append(FieldError("/slug", "slug", "Letters, digits, hyphens and underscores, at most 100."))
    if terms.time_zone not in available_timezones():
        mistakes.append(FieldError("/time_zone", "time_zone", "Not a time zone such as Europe/Berlin."))
    for number, rotation in enumerate(terms.rotations or ()):
        mistakes += rotation_mistakes(rotation, f"/rotations/{number}")
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _save(schedule: OnCallSchedule, terms: ScheduleTerms) -> None:
    schedule.name, schedule.time_zone = terms.name.strip(), str(ZoneInfo(terms.time_zone))
    try:
        with transaction.atomic():
            schedule.save()
    except IntegrityError as error:
        raise Conflict(f"A schedule {terms.slug} exists.", code="slug_taken") from error
    if terms.rotations is None:
        return
    schedule.rotations.all().delete()
    for given in terms.rotations:
        rotation = Rotation.objects.create(
            schedule=schedule,
            layer=given.layer,
            name=given.name.strip(),
            kind=given.kind,
            turn_length=given.turn_length,
            starts_at=given.starts_at,
            ends_at=given.ends_at,
            restrictions=[dict(span) for span in given.restrictions],
        )
        set_members(rotation, given.members)


def _described(terms: ScheduleTerms) -> dict[str, object]:
    described: dict[str, object] = {"slug": terms.slug, "name": terms.name, "time_zone": terms.time_zone}
    if terms.rotations is not None:
        described["rotations"] = [
            {
                "name": rotation.name,
                "layer": rotation.layer,
                "turn": f"{rotation.kind} {rotation.turn_length}",
                "starts_at": rotation.starts_at,
                "members": [user.get_username() for user in rotation.members],
            }
            for rotation in terms.rotations
        ]
    return described
