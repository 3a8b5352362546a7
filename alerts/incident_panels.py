"""What incidents show on the home page: those that need somebody, and who is on call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from alerts import reliability
from alerts.choices import OPEN_INCIDENTS, IncidentStatus
from alerts.models import Incident
from alerts.services import oncall
from core.adminkit import period
from core.ports.panels import Chart, Figure, Table

ROWS = 8


def build_incidents(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return what is open, what nobody has, the times of the last 30 days, and who is on call now."""
    still = list(Incident.objects.filter(status__in=OPEN_INCIDENTS).order_by("-number")[:500])
    times = reliability.figures(reliability.incidents_in(period("30d", now, settings.ORGANISATION_ZONE)))
    on_call = _on_call(now)
    if not still and not times.incident_count and not on_call.rows:
        return []
    unanswered = [incident for incident in still if incident.status == IncidentStatus.OPEN]
    page = reverse("admin:alerts_reliability")
    return [
        Figure(
            "Incidents open",
            str(len(still)),
            "all acknowledged" if still and not unanswered else "",
            f"{_list()}?state=open",
            "warning" if still else "good",
        ),
        Figure(
            "Nobody has",
            str(len(unanswered)),
            "" if not unanswered else f"oldest for {reliability.words(now - unanswered[-1].opened_at)}",
            f"{_list()}?state=unanswered",
            "bad" if unanswered else "good",
        ),
        Figure("Mean time to acknowledge", reliability.words(times.mtta), "last 30 days", page),
        Figure("Mean time to resolve", reliability.words(times.mttr), "last 30 days", page),
        *([_open(still, now)] if still else []),
        on_call,
    ]


def _open(still: list[Incident], now: datetime) -> Table:
    rows = [
        (
            [
                str(incident),
                incident.get_severity_display(),
                incident.acknowledged_by or incident.get_status_display(),
                reliability.words(reliability.age(incident, now)),
            ],
            reverse("admin:alerts_incident_change", args=[incident.pk]),
        )
        for incident in still[:ROWS]
    ]
    return Table("Open incidents", ["Incident", "Severity", "Who has it", "Age"], rows, link=f"{_list()}?state=open")


def _on_call(now: datetime) -> Table:
    rows = []
    for schedule, segment in oncall.everybody_on_call(now):
        until = segment.end.astimezone(ZoneInfo(schedule.time_zone))
        person = segment.person.name if segment.person else "nobody"
        link = reverse("admin:alerts_oncallschedule_change", args=[schedule.pk])
        rows.append(([schedule.name, person, f"{until:%a %H:%M}" if segment.person else "–"], link))
    return Table("On call now", ["Schedule", "Who", "Until"], rows[:ROWS])


def _list() -> str:
    return reverse("admin:alerts_incident_changelist")
