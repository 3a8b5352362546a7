"""Reports in the admin: made, read, printed, downloaded and verified."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import audit
from core.adminkit import (
    ChoicesDropdownFilter,
    Dialog,
    DialogForm,
    EmptyState,
    ReadOnlyModelAdmin,
    Select,
    action,
    display,
    period_filter,
)
from core.ports.panels import Figure, Table
from core.windows import Window, midnight
from slas.admin.sections import CONTRACTS
from slas.choices import ReportFormat, ReportKind
from slas.models import Customer, Report, ReportFile, Service, SLAContract
from slas.reporting import document
from slas.reporting.files import CONTENT_TYPES
from slas.services import reports

# A stored page is shown as it was made, and may run or ask for nothing.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox allow-modals"


class ReportForm(DialogForm):
    """Which report, about what, over which days."""

    kind = forms.ChoiceField(choices=ReportKind.choices, widget=Select)
    subject = forms.ChoiceField(required=False, widget=Select, label="About")
    first_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}))
    last_day = forms.DateField(widget=forms.DateInput(attrs={"type": "date", "class": "af-input"}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["subject"].choices = [("", "Everything"), *_subjects()]
        today = timezone.localdate()
        last = today.replace(day=1) - timedelta(days=1)
        self.fields["first_day"].initial, self.fields["last_day"].initial = last.replace(day=1), last

    def window(self) -> Window:
        """Return the days in the organisation's time zone."""
        zone = ZoneInfo(settings.ORGANISATION_TIME_ZONE)
        given = self.cleaned_data
        return Window(midnight(given["first_day"], zone), midnight(given["last_day"] + timedelta(days=1), zone))

    def clean(self) -> dict[str, Any]:
        """Refuse days in the wrong order."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if {"first_day", "last_day"} <= set(cleaned) and cleaned["last_day"] < cleaned["first_day"]:
            self.add_error("last_day", "The last day is before the first.")
        return cleaned


def _subjects() -> list[tuple[str, str]]:
    customers = [(f"customer:{row.slug}", f"Customer {row.name}") for row in Customer.objects.order_by("name")[:500]]
    contracts = [
        (f"contract:{row.pk}", f"Contract {row}") for row in SLAContract.objects.select_related("customer")[:500]
    ]
    services = Service.objects.order_by("name")[:500]
    owners = sorted({row.owner for row in services if row.owner})
    return [
        *customers,
        *contracts,
        *((f"service:{row.slug}", f"Service {row.name}") for row in services),
        *((f"owner:{name}", f"Owner {name}") for name in owners),
    ]


@admin.register(Report)
class ReportAdmin(ReadOnlyModelAdmin[Report]):
    """What was reported: frozen inputs, their hash, and the files."""

    list_display = ("title", "window", "created_at", "created_by", "intact")
    list_filter = (("kind", ChoicesDropdownFilter), period_filter("created_at"))
    search_fields = ("title", "subject", "inputs_sha256")
    ordering = ("-created_at", "-id")
    fields = (
        "title", "kind", "subject", "window_start", "window_end", "time_zone", "digest", "layout", "created_at",
        "created_by", "verified_at", "verified_intact",
    )  # fmt: skip
    readonly_fields = ("digest",)
    export_exclude = ("inputs",)
    actions_list = ("make",)
    actions_detail = ("print_view", "pdf", "csv", "json_file", "verify")
    change_form_before_template = "admin/slas/report_page.html"
    menu_icon = "summarize"
    menu_section = CONTRACTS
    menu_order = 40
    empty_state = EmptyState(
        "No reports yet",
        "The reports of a month are made on the fifth of the next one; “Make a report” makes any other.",
        icon="summarize",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Report]:
        """Leave the inputs out of lists; they are long."""
        rows = super().get_queryset(request)
        return rows.defer("inputs") if request.resolver_match and not request.resolver_match.kwargs else rows

    @display(description="SHA-256 of the inputs")
    def digest(self, report: Report) -> SafeString:
        """The hash, which may be broken over lines where there is little room."""
        return format_html('<code style="overflow-wrap: anywhere">{}</code>', report.inputs_sha256)

    @display(description="Window", ordering="window_start")
    def window(self, report: Report) -> str:
        """The days it covers."""
        zone = ZoneInfo(report.time_zone)
        last = report.window_end - timedelta(microseconds=1)
        return f"{report.window_start.astimezone(zone):%Y-%m-%d} – {last.astimezone(zone):%Y-%m-%d}"

    @display(description="Verified", label={"Intact": "success", "Changed": "danger", "Not yet": "info"})
    def intact(self, report: Report) -> str:
        """What the last comparison of the hashes said."""
        return {True: "Intact", False: "Changed", None: "Not yet"}[report.verified_intact]

    def details(self, obj: Report) -> dict[str, Any]:
        """Return the document, laid out of the frozen inputs."""
        laid_out = document(json.loads(obj.inputs))
        return {
            "report_subtitle": laid_out.subtitle,
            "report_figures": [Figure(label, value) for label, value in laid_out.facts],
            "report_sections": [
                (section.text, Table(section.title, section.headings, [(row, "") for row in section.rows]))
                for section in laid_out.sections
            ],
            "report_files": obj.files.defer("content").order_by("file_format"),
        }

    def get_urls(self) -> list[URLPattern]:
        """Add the files."""
        view = self.admin_site.admin_view(self.file_view)
        return [path("<uuid:report_id>/file/<str:file_format>/", view, name="slas_report_file"), *super().get_urls()]

    def file_view(self, request: HttpRequest, report_id: Any, file_format: str) -> HttpResponse:
        """Hand out one file: HTML to look at and print, the others to keep."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        file = ReportFile.objects.filter(report=report_id, file_format=file_format).first()
        if file is None:
            raise Http404("the report has no such file")
        answer = HttpResponse(bytes(file.content), content_type=CONTENT_TYPES[ReportFormat(file_format)])
        kind = "inline" if file_format == ReportFormat.HTML else "attachment"
        answer["Content-Disposition"] = f'{kind}; filename="report-{str(report_id)[:8]}.{file_format}"'
        answer["Content-Security-Policy"] = POLICY
        audit.record("report.downloaded", file.report, now=timezone.now(), after={"format": file_format})
        return answer

    def has_make_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may make reports."""
        return request.user.has_perm("slas.add_report")

    @action(
        description="Make a report",
        permissions=["make"],
        icon="post_add",
        url_path="make",
        dialog=Dialog("Make a report", "You can watch it being made, or leave meanwhile.", ReportForm, "Make it"),
    )
    def make(self, request: HttpRequest, form: ReportForm) -> HttpResponse:
        """Start the job that makes it, and show its progress."""
        given = form.cleaned_data
        now: datetime = timezone.now()
        user: Any = request.user
        job = reports.start(given["kind"], given["subject"], form.window(), now=now, requested_by=user)
        return redirect(reverse("admin:core_job_change", args=[job.pk]))

    @action(description="Print view", permissions=["view"], safe=True, icon="print", attrs={"target": "_blank"})
    def print_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the page that stands alone."""
        return self._to(object_id, ReportFormat.HTML)

    @action(description="PDF", permissions=["view"], safe=True, icon="picture_as_pdf", url_path="pdf")
    def pdf(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Hand out the PDF."""
        return self._to(object_id, ReportFormat.PDF)

    @action(description="CSV", permissions=["view"], safe=True, icon="csv", url_path="csv")
    def csv(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Hand out the table as CSV."""
        return self._to(object_id, ReportFormat.CSV)

    @action(description="JSON", permissions=["view"], safe=True, icon="data_object", url_path="json")
    def json_file(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Hand out the frozen inputs."""
        return self._to(object_id, ReportFormat.JSON)

    @action(
        description="Verify",
        permissions=["view"],
        icon="verified",
        url_path="verify",
        dialog=Dialog("Verify the report", "Compares the inputs and every file with their hashes.", submit="Verify"),
    )
    def verify(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Compare every hash anew."""
        found = reports.verify(self.opts.pk.to_python(object_id), now=timezone.now())
        if found.intact:
            self.message_user(request, "Every byte is as it was made.", messages.SUCCESS)
        else:
            self.message_user(request, f"Not as it was made: {'; '.join(found.differences)}.", messages.ERROR)

    def _to(self, object_id: str, file_format: str) -> HttpResponse:
        return redirect(reverse("admin:slas_report_file", args=[object_id, file_format]))
