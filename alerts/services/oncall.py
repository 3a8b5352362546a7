"""Who is on call, by the tables: schedules as plans, their final form, gaps, and everybody's share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib.auth.models import User
from django.urls import reverse

from alerts import rotations
from alerts.models import EscalationStep, OnCallSchedule, Override, Rotation, RotationMember
from alerts.rotations import Cover, Layer, Person, Plan, Segment, Share
from core.ports.conditions import Condition, clear_condition, raise_condition
from core.windows import Window

LOOK_AHEAD = timedelta(days=30)
SOURCE = "alerts.oncall"
# A gap this near leaves little time to find somebody.
NEAR = timedelta(days=3)


def plan_of(schedule: OnCallSchedule, window: Window) -> Plan:
    """Return one schedule as a plan, with the overrides that touch the window."""
    return plans_of([schedule], window)[schedule.pk]


def plans_of(schedules: Sequence[OnCallSchedule], window: Window) -> dict[UUID, Plan]:
    """Return schedules as plans by their ids; the same number of queries for one as for a hundred."""
    keys = [schedule.pk for schedule in schedules]
    members: dict[int, list[Person]] = defaultdict(list)
    for member in RotationMember.objects.filter(rotation__schedule__in=keys).select_related("user"):
        members[member.rotation_id].append(_person(member.user, member.name))
    layers: dict[UUID, list[Layer]] = defaultdict(list)
    for rotation in Rotation.objects.filter(schedule__in=keys).order_by("layer", "pk"):
        layers[rotation.schedule_id].append(layer_of(rotation, members[rotation.pk]))
    covers: dict[UUID, list[Cover]] = defaultdict(list)
    touching = Override.objects.filter(schedule__in=keys, ends_at__gt=window.start, starts_at__lt=window.end)
    for override in touching.select_related("user").order_by("pk"):
        cover = Cover(_person(override.user, ""), override.starts_at, override.ends_at)
        covers[override.schedule_id].append(cover)
    return {
        schedule.pk: Plan(ZoneInfo(schedule.time_zone), tuple(layers[schedule.pk]), tuple(covers[schedule.pk]))
        for schedule in schedules
    }


def layer_of(rotation: Rotation, members: Iterable[Person]) -> Layer:
    """Return one rotation for the arithmetic."""
    return Layer(
        name=rotation.name,
        level=rotation.layer,
        turn=rotations.turn_length(rotation.kind, rotation.turn_length),
        starts_at=rotation.starts_at,
        members=tuple(members),
        ends_at=rotation.ends_at,
        restrictions=tuple(rotations.parse_restriction(span["from"], span["to"]) for span in rotation.restrictions),
    )


def user_on_call(schedule: OnCallSchedule, at: datetime) -> User | None:
    """Return who is on call at an instant, or None when nobody is."""
    person = rotations.on_call(plan_of(schedule, Window(at, at + timedelta(seconds=1))), at).person
    return None if person is None else User.objects.filter(pk=person.key, is_active=True).first()


def everybody_on_call(at: datetime) -> list[tuple[OnCallSchedule, Segment]]:
    """Return every schedule with the segment that holds at an instant, cut to the coming week to know until when."""
    schedules = list(OnCallSchedule.objects.order_by("name", "pk"))
    window = Window(at, at + timedelta(days=7))
    plans = plans_of(schedules, window)
    return [(schedule, rotations.segments(plans[schedule.pk], window)[0]) for schedule in schedules]


def final(schedule: OnCallSchedule, window: Window) -> list[Segment]:
    """Return the final schedule of a window: segments that tile it, with nobody in its gaps."""
    return rotations.segments(plan_of(schedule, window), window)


def fairness(schedule: OnCallSchedule, window: Window) -> list[Share]:
    """Return the hours that each person is on call in a window: all, at night, at weekends."""
    return rotations.shares(final(schedule, window), ZoneInfo(schedule.time_zone))


def check_schedules(now: datetime) -> int:
    """Raise a condition for each schedule with a gap or somebody inactive in the coming 30 days, clear all others.

    A schedule without rotations counts only when an escalation policy relies on it. Returns how many are wanting.
    """
    window = Window(now, now + LOOK_AHEAD)
    schedules = list(OnCallSchedule.objects.order_by("pk"))
    relied_on = set(EscalationStep.objects.exclude(schedule=None).values_list("schedule_id", flat=True))
    plans = plans_of(schedules, window)
    wanting = 0
    for schedule in schedules:
        plan = plans[schedule.pk]
        expected = bool(plan.layers) or schedule.pk in relied_on
        wrong = complaints(plan, window) if expected else []
        wanting += bool(wrong)
        _report(schedule, wrong, near=_gap_is_near(plan, now) if wrong else False, now=now)
    return wanting


def complaints(plan: Plan, window: Window) -> list[str]:
    """Return what is wrong with a plan in a window, in sentences; nothing when somebody active is always on call."""
    found = []
    if not plan.layers:
        found.append("It has no rotation, so nobody is on call.")
    elif empty := rotations.gaps(plan, window):
        first = empty[0].start.astimezone(plan.zone)
        hours = sum(gap.hours for gap in empty)
        found.append(f"Nobody is on call for {hours:g} hours in {len(empty)} gaps, first at {first:%Y-%m-%d %H:%M}.")
    gone = ", ".join(person.name for person in rotations.absentees(plan, window))
    if gone:
        found.append(f"Without an active account: {gone}; their turns fall to the next person.")
    return found


def _gap_is_near(plan: Plan, now: datetime) -> bool:
    return bool(rotations.gaps(plan, Window(now, now + NEAR)))


def _report(schedule: OnCallSchedule, wrong: list[str], *, near: bool, now: datetime) -> None:
    condition = Condition(
        SOURCE,
        str(schedule.pk),
        "high" if near else "medium",
        f"On-call schedule {schedule.name}: {' '.join(wrong)}" if wrong else f"On-call schedule {schedule.name}",
        labels={"schedule": schedule.slug},
        link=reverse("admin:alerts_oncallschedule_change", args=[schedule.pk]),
    )
    (raise_condition if wrong else clear_condition)(condition, now=now)


def clear_for(schedule: OnCallSchedule, *, now: datetime) -> None:
    """Clear what was said of a schedule that is being deleted."""
    _report(schedule, [], near=False, now=now)


def _person(user: Any, name: str) -> Person:
    if user is None:
        return Person("", name or "a deleted account", active=False)
    return Person(str(user.pk), user.get_full_name() or user.get_username(), user.is_active)
