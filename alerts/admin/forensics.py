"""The forensic view: everything one person, key or address did, on one line of time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from alerts.admin.sections import THREATS
from alerts.services import forensics
from core import audit, exports
from core.adminkit import PageView, grouped, page
from core.errors import Refusal
from core.ports.panels import Figure
from core.windows import Window, midnight

VIEW = "alerts.view_securityevent"
SHOWN = 200
PERIODS = {"24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days", "90d": "Last 90 days"}
SPANS = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HEADINGS = ("at", "record", "what", "outcome", "actor", "address", "detail", "request id")


class _Asked:
    """What the address of the page asks for."""

    def __init__(self, request: HttpRequest, now: datetime) -> None:
        given = request.GET
        self.kind = next((kind for kind in forensics.KINDS if given.get(kind)), "")
        self.value = given.get(self.kind, "") if self.kind else ""
        self.word = given.get("word", "").strip()[:40]
        self.about = given.get("about") == "on"
        self.first, self.last = given.get("from", ""), given.get("to", "")
        self.period = given.get("period", "7d") if given.get("period", "7d") in SPANS else "7d"
        self.window = self._window(now)

    def _window(self, now: datetime) -> Window:
        zone = settings.ORGANISATION_ZONE
        try:
            begin, end = date.fromisoformat(self.first), date.fromisoformat(self.last or self.first)
        except ValueError:
            self.first = self.last = ""
            return Window(now - timedelta(days=SPANS[self.period]), now + timedelta(seconds=1))
        begin, end = min(begin, end), max(begin, end)
        return Window(midnight(begin, zone), midnight(end + timedelta(days=1), zone))

    def query(self, **changes: str) -> str:
        """Return the address of the same question, with changes."""
        own = {self.kind: self.value} if self.kind else {}
        days = {"from": self.first, "to": self.last} if self.first else {"period": self.period}
        rest = {"word": self.word, "about": "on" if self.about else ""}
        wanted = {**own, **days, **rest, **changes}
        return urlencode({name: value for name, value in wanted.items() if value})


@page
class ForensicsPage(PageView):
    """The timeline of one actor, with the ways to whatever it touches."""

    path = "alerts/forensics/"
    name = "alerts_forensics"
    title = "Who did what"
    subtitle = "Security events and the audit log on one line of time"
    permissions = (VIEW,)
    menu_section = THREATS
    menu_icon = "frame_inspect"
    menu_order = 62
    template_name = "admin/alerts/forensics.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the timeline, or what is wrong with the question."""
        asked = _Asked(self.request, timezone.now())
        context = {**super().get_context_data(**kwargs), "asked": asked, "periods": PERIODS, "kinds": forensics.KINDS}
        if not asked.kind:
            return context
        try:
            subject = forensics.subject_of(asked.kind, asked.value)
        except Refusal as refusal:
            return {**context, "refusal": refusal.detail}
        looked = forensics.timeline(subject, asked.window, limit=SHOWN, about=asked.about, word=asked.word)
        return {
            **context,
            "subject": subject,
            "looked": looked,
            "lines": [(line, _actor_link(asked, line)) for line in looked.lines],
            "figures": _figures(subject, asked, looked),
            "query": asked.query(),
            "older": _older(asked, looked),
        }


@page
class ForensicsExport(PageView):
    """The same timeline as a file, every line of it."""

    path = "alerts/forensics/export/<str:file_format>/"
    name = "alerts_forensics_export"
    permissions = (VIEW,)
    http_method_names = ["post"]

    def post(self, request: HttpRequest, file_format: str) -> HttpResponseBase:
        """Answer with the lines that the address asks for; that they were taken is audited."""
        asked = _Asked(request, timezone.now())
        if file_format not in {"csv", "xlsx"}:
            raise Http404("files are CSV or XLSX")
        try:
            subject = forensics.subject_of(asked.kind, asked.value)
        except Refusal as refusal:
            raise Http404(refusal.detail) from refusal
        after = {"format": file_format, "query": asked.query()}
        audit.record("forensics.exported", ("alerts.securityevent", "*"), now=timezone.now(), after=after)
        lines = forensics.every_line(subject, asked.window, about=asked.about, word=asked.word)
        rows = (_cells(line) for line in lines)
        name = f'attachment; filename="who-did-what-{timezone.localdate():%Y-%m-%d}.{file_format}"'
        if file_format == "csv":
            return StreamingHttpResponse(
                exports.csv_lines(HEADINGS, rows),
                content_type="text/csv; charset=utf-8",
                headers={"Content-Disposition": name},
            )
        file = io.BytesIO()
        exports.write_xlsx(file, HEADINGS, rows, title="Who did what")
        return HttpResponse(file.getvalue(), content_type=XLSX_TYPE, headers={"Content-Disposition": name})


def _cells(line: forensics.Line) -> Sequence[object]:
    return (
        line.at, line.source, line.what, line.outcome, line.actor, line.address, line.detail, line.request_id,
    )  # fmt: skip


def _figures(subject: forensics.Subject, asked: _Asked, looked: forensics.Looked) -> list[Figure]:
    events = f"{reverse('admin:alerts_securityevent_changelist')}?{urlencode({'q': subject.search})}"
    found = [
        Figure("Security events", f"{looked.event_count:,}", "in this window", events),
        Figure("Audit entries", f"{looked.entry_count:,}", "in this window"),
    ]
    spent = forensics.spend(subject, asked.window)
    if spent is not None:
        found.append(Figure("Recorded costs", f"{grouped(spent)} {settings.BASE_CURRENCY}", "by this key"))
    return found


def _actor_link(asked: _Asked, line: forensics.Line) -> str:
    """Return the way to the address of a line, from a person's or key's timeline; none from an address's own."""
    return f"?{urlencode({'address': line.address, 'period': asked.period})}" if line.address else ""


def _older(asked: _Asked, looked: forensics.Looked) -> str:
    """Return the question that ends on the day of the last line shown."""
    if not looked.more:
        return ""
    last = timezone.localtime(looked.lines[-1].at, settings.ORGANISATION_ZONE).date()
    begin = timezone.localtime(asked.window.start, settings.ORGANISATION_ZONE).date()
    if asked.last == last.isoformat():
        last = max(begin, last - timedelta(days=1))
    return asked.query(**{"from": begin.isoformat(), "to": last.isoformat(), "period": ""})
