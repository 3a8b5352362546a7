"""Who is on call: schedules with rotations and overrides, the final schedule, calendars, and everybody's share."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from msgspec import UNSET
from rest_framework.request import Request

from alerts.api.incident_shapes import user_named
from alerts.api.incident_views import READ as INCIDENTS_READ
from alerts.api.oncall_shapes import (
    AtQuery,
    Fairness,
    FinalSchedule,
    OnCallState,
    OverrideBody,
    OverrideState,
    ScheduleBody,
    SchedulePatch,
    ScheduleState,
    SegmentState,
    ShareState,
    SpanQuery,
    login_names,
    names_of,
    override_state,
    rotation_terms,
    schedule_state,
    who,
)
from alerts.models import OnCallSchedule, Override
from alerts.services import calendars, oncall, oncall_editing
from alerts.services.oncall_editing import ScheduleTerms
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import FieldError, Invalid
from core.windows import Window

READ, ADMIN, WRITE = "alerts:read", "alerts:admin", "alerts:write"
TAG = "on-call"
CALENDAR_TYPE = "text/calendar"
LONGEST_SPAN = timedelta(days=366)


class ScheduleList(WholeFleetView):
    """All schedules."""

    required_scopes = {"GET": READ, "POST": ADMIN}

    @operation("list_schedules", "List schedules", query=PageQuery, answers={200: CursorPage[ScheduleState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Schedules, the newest first."""
        wanted = query(request, PageQuery)
        rows = OnCallSchedule.objects.prefetch_related("rotations__members__user")
        return answer(paginate(request, rows, page=wanted, order=Order(), show=schedule_state))

    @operation(
        "create_schedule",
        "Create a schedule",
        body=ScheduleBody,
        answers={201: ScheduleState},
        idempotent=True,
        tag=TAG,
    )
    def post(self, request: Request) -> HttpResponse:
        """Make a schedule with its rotations."""
        wanted = decode(request, ScheduleBody)
        terms = ScheduleTerms(
            slug=wanted.slug,
            name=wanted.name,
            time_zone=wanted.time_zone or settings.ORGANISATION_TIME_ZONE,
            rotations=rotation_terms(wanted.rotations),
        )

        def made(now: datetime) -> HttpResponse:
            schedule = oncall_editing.create_schedule(terms, now=now)
            location = request.build_absolute_uri(f"{request.path.rstrip('/')}/{schedule.pk}")
            return answer(schedule_state(schedule), 201, {"Location": location})

        return idempotent(request, made)


class ScheduleDetail(WholeFleetView):
    """One schedule."""

    required_scopes = {"GET": READ, "PATCH": ADMIN, "DELETE": ADMIN}

    @operation("get_schedule", "A schedule", answers={200: ScheduleState}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """The schedule with its layers."""
        return answer(schedule_state(oncall_editing.get_schedule(schedule_id)))

    @operation(
        "change_schedule",
        "Change a schedule",
        body=SchedulePatch,
        answers={200: ScheduleState},
        problems=(409,),
        tag=TAG,
    )
    def patch(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Change it; rotations that are given replace all there are."""
        wanted = decode(request, SchedulePatch)
        schedule = oncall_editing.get_schedule(schedule_id)
        terms = ScheduleTerms(
            slug=schedule.slug if wanted.slug is UNSET else wanted.slug,
            name=schedule.name if wanted.name is UNSET else wanted.name,
            time_zone=schedule.time_zone if wanted.time_zone is UNSET else wanted.time_zone,
            rotations=None if wanted.rotations is UNSET else rotation_terms(wanted.rotations),
        )
        return answer(schedule_state(oncall_editing.change_schedule(schedule_id, terms, now=timezone.now())))

    @operation("delete_schedule", "Delete a schedule", answers={204: None}, problems=(409,), tag=TAG)
    def delete(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Delete it; refused while an escalation policy relies on it."""
        oncall_editing.delete_schedule(schedule_id, now=timezone.now())
        return HttpResponse(status=204)


class OnCall(WholeFleetView):
    """Who is on call."""

    required_scopes = {"GET": INCIDENTS_READ}

    @operation("who_is_on_call", "Who is on call", query=AtQuery, answers={200: OnCallState}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Who is on call at an instant."""
        at = query(request, AtQuery).at or timezone.now()
        schedule = oncall_editing.get_schedule(schedule_id)
        segment = oncall.final(schedule, Window(at, at + timedelta(seconds=1)))[0]
        names = login_names([segment])
        return answer(OnCallState(at=at, source=segment.source, **who(segment, names)))


class Final(WholeFleetView):
    """The final schedule."""

    required_scopes = {"GET": READ}

    @operation("final_schedule", "The final schedule", query=SpanQuery, answers={200: FinalSchedule}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Who is on call when: layers and overrides as one row of segments."""
        schedule = oncall_editing.get_schedule(schedule_id)
        window = _window(query(request, SpanQuery), schedule)
        found = oncall.final(schedule, window)
        names = login_names(found)
        items = [
            SegmentState(start=segment.start, end=segment.end, source=segment.source, **who(segment, names))
            for segment in found
        ]
        wrong = oncall.complaints(oncall.plan_of(schedule, window), window)
        return answer(FinalSchedule(items=items, complaints=wrong))


class FairnessView(WholeFleetView):
    """Everybody's share of a schedule."""

    required_scopes = {"GET": READ}

    @operation("schedule_fairness", "Everybody's share", query=SpanQuery, answers={200: Fairness}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """The hours that each person is on call in a window, by the schedule as it is now."""
        schedule = oncall_editing.get_schedule(schedule_id)
        found = oncall.fairness(schedule, _window(query(request, SpanQuery), schedule))
        names = names_of(share.person for share in found)
        items = [
            ShareState(
                user=names.get(share.person.key, ""),
                name=share.person.name,
                hours=share.hours,
                night_hours=share.night_hours,
                weekend_hours=share.weekend_hours,
            )
            for share in found
        ]
        return answer(Fairness(items=items))


class Overrides(WholeFleetView):
    """The overrides of a schedule."""

    required_scopes = {"GET": READ, "POST": WRITE}

    @operation("list_overrides", "Overrides", query=PageQuery, answers={200: CursorPage[OverrideState]}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Overrides, the latest first."""
        wanted = query(request, PageQuery)
        rows = Override.objects.filter(schedule=oncall_editing.get_schedule(schedule_id)).select_related("user")
        return answer(paginate(request, rows, page=wanted, order=Order(), show=override_state))

    @operation(
        "add_override", "Add an override", body=OverrideBody, answers={201: OverrideState}, idempotent=True, tag=TAG
    )
    def post(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Let somebody have a span of the schedule."""
        wanted = decode(request, OverrideBody)
        user = user_named(wanted.user, "/user")

        def added(now: datetime) -> HttpResponse:
            override = oncall_editing.add_override(
                schedule_id, user, starts_at=wanted.starts_at, ends_at=wanted.ends_at, reason=wanted.reason, now=now
            )
            return answer(override_state(override), 201)

        return idempotent(request, added)


class OverrideDetail(WholeFleetView):
    """One override."""

    required_scopes = {"DELETE": WRITE}

    @operation("remove_override", "Take an override back", answers={204: None}, tag=TAG)
    def delete(self, request: Request, schedule_id: UUID, override_id: int) -> HttpResponse:
        """Whoever's turn it is has it again."""
        oncall_editing.remove_override(schedule_id, override_id, now=timezone.now())
        return HttpResponse(status=204)


class ScheduleCalendar(WholeFleetView):
    """A schedule as a calendar."""

    required_scopes = {"GET": READ}

    @operation("schedule_calendar", "A schedule as iCalendar", answers={200: {CALENDAR_TYPE: bytes}}, tag=TAG)
    def get(self, request: Request, schedule_id: UUID) -> HttpResponse:
        """Every turn from a month ago to four months ahead (RFC 5545)."""
        schedule = oncall_editing.get_schedule(schedule_id)
        return _calendar(calendars.calendar_of(schedule, now=timezone.now()))


@require_safe
def calendar_feed(request: HttpRequest) -> HttpResponse:
    """Answer a calendar program that has the secret address; without a session, and with 404 for any other token."""
    # In the query, not in the path: paths are written to the log.
    found = calendars.read_feed(request.GET.get("token", ""), now=timezone.now())
    return (
        HttpResponse("No calendar here.", status=404, content_type="text/plain") if found is None else _calendar(found)
    )


def feed_address(request: HttpRequest, token: str) -> str:
    """Return the whole secret address of a calendar."""
    path = f"{reverse('alerts-calendar-feed')}?token={token}"
    return f"{settings.PUBLIC_URL}{path}" if settings.PUBLIC_URL else request.build_absolute_uri(path)


def _calendar(content: bytes) -> HttpResponse:
    headers = {"Cache-Control": "private, max-age=300", "Content-Disposition": 'inline; filename="on-call.ics"'}
    return HttpResponse(content, content_type=f"{CALENDAR_TYPE}; charset=utf-8", headers=headers)


def _window(wanted: SpanQuery, schedule: OnCallSchedule) -> Window:
    zone = ZoneInfo(schedule.time_zone)
    start = wanted.start.instant(zone) if wanted.start else timezone.now()
    end = wanted.end.instant(zone) if wanted.end else start + timedelta(days=14)
    if not start < end <= start + LONGEST_SPAN:
        detail = "The end comes after the start, by a year at most."
        raise Invalid(detail, errors=[FieldError("/end", "out_of_range", detail)])
    return Window(start, end)
