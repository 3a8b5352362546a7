"""Export of exactly the list a person sees: CSV at once, XLSX at once or, when it is long, as a job."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, StreamingHttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from core import audit, exports
from core.adminkit.theme import ThemeModelAdmin

_Model = TypeVar("_Model", bound=models.Model)

XLSX_AT_ONCE = 20_000
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

# Given by core.exportjobs: starts the job for (admin, request, query) and returns its id.
_start_job: list[Callable[[Any, HttpRequest], UUID]] = []


def use_jobs(start: Callable[[Any, HttpRequest], UUID]) -> None:
    """Say how a long export is started."""
    _start_job[:] = [start]


class ExportMixin(ThemeModelAdmin[_Model]):
    """Adds "Export CSV" and "Export XLSX" to a list.

    `export_fields` are field paths ("entity__entity_id"); by default all columns of the table except
    `export_exclude`. Who may view the list may export it; each export is written to the audit log.
    """

    export_fields: Sequence[str] = ()
    export_exclude: Sequence[str] = ("password", "digest")
    exportable = True

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Say whether this person may take the list away."""
        return self.exportable and self.has_view_permission(request)

    def get_export_fields(self, request: HttpRequest) -> list[str]:
        """Return the field paths of an export, in order."""
        if self.export_fields:
            return list(self.export_fields)
        return [field.attname for field in self.opts.concrete_fields if field.name not in self.export_exclude]

    def export_queryset(self, request: HttpRequest) -> models.QuerySet[_Model]:
        """Return the rows of the list as filtered, searched and sorted by the request."""
        rows: models.QuerySet[_Model] = self.get_changelist_instance(request).queryset
        return rows

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_export"
        view = self.admin_site.admin_view(self.export_view)
        return [path("export/<str:file_format>/", view, name=name), *super().get_urls()]

    def export_view(self, request: HttpRequest, file_format: str) -> HttpResponse | StreamingHttpResponse:
        """Answer a POST with the file, or start a job for it; the filters are in the address."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if file_format not in {"csv", "xlsx"}:
            raise Http404("files are CSV or XLSX")
        try:
            queryset = self.export_queryset(request)
        except IncorrectLookupParameters as error:
            raise Http404("the filters of this list do not exist") from error
        if file_format == "xlsx" and _start_job and queryset.order_by()[: XLSX_AT_ONCE + 1].count() > XLSX_AT_ONCE:
            job = _start_job[0](self, request)
            messages.info(request, "The list is long: the file is being written and will be offered on this page.")
            return redirect(reverse(f"{self.admin_site.name}:core_job_change", args=[job]))
        self._record_export(request, file_format)
        return self._csv(request, queryset) if file_format == "csv" else self._xlsx(request, queryset)

    def export_rows(
        self, request: HttpRequest, queryset: models.QuerySet[_Model]
    ) -> tuple[list[str], Iterator[Sequence[object]]]:
        """Return headings and rows; the rows are read from the database as they are asked for."""
        fields = self.get_export_fields(request)
        rows = queryset.select_related(None).prefetch_related(None).values_list(*fields)
        return [self._export_heading(field) for field in fields], rows.iterator(chunk_size=2000)

    def _export_heading(self, field_path: str) -> str:
        try:
            return self.opts.get_field(field_path).name if "__" not in field_path else field_path.replace("__", ".")
        except FieldDoesNotExist:
            return field_path

    def _record_export(self, request: HttpRequest, file_format: str) -> None:
        audit.record(
            "list.exported",
            (self.opts.label_lower, "*"),
            now=timezone.now(),
            after={"format": file_format, "query": request.GET.urlencode()[:1000]},
        )

    def _file_name(self, ending: str) -> str:
        return f'attachment; filename="{self.opts.model_name}-{timezone.localdate():%Y-%m-%d}.{ending}"'

    def _csv(self, request: HttpRequest, queryset: models.QuerySet[_Model]) -> StreamingHttpResponse:
        headings, rows = self.export_rows(request, queryset)
        answer = StreamingHttpResponse(exports.csv_lines(headings, rows), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = self._file_name("csv")
        return answer

    def _xlsx(self, request: HttpRequest, queryset: models.QuerySet[_Model]) -> HttpResponse:
        headings, rows = self.export_rows(request, queryset)
        file = io.BytesIO()
        exports.write_xlsx(file, headings, rows, title=str(self.opts.verbose_name_plural))
        answer = HttpResponse(file.getvalue(), content_type=XLSX_TYPE)
        answer["Content-Disposition"] = self._file_name("xlsx")
        return answer
