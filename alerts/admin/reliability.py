"""The reliability page: how quickly incidents are answered and ended, by month and severity."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from alerts import reliability
from alerts.admin.schedule_page import as_file
from alerts.admin.sections import INCIDENTS
from alerts.reliability import Row, words
from core import audit
from core.adminkit import PageView, page
from core.choices import Severity
from core.ports.panels import Chart, Figure, Series
from core.windows import Window, calendar_period

MONTHS = (3, 6, 12, 24)
HEADINGS = (
    "month", "severity", "incidents", "open", "answered", "mttd_seconds", "mtta_seconds", "mttr_seconds",
    "median_to_acknowledge_seconds", "median_to_resolve_seconds",
)  # fmt: skip


class _Reliability(PageView):
    """What the page and its file have in common."""

    permissions = ("alerts.view_incident",)

    def asked(self) -> tuple[int, str]:
        """Return how many months and which severity the address asks for; what makes no sense is left out."""
        months, severity = self.request.GET.get("months", ""), self.request.GET.get("severity", "")
        return (
            int(months) if months in {str(number) for number in MONTHS} else MONTHS[1],
            severity if severity in Severity.values else "",
        )

    def window(self, months: int, now: datetime) -> Window:
        """Return so many calendar months up to now, the current one included."""
        start = calendar_period("monthly", now, settings.ORGANISATION_ZONE).start
        for _ in range(months - 1):
            start = calendar_period("monthly", start - timedelta(hours=12), settings.ORGANISATION_ZONE).start
        return Window(start, now)


@page
class ReliabilityPage(_Reliability):
    """MTTA and MTTR by month and severity."""

    path = "alerts/reliability/"
    name = "alerts_reliability"
    title = "Reliability"
    menu_section = INCIDENTS
    menu_icon = "monitoring"
    menu_order = 60
    template_name = "admin/alerts/reliability.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return figures, a chart and a table whose rows lead to their incidents."""
        months, severity = self.asked()
        now, zone = timezone.now(), settings.ORGANISATION_ZONE
        window = self.window(months, now)
        rows = reliability.by_month(window, zone, severity=severity)
        context = {
            "months": months,
            "severity": severity,
            "month_choices": MONTHS,
            "severity_choices": Severity.choices,
            "figures": _figures(reliability.figures(reliability.incidents_in(window, severity=severity))),
            "chart": _chart([row for row in rows if not row.severity]),
            "rows": [_shown(row, zone, severity) for row in rows],
            "query": urlencode({"months": months, "severity": severity}),
            "any": bool(rows),
        }
        return {**super().get_context_data(**kwargs), **context}


@page
class ReliabilityExport(_Reliability):
    """The table of the reliability page as a file."""

    path = "alerts/reliability/export/<str:file_format>/"
    name = "alerts_reliability_export"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, file_format: str) -> HttpResponseBase:
        """Answer with the file; the export is audited."""
        if file_format not in {"csv", "xlsx"}:
            raise Http404("files are CSV or XLSX")
        months, severity = self.asked()
        now = timezone.now()
        rows = reliability.by_month(self.window(months, now), settings.ORGANISATION_ZONE, severity=severity)
        query = {"months": months, "severity": severity, "format": file_format}
        audit.record("incident.reliability_exported", ("alerts.incident", "*"), now=now, after=query)
        name = f'attachment; filename="reliability-{timezone.localdate(now):%Y-%m-%d}.{file_format}"'
        return as_file(HEADINGS, [_exported(row) for row in rows], file_format, name, "Reliability")


def _figures(found: reliability.Figures) -> list[Figure]:
    return [
        Figure("Incidents", str(found.incident_count), f"{found.open_count} open"),
        Figure("Mean time to detect", words(found.mttd), "opened, since it began"),
        Figure("Mean time to acknowledge", words(found.mtta), f"median {words(found.median_to_acknowledge)}"),
        Figure("Mean time to resolve", words(found.mttr), f"median {words(found.median_to_resolve)}"),
    ]


def _chart(rows: list[Row]) -> Chart:
    def minutes(length: timedelta | None) -> Any:
        return None if length is None else round(length.total_seconds() / 60, 1)

    series = [
        Series("Mean time to acknowledge", [minutes(row.figures.mtta) for row in rows]),
        Series("Mean time to resolve", [minutes(row.figures.mttr) for row in rows]),
    ]
    return Chart("By month of opening", "bar", [row.month for row in rows], series, unit="minutes")


def _shown(row: Row, zone: ZoneInfo, severity: str) -> dict[str, Any]:
    year, month = (int(part) for part in row.month.split("-"))
    window = calendar_period("monthly", datetime(year, month, 15, tzinfo=zone), zone)
    chosen = row.severity or severity
    query = {"opened_at__gte": window.start.isoformat(), "opened_at__lt": window.end.isoformat()}
    query |= {"severity__exact": chosen} if chosen else {}
    found = row.figures
    return {
        "month": row.month,
        "severity": Severity(row.severity).label if row.severity else "All",
        "is_total": not row.severity,
        "link": f"{reverse('admin:alerts_incident_changelist')}?{urlencode(query)}",
        "cells": (
            str(found.incident_count), str(found.answered_count), words(found.mtta),
            words(found.median_to_acknowledge), words(found.mttr), words(found.median_to_resolve),
        ),
    }  # fmt: skip


def _exported(row: Row) -> tuple[object, ...]:
    found = row.figures
    lengths = (found.mttd, found.mtta, found.mttr, found.median_to_acknowledge, found.median_to_resolve)
    seconds = tuple(None if length is None else round(length.total_seconds(), 3) for length in lengths)
    counts = (found.incident_count, found.open_count, found.answered_count)
    return (row.month, row.severity or "all", *counts, *seconds)
