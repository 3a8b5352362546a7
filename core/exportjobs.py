"""Long exports in the background: the same list, for the same person, into a file that only they can fetch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, QueryDict
from django.utils import timezone

from core import exports
from core.errors import Forbidden
from core.jobs import start_job
from core.ports.jobs import JobContext, JobKind, JobResult, job_kinds

KIND = "core.export_list"


def start_export(model_admin: Any, request: HttpRequest) -> UUID:
    """Start the job for the list as the request filters it, and return its id."""
    options = model_admin.opts
    job = start_job(
        KIND,
        now=timezone.now(),
        title=f"Export of {options.verbose_name_plural}",
        arguments={"model": options.label_lower, "query": request.GET.urlencode(), "user": str(request.user.pk)},
        requested_by=request.user if request.user.is_authenticated else None,
    )
    return job.pk


def export_list(context: JobContext, *, model: str, query: str, user: str) -> JobResult:
    """Write the list into an XLSX file; raises Forbidden when the person may not see it any more."""
    model_class = apps.get_model(model)
    model_admin: Any = admin.site._registry[model_class]
    request = _request(query, user)
    if not model_admin.has_export_permission(request):
        raise Forbidden("this person may not export the list any more")
    queryset = model_admin.export_queryset(request)
    headings, rows = model_admin.export_rows(request, queryset)
    total = queryset.order_by().count()
    file = context.file(f"{model_class._meta.model_name}-{timezone.localdate():%Y-%m-%d}.xlsx")
    count = exports.write_xlsx(
        file, headings, _reporting(context, rows, total), title=str(model_class._meta.verbose_name_plural)
    )
    return JobResult(summary=f"{count:,} rows", file=file.name)


def _request(query: str, user: str) -> HttpRequest:
    """Return a request as the person's browser would send it: the admin filters lists by requests."""
    request = HttpRequest()
    request.method = "GET"
    request.GET = QueryDict(query)
    request.user = get_user_model()._default_manager.get(pk=user)
    return request


def _reporting(context: JobContext, rows: Iterator[Sequence[object]], total: int) -> Iterator[Sequence[object]]:
    for number, row in enumerate(rows):
        if number % 1000 == 0:
            context.progress(number * 99 // max(total, 1), f"{number:,} of {total:,} rows")
        yield row


def register() -> None:
    """Offer the kind of job, and let lists use it."""
    from core.adminkit.export import use_jobs  # the admin kit loads models

    job_kinds.register(JobKind(KIND, "Export of a list", export_list, permission="core.view_job"))
    use_jobs(start_export)
