"""Reports: asked for, listed, downloaded, verified."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.db.models import Prefetch
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core import audit
from core.api.authentication import SessionIdentity, caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.moments import Moment
from core.api.pagination import CursorPage, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import FieldError, Invalid, Missing
from core.windows import Window
from slas.choices import ReportFormat
from slas.models import Report, ReportFile
from slas.reporting.files import CONTENT_TYPES
from slas.services import reports

TAG = "reports"
FILES = Prefetch("files", ReportFile.objects.defer("content"))
Kind = Literal["sla", "error_budgets", "slo_history", "owners"]


class NewReport(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which report, over which window (the end is not included), about what.

    `subject` is empty for everything, or customer:SLUG, contract:ID, service:SLUG, owner:NAME.
    """

    kind: Kind
    start: Moment
    end: Moment
    subject: Annotated[str, Meta(max_length=200)] = ""


class ReportAsked(msgspec.Struct, kw_only=True):
    """The report is being made; it is in the list once the job is done."""

    job_id: UUID
    status: Literal["queued"] = "queued"


class ReportFileState(msgspec.Struct, kw_only=True):
    """One file of a report and its SHA-256."""

    format: str
    sha256: str


class ReportState(msgspec.Struct, kw_only=True):
    """A report: what it is about, and the hashes of its frozen inputs and its files."""

    report_id: UUID
    kind: str
    title: str
    subject: str
    start: datetime
    end: datetime
    time_zone: str
    inputs_sha256: str
    created_at: datetime
    verified_at: datetime | None
    verified_intact: bool | None
    files: list[ReportFileState]


class ReportVerified(msgspec.Struct, kw_only=True):
    """Whether every byte is as it was made, and what is not."""

    report_id: UUID
    intact: bool
    differences: list[str]


class ReportQuery(PageQuery, kw_only=True):
    """Which reports are listed."""

    kind: Kind | None = None
    subject: str | None = None


class ReportList(WholeFleetView):
    """All reports."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation("list_reports", "List reports", query=ReportQuery, answers={200: CursorPage[ReportState]}, tag=TAG)
    def get(self, request: Request) -> HttpResponse:
        """Reports, the newest first."""
        wanted = query(request, ReportQuery)
        exact = {"kind": wanted.kind, "subject": wanted.subject}
        rows = Report.objects.defer("inputs").prefetch_related(FILES)
        rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
        return answer(paginate(request, rows, page=wanted, order=Order("created_at"), show=_shown))

    @operation("create_report", "Make a report", body=NewReport, answers={202: ReportAsked}, idempotent=True, tag=TAG)
    def post(self, request: Request) -> HttpResponse:
        """Start the job that makes a report; the same inputs give the report that is there already."""
        wanted = decode(request, NewReport)
        start, end = (moment.instant(settings.ORGANISATION_ZONE) for moment in (wanted.start, wanted.end))
        if end <= start:
            detail = "a report ends after it begins"
            raise Invalid(detail, errors=[FieldError("/end", "out_of_range", detail)])
        identity = caller(request)
        user: Any = identity.user if isinstance(identity, SessionIdentity) else None

        def begin(now: datetime) -> HttpResponse:
            job = reports.start(wanted.kind, wanted.subject, Window(start, end), now=now, requested_by=user)
            return answer(ReportAsked(job_id=job.pk), 202)

        return idempotent(request, begin)


class ReportDetail(WholeFleetView):
    """One report."""

    required_scopes = {"GET": "slas:read"}

    @operation("get_report", "Read a report", answers={200: ReportState}, tag=TAG)
    def get(self, request: Request, report_id: UUID) -> HttpResponse:
        """What a report is about, and its hashes."""
        report = Report.objects.defer("inputs").prefetch_related(FILES).filter(pk=report_id).first()
        if report is None:
            raise Missing("there is no such report")
        return answer(_shown(report))


class ReportVerify(WholeFleetView):
    """The hashes of a report, compared again."""

    required_scopes = {"POST": "slas:read"}

    @operation("verify_report", "Verify a report", answers={200: ReportVerified}, idempotent=True, tag=TAG)
    def post(self, request: Request, report_id: UUID) -> HttpResponse:
        """Compare the frozen inputs and every file with their hashes."""

        def compare(now: datetime) -> HttpResponse:
            found = reports.verify(report_id, now=now)
            return answer(ReportVerified(report_id=report_id, intact=found.intact, differences=list(found.differences)))

        return idempotent(request, compare)


class ReportDownload(WholeFleetView):
    """One file of a report."""

    required_scopes = {"GET": "slas:read"}

    @operation(
        "download_report",
        "Download a report's file",
        answers={200: {"application/pdf": bytes, "text/html": bytes, "text/csv": bytes, "application/json": bytes}},
        tag=TAG,
    )
    def get(self, request: Request, report_id: UUID, file_format: str) -> HttpResponse:
        """The bytes that were kept: html, pdf, csv, or json, which is the frozen inputs."""
        file = ReportFile.objects.select_related("report").filter(report=report_id, file_format=file_format).first()
        if file is None:
            raise Missing("the report has no such file; there are html, pdf, csv and json")
        audit.record("report.downloaded", file.report, now=timezone.now(), after={"format": file_format})
        response = HttpResponse(bytes(file.content), content_type=CONTENT_TYPES[ReportFormat(file_format)])
        response["Content-Disposition"] = f'attachment; filename="report-{str(report_id)[:8]}.{file_format}"'
        response["ETag"] = f'"{file.sha256}"'
        return response


def _shown(report: Report) -> ReportState:
    return ReportState(
        report_id=report.pk,
        kind=report.kind,
        title=report.title,
        subject=report.subject,
        start=report.window_start,
        end=report.window_end,
        time_zone=report.time_zone,
        inputs_sha256=report.inputs_sha256,
        created_at=report.created_at,
        verified_at=report.verified_at,
        verified_intact=report.verified_intact,
        files=[ReportFileState(format=file.file_format, sha256=file.sha256) for file in report.files.all()],
    )
