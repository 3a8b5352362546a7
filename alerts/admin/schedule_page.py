"""What a schedule's page shows: who is on call, the coming two weeks day by day, gaps, overrides, everybody's share."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from alerts import rotations
from alerts.models import OnCallSchedule, Override
from alerts.rotations import Segment
from alerts.services import oncall, oncall_editing
from core import audit, exports
from core.adminkit import PageView, page
from core.errors import Refusal
from core.windows import Window, calendar_period

DAYS_SHOWN = 14
TONES = 6
SPANS = {"past": "the last 90 days", "next": "the coming 90 days"}
SPAN = timedelta(days=90)
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HEADINGS = ("person", "hours", "night hours", "weekend hours")


@dataclass(frozen=True, slots=True)
class Shift:
    """One person's part of one day; an empty name is a gap."""

    begins: str
    ends: str
    name: str
    source: str
    tone: int


@dataclass(frozen=True, slots=True)
class Day:
    """One day of the calendar in the schedule's time zone."""

    day: date
    is_today: bool
    shifts: tuple[Shift, ...]


def schedule_page(schedule: OnCallSchedule, now: datetime) -> dict[str, Any]:
    """Return who is on call now, the calendar, what is wrong, the overrides and the shares of a schedule."""
    zone = ZoneInfo(schedule.time_zone)
    start = calendar_period("daily", now, zone).start
    window = Window(start, start + timedelta(days=DAYS_SHOWN + 1))
    ahead = Window(now, now + oncall.LOOK_AHEAD)
    plan = oncall.plan_of(schedule, Window(now - SPAN, now + SPAN))
    found = rotations.segments(plan, window)
    current = rotations.segments(plan, ahead)
    return {
        "schedule": schedule,
        "schedule_empty": not plan.layers,
        "schedule_now": current[0].person,
        "schedule_until": _local(current[0].end, zone),
        "schedule_then": current[1].person if len(current) > 1 else None,
        "schedule_complaints": oncall.complaints(plan, ahead),
        "schedule_days": calendar_days(found, zone, now),
        "schedule_overrides": _overrides(schedule, zone, now),
        "schedule_shares": [
            (SPANS[name], name, rotations.shares(rotations.segments(plan, span_of(name, now)), zone)) for name in SPANS
        ],
        "schedule_zone": schedule.time_zone,
    }


def calendar_days(found: Sequence[Segment], zone: ZoneInfo, now: datetime) -> list[Day]:
    """Return two weeks of days with their shifts, each person in a colour of their own as far as there are six."""
    people = list(dict.fromkeys(segment.person.key for segment in found if segment.person))
    today = now.astimezone(zone).date()
    return [_day(today + timedelta(days=number), found, zone, people, today) for number in range(DAYS_SHOWN)]


def _day(day: date, found: Iterable[Segment], zone: ZoneInfo, people: list[str], today: date) -> Day:
    begins = rotations.instant(datetime(day.year, day.month, day.day), zone)  # noqa: DTZ001  # a wall time
    ends = rotations.instant(datetime(day.year, day.month, day.day) + timedelta(days=1), zone)  # noqa: DTZ001
    shifts = []
    for segment in found:
        start, end = max(segment.start, begins), min(segment.end, ends)
        if start < end:
            last = "24:00" if end == ends else f"{end.astimezone(zone):%H:%M}"
            name = segment.person.name if segment.person else ""
            tone = people.index(segment.person.key) % TONES if segment.person else 0
            shifts.append(Shift(f"{start.astimezone(zone):%H:%M}", last, name, segment.source, tone))
    return Day(day, day == today, tuple(shifts))


def span_of(name: str, now: datetime) -> Window:
    """Return the window of a share report. Raises KeyError for an unknown name."""
    return {"past": Window(now - SPAN, now), "next": Window(now, now + SPAN)}[name]


def _overrides(schedule: OnCallSchedule, zone: ZoneInfo, now: datetime) -> list[tuple[Override, str, str]]:
    coming = Override.objects.filter(schedule=schedule, ends_at__gt=now).select_related("user")
    return [
        (override, _local(override.starts_at, zone), _local(override.ends_at, zone))
        for override in coming.order_by("starts_at", "pk")[:50]
    ]


def _local(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%a %d %b %H:%M}"


@page
class RemoveOverride(PageView):
    """Takes an override back."""

    path = "alerts/schedules/<uuid:schedule_id>/overrides/<int:override_id>/remove/"
    name = "alerts_override_remove"
    permissions = ("alerts.change_oncallschedule",)
    http_method_names = ["post"]

    def post(self, request: HttpRequest, schedule_id: UUID, override_id: int) -> HttpResponse:
        """Take it back and return to the schedule."""
        try:
            oncall_editing.remove_override(schedule_id, override_id, now=timezone.now())
            messages.success(request, "The override was taken back.")
        except Refusal as refusal:
            messages.error(request, refusal.detail)
        return HttpResponseRedirect(reverse("admin:alerts_oncallschedule_change", args=[schedule_id]))


@page
class FairnessExport(PageView):
    """Everybody's share of a schedule as a file."""

    path = "alerts/schedules/<uuid:schedule_id>/fairness/<str:span>/<str:file_format>/"
    name = "alerts_fairness_export"
    permissions = ("alerts.view_oncallschedule",)
    http_method_names = ["post"]

    def post(self, request: HttpRequest, schedule_id: UUID, span: str, file_format: str) -> HttpResponseBase:
        """Answer with the file; the export is audited."""
        schedule = OnCallSchedule.objects.filter(pk=schedule_id).first()
        if schedule is None or span not in SPANS or file_format not in {"csv", "xlsx"}:
            raise Http404("there is no such report")
        now = timezone.now()
        shares = oncall.fairness(schedule, span_of(span, now))
        rows = [(share.person.name, *_decimals(share)) for share in shares]
        audit.record("oncallschedule.fairness_exported", schedule, now=now, after={"format": file_format, "span": span})
        name = f'attachment; filename="on-call-{schedule.slug}-{timezone.localdate(now):%Y-%m-%d}.{file_format}"'
        return as_file(HEADINGS, rows, file_format, name, "On-call hours")


def as_file(
    headings: Sequence[str], rows: Iterable[Sequence[object]], file_format: str, disposition: str, title: str
) -> HttpResponseBase:
    """Return rows as a CSV or XLSX answer."""
    if file_format == "csv":
        lines = exports.csv_lines(headings, rows)
        return StreamingHttpResponse(
            lines, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": disposition}
        )
    file = io.BytesIO()
    exports.write_xlsx(file, headings, rows, title=title)
    return HttpResponse(file.getvalue(), content_type=XLSX_TYPE, headers={"Content-Disposition": disposition})


def _decimals(share: rotations.Share) -> tuple[float, float, float]:
    return (round(share.hours, 2), round(share.night_hours, 2), round(share.weekend_hours, 2))
