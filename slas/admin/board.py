"""The board of all objectives, and the measured buckets behind a number."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from core.adminkit import PageView, page
from core.ports.panels import Figure
from core.templatetags.components import progress_bar
from core.windows import Window
from slas import buckets
from slas.admin.sections import OBJECTIVES
from slas.admin.words import CHIPS, TONES, percent, window_text
from slas.announcing import words
from slas.choices import SloState
from slas.models import Service, Sli, Slo, SloSnapshot, SloStatus

DAYS = 30
MOST = 200
MOST_ROWS = 1_500
SNIPPET = """curl -X POST {url}/api/v1/slas/services \\
  -H "Authorization: Bearer $AGENT_FACTORY_KEY" -H "Content-Type: application/json" \\
  -d '{"slug": "my-agent", "name": "My agent"}'"""


@page
class SloBoard(PageView):
    """Every objective on one page: budget left, burn, the last thirty days."""

    path = "slas/board/"
    name = "slas_board"
    title = "SLO board"
    subtitle = "Error budgets, how fast they burn, and the last thirty days"
    permissions = ("slas.view_slo",)
    menu_section = OBJECTIVES
    menu_icon = "dashboard"
    menu_order = 5
    template_name = "admin/slas/board.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the objectives that pass the filters, the ones with the least budget first."""
        asked = self.request.GET
        state, service = asked.get("state", ""), asked.get("service", "")
        rows = SloStatus.objects.filter(slo__enabled=True).select_related("slo__service")
        states = Counter(rows.values_list("state", flat=True))
        rows = rows.filter(state=state) if state in SloState.values else rows
        rows = rows.filter(slo__service__slug=service) if service else rows
        shown = sorted(rows.order_by("slo")[:MOST], key=lambda row: (-(row.consumed or -1), str(row.slo)))
        days = _days([row.slo_id for row in shown])
        return {
            **super().get_context_data(**kwargs),
            "figures": _figures(states),
            "cards": [_card(row, days.get(row.slo_id, [])) for row in shown],
            "states": [(value, label, value == state) for value, label in SloState.choices],
            "services": [(slug, name, slug == service) for slug, name in _services()],
            "filtered": bool(state or service),
            "ever": Slo.objects.exists(),
            "most": MOST,
            "snippet": SNIPPET.replace("{url}", self.request.build_absolute_uri("/").rstrip("/")),
            "add_link": reverse("admin:slas_service_add"),
        }


@page
class SliRows(PageView):
    """The buckets behind a figure of an indicator."""

    path = "slas/sli-rows/<uuid:sli_id>/"
    name = "slas_sli_rows"
    title = "What was measured"
    permissions = ("slas.view_sli",)
    template_name = "admin/slas/sli_rows.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the buckets of the window that the address names, of a resolution that fits on a page."""
        sli = Sli.objects.select_related("service").filter(pk=kwargs["sli_id"]).first()
        window = _window(self.request.GET.get("from", ""), self.request.GET.get("to", ""))
        if sli is None or window is None:
            raise Http404("there are no such rows")
        length = window.length
        resolution = 60 if length <= timedelta(hours=25) else 3600 if length <= timedelta(days=60) else 86_400
        rows = buckets.rows(sli, window, resolution)
        counted = buckets.counts([sli], [window])[sli.pk, window]
        return {
            **super().get_context_data(**kwargs),
            "sli": sli,
            "sli_link": reverse("admin:slas_sli_change", args=[sli.pk]),
            "window": window,
            "step": words(resolution),
            "counted": counted,
            "rows": [
                {"at": datetime.fromtimestamp(row.start, tz=UTC), "good": row.numbers.good, "total": row.numbers.total,
                 "bad": row.numbers.total - row.numbers.good, "excluded": row.numbers.excluded_total}
                for row in rows[-MOST_ROWS:][::-1]
            ],
            "more": max(0, len(rows) - MOST_ROWS),
        }  # fmt: skip


def _figures(states: Counter[str]) -> list[Figure]:
    board = reverse("admin:slas_board")
    return [Figure("Objectives", f"{sum(states.values()):,}", "evaluated every minute", board)] + [
        Figure(label.capitalize(), f"{states[value]:,}", "", f"{board}?state={value}",
               TONES[value] if states[value] else "neutral")
        for value, label in SloState.choices
    ]  # fmt: skip


def _card(row: SloStatus, days: list[SloSnapshot]) -> dict[str, Any]:
    left = None if row.consumed is None else 1 - row.consumed
    shown = {3600, 21_600, 86_400}
    burns = sorted((int(seconds), rate) for seconds, rate in row.burn.items() if int(seconds) in shown)
    tracked = Counter(day.state for day in days)
    told = ", ".join(f"{tracked[value]} {label}" for value, label in SloState.choices if tracked[value])
    return {
        "slo": row.slo,
        "link": reverse("admin:slas_slo_change", args=[row.slo_id]),
        "state": row.state,
        "state_text": row.get_state_display(),
        "tone": TONES[row.state],
        "chip": CHIPS[row.state],
        "good": percent(row.sli, 4),
        "target": percent(row.slo.target, 6),
        "window": window_text(row.slo),
        "bar": None if row.consumed is None else progress_bar(row.consumed, 1, f"{percent(left)} of the budget left"),
        "burns": [(words(length), f"{float(rate):.2f}×" if rate is not None else "–") for length, rate in burns],
        "firing": _firing(row.firing),
        "days": days,
        "days_text": f"Last {len(days)} days: {told}" if days else "No day is over yet",
    }


def _firing(name: str) -> str:
    """Return a pair that fires in words: critical, 1 h and 5 min."""
    severity, _, minutes = name.partition(" ")
    long, _, short = minutes.partition("/")
    return f"{severity}, {words(int(long) * 60)} and {words(int(short) * 60)}" if short else ""


def _days(slos: list[UUID]) -> dict[UUID, list[SloSnapshot]]:
    found: dict[UUID, list[SloSnapshot]] = {}
    since = timezone.localdate() - timedelta(days=DAYS)
    for row in SloSnapshot.objects.filter(slo__in=slos, day__gte=since).order_by("day"):
        found.setdefault(row.slo_id, []).append(row)
    return found


def _services() -> list[tuple[str, str]]:
    return list(Service.objects.order_by("name").values_list("slug", "name")[:MOST])


def _window(start: str, end: str) -> Window | None:
    if not (start.isdecimal() and end.isdecimal() and len(start) <= 11 and len(end) <= 11 and int(start) < int(end)):
        return None
    return Window(datetime.fromtimestamp(int(start), tz=UTC), datetime.fromtimestamp(int(end), tz=UTC))
