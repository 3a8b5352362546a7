"""The cost explorer: where money goes, by any dimension, with every bar and row leading to exactly its events."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    QueryDict,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.utils import timezone

from core import audit, exports
from core.adminkit import PageView, page
from costs import explorer, reader
from costs.admin import explorer_parts as parts
from costs.admin.sections import COSTS
from costs.models import CostEvent
from costs.reader_links import SelectionError
from costs.reader_plan import Filters

XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
SNIPPET = """curl -X POST {url}/api/v1/financial/costs \\
  -H "Authorization: Bearer $AGENT_FACTORY_KEY" -H "Content-Type: application/json" \\
  -d '{"cost_type": "llm_api", "amount": "0.05", "entity_type": "agent", "entity_id": "my-agent"}'"""


class _ExplorerPage(PageView):
    """What the explorer's page, its file and its way to the events have in common."""

    permissions = ("costs.view_costevent",)

    def asked(self) -> explorer.View:
        """Read what is asked from the address; raises SelectionError."""
        return explorer.view(self.request.GET, timezone.now(), reader.organisation_zone())

    def explored(self, asked: explorer.View) -> explorer.Exploration:
        """Answer it."""
        return explorer.explore(asked, reader.organisation_zone())


@page
class ExplorerPage(_ExplorerPage):
    """Chart and table over a period, by any dimension."""

    path = "costs/explorer/"
    name = "costs_explorer"
    title = "Cost explorer"
    menu_section = COSTS
    menu_icon = "insights"
    menu_order = 10
    template_name = "admin/costs/explorer.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the answer, or the first step when nothing was ever recorded."""
        try:
            asked = self.asked()
        except SelectionError as error:
            messages.error(self.request, f"{str(error)[:1].upper()}{str(error)[1:]}.")
            asked = replace(self._default(), filters=Filters())
        found = self.explored(asked)
        context = {"view": asked, "found": found, "form": parts.form(asked), "why": parts.why(found)}
        if found.total.event_count:
            context |= {"figures": parts.figures(found), "chart": parts.chart(found), **parts.table(found)}
        else:
            context |= {"snippet": _snippet(self.request), "ever": _any_event()}
        return {**super().get_context_data(**kwargs), **context}

    def _default(self) -> explorer.View:
        return explorer.view(QueryDict(), timezone.now(), reader.organisation_zone())


@page
class ExplorerDrill(_ExplorerPage):
    """The way from a bar of the chart to its events."""

    path = "costs/explorer/rows/"
    name = "costs_explorer_rows"
    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Redirect to the events of the bar that the address names."""
        try:
            found = self.explored(self.asked())
        except SelectionError as error:
            raise Http404(str(error)) from error
        label, series = request.GET.get("bar", ""), request.GET.get("series", "")
        chosen = explorer.bar_selection(found, label, series, reader.organisation_zone())
        if chosen is None:
            raise Http404("there is no such bar")
        return HttpResponseRedirect(parts.events_link(chosen))


@page
class ExplorerExport(_ExplorerPage):
    """The table of the explorer as a file: every row, every digit."""

    path = "costs/explorer/export/<str:file_format>/"
    name = "costs_explorer_export"
    http_method_names = ["post"]

    def post(self, request: HttpRequest, file_format: str) -> HttpResponseBase:
        """Answer with the table that the address describes; the export is audited."""
        if file_format not in {"csv", "xlsx"}:
            raise Http404("files are CSV or XLSX")
        try:
            found = self.explored(self.asked())
        except SelectionError as error:
            raise Http404(str(error)) from error
        audit.record(
            "costs.explored",
            ("costs.costevent", "*"),
            now=timezone.now(),
            after={"format": file_format, "query": request.GET.urlencode()[:1000]},
        )
        headings, rows = parts.headings(found), parts.export_rows(found)
        name = f'attachment; filename="costs-{timezone.localdate():%Y-%m-%d}.{file_format}"'
        if file_format == "csv":
            lines = exports.csv_lines(headings, rows)
            return StreamingHttpResponse(
                lines, content_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
            )
        file = io.BytesIO()
        exports.write_xlsx(file, headings, rows, title="Costs")
        return HttpResponse(file.getvalue(), content_type=XLSX_TYPE, headers={"Content-Disposition": name})


def _any_event() -> bool:
    return CostEvent.objects.exists()


def _snippet(request: HttpRequest) -> str:
    return SNIPPET.replace("{url}", request.build_absolute_uri("/").rstrip("/"))
