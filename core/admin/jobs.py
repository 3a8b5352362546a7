"""Long work: watched, cancelled, tried again, and its file fetched by who asked for it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import audit, jobs
from core.adminkit import Dialog, EmptyState, ReadOnlyModelAdmin, action, display, period_filter
from core.choices import JobStatus
from core.models import Job

STATUS_COLOURS = {
    JobStatus.QUEUED: "info",
    JobStatus.RUNNING: "primary",
    JobStatus.SUCCEEDED: "success",
    JobStatus.FAILED: "danger",
    JobStatus.CANCELLED: "warning",
}
CANCEL = Dialog(
    "Cancel this job", "Its worker stops at the next step; what it wrote so far is not used.", submit="Cancel it"
)
RETRY = Dialog("Try this job again", "It starts over from its beginning.", submit="Try again")


@admin.register(Job)
class JobAdmin(ReadOnlyModelAdmin[Job]):
    """One's own jobs; all of them for who runs the platform or reads its evidence."""

    list_display = ("title", "status_label", "progress_text", "requested_by", "created_at", "finished_at")
    list_filter = ("status", period_filter("created_at"))
    search_fields = ("title", "kind")
    list_select_related = ("requested_by",)
    ordering = ("-created_at", "-id")
    actions_detail = ("cancel", "retry")
    fields = (
        "progress_bar", "title", "kind", "status", "message", "error", "outcome", "attempt", "requested_by",
        "created_at", "started_at", "heartbeat_at", "finished_at", "arguments", "request_id",
    )  # fmt: skip
    readonly_fields = ("progress_bar", "outcome")
    menu_icon = "manufacturing"
    menu_order = 30
    empty_state = EmptyState(
        "No jobs yet", "Work that takes long, such as a large export, is listed here.", icon="manufacturing"
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs this person may see."""
        rows = super().get_queryset(request)
        everything = request.user.has_perm("core.change_job") or request.user.has_perm("core.view_auditentry")
        return rows if everything else rows.filter(requested_by=request.user.pk)

    def has_steer_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Say whether this person may cancel or retry: their own job, or any with the change permission."""
        if request.user.has_perm("core.change_job"):
            return True
        return obj is not None and obj.requested_by_id == request.user.pk

    def get_urls(self) -> list[URLPattern]:
        """Add the progress fragment and the result file."""
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:job_id>/progress/", wrap(self.progress_view), name="core_job_progress"),
            path("<uuid:job_id>/file/", wrap(self.file_view), name="core_job_file"),
            *super().get_urls(),
        ]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """Offer what the job's state allows; the service decides again when it is done."""
        offered: list[Any] = super().get_actions_detail(request, object_id)
        job = self.get_object(request, str(object_id))
        fitting = "cancel" if job is not None and job.status in jobs.OPEN else "retry"
        ended_well = job is not None and job.status == JobStatus.SUCCEEDED
        return [] if ended_well else [item for item in offered if item.action_name.endswith(fitting)]

    @action(description="Cancel", permissions=["steer"], dialog=CANCEL, icon="cancel", variant="danger")
    def cancel(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Cancel a waiting or running job."""
        jobs.cancel_job(self.get_queryset(request).get(pk=object_id), now=timezone.now())
        self.message_user(request, "The job was cancelled.")

    @action(description="Try again", permissions=["steer"], dialog=RETRY, icon="replay")
    def retry(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Queue a failed or cancelled job again."""
        jobs.retry_job(self.get_queryset(request).get(pk=object_id), now=timezone.now())
        self.message_user(request, "The job was queued again.")

    def progress_view(self, request: HttpRequest, job_id: Any) -> HttpResponse:
        """Answer the fragment with the job's progress; once it has ended, the page is loaded again as a whole."""
        job = self._visible(request, job_id)
        if request.headers.get("HX-Request") == "true" and job.status not in jobs.OPEN:
            return HttpResponse(headers={"HX-Refresh": "true"})
        address = reverse("admin:core_job_progress", args=[job.pk])
        context = {"job": job, "address": address, "live": job.status in jobs.OPEN}
        return TemplateResponse(request, "components/job_progress.html", context)

    def file_view(self, request: HttpRequest, job_id: Any) -> FileResponse:
        """Hand the result file to the person who asked for it, and to nobody else."""
        job = self._visible(request, job_id)
        if job.requested_by_id != request.user.pk:
            raise PermissionDenied
        file = _result_file(job)
        if file is None:
            raise Http404("this job wrote no file, or the file was removed")
        audit.record("job.file_fetched", job, now=timezone.now(), after={"file": file.name})
        return FileResponse(file.open("rb"), as_attachment=True, filename=file.name)

    def _visible(self, request: HttpRequest, job_id: Any) -> Job:
        job = self.get_queryset(request).filter(pk=job_id).first()
        if job is None:
            raise Http404("there is no such job")
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def status_label(self, obj: Job) -> str:
        """Return the status as a coloured word."""
        return obj.status

    @display(description="Progress", ordering="progress")
    def progress_text(self, obj: Job) -> str:
        """Return the progress in percent."""
        return f"{obj.progress} %"

    @display(description="Progress")
    def progress_bar(self, obj: Job) -> SafeString:
        """Return the bar, which keeps itself fresh while the job runs."""
        address = reverse("admin:core_job_progress", args=[obj.pk])
        live = obj.status in jobs.OPEN
        return render_to_string("components/job_progress.html", {"job": obj, "address": address, "live": live})

    @display(description="Result")
    def outcome(self, obj: Job) -> SafeString | str:
        """Return what came of the job, with its file and the file's SHA-256."""
        file = _result_file(obj)
        summary = str(obj.result.get("summary", "")) or "–"
        if file is None:
            return summary
        address = reverse("admin:core_job_file", args=[obj.pk])
        note = "SHA-256 {} · only who asked for it can fetch it"
        return format_html(
            '{}<br><a class="af-link" href="{}">{}</a><br><span class="af-note">' + note + "</span>",
            summary, address, file.name, sha256_of(file),
        )  # fmt: skip


def _result_file(job: Job) -> Path | None:
    name = str(job.result.get("file", ""))
    if not name or job.status != JobStatus.SUCCEEDED:
        return None
    file = jobs.result_folder(job) / Path(name).name
    return file if file.is_file() else None


def sha256_of(file: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read in pieces."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
