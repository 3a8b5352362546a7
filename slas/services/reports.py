"""Reports are made as jobs, frozen, downloaded and verified."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from core import audit
from core.context import current
from core.errors import FieldError, Invalid, Missing
from core.jobs import start_job
from core.models import Job
from core.windows import Window, calendar_period
from slas.choices import ReportKind
from slas.models import Customer, Report, ReportFile
from slas.reporting import LAYOUT, canonical, document, files_of, gather, sha256, subject_name

JOB = "slas.report"


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether everything is as it was made, and what is not."""

    intact: bool
    differences: tuple[str, ...]


def start(kind: str, subject: str, window: Window, *, now: datetime, requested_by: User | None = None) -> Job:
    """Start the job that makes a report. Raises Invalid for an unknown kind or subject or a senseless window."""
    if kind not in ReportKind.values:
        detail = f"a report is one of {', '.join(ReportKind.values)}"
        raise Invalid(detail, errors=[FieldError("/kind", "not_a_choice", detail)])
    if window.length.days > 367 or not window.length:
        detail = "a report covers up to a year, and ends after it begins"
        raise Invalid(detail, errors=[FieldError("/end", "out_of_range", detail)])
    name = subject_name(subject) or "everything"
    arguments = {
        "kind": kind, "subject": subject, "start": window.start.isoformat(), "end": window.end.isoformat(),
    }  # fmt: skip
    title = f"{ReportKind(kind).label}: {name}"
    return start_job(JOB, now=now, arguments=arguments, title=title, requested_by=requested_by)


def _unwatched(percent: int, message: str) -> None:
    """Take no notice: nobody watches."""


def make(
    kind: str,
    subject: str,
    window: Window,
    *,
    now: datetime,
    progress: Callable[[int, str], None] = _unwatched,
) -> Report:
    """Gather, freeze and lay out a report and keep its files; the same inputs give the report that is there."""
    progress(5, "Reading")
    inputs = gather(kind, subject, window)
    text = canonical(inputs)
    digest = sha256(text)
    named = {
        "kind": kind, "subject": subject, "window_start": window.start, "window_end": window.end,
        "inputs_sha256": digest,
    }  # fmt: skip
    known = Report.objects.filter(**named).first()
    if known is not None:
        return known
    progress(40, "Laying out")
    laid_out = document(inputs)
    files = files_of(laid_out, text, digest)
    progress(90, "Keeping")
    try:
        with transaction.atomic():
            return _keep(Report(title=laid_out.title[:300], inputs=text, **named), files, now)
    except IntegrityError:
        # Another worker has made the same report just now.
        return Report.objects.get(**named)


def verify(report_id: UUID, *, now: datetime) -> Verification:
    """Compare the inputs and every file with their hashes; the outcome is kept with the report and audited."""
    report = Report.objects.filter(pk=report_id).first()
    if report is None:
        raise Missing("there is no such report")
    differences = list(_differences(report))
    intact = not differences
    with transaction.atomic():
        Report.objects.filter(pk=report.pk).update(verified_at=now, verified_intact=intact)
        audit.record("report.verified", report, now=now, after={"intact": intact, "differences": differences})
    return Verification(intact, tuple(differences))


def monthly(*, now: datetime) -> int:
    """Start the reports of the calendar month that has ended, one per customer and three about everything.

    One that exists for the month already is not started again; return how many were.
    """
    zone = ZoneInfo(settings.ORGANISATION_TIME_ZONE)
    this = calendar_period("monthly", now, zone)
    window = calendar_period("monthly", this.start - timedelta(days=1), zone)
    customers = Customer.objects.filter(contracts__isnull=False).distinct().order_by("slug")
    wanted = [(ReportKind.SLA, f"customer:{slug}") for slug in customers.values_list("slug", flat=True)]
    wanted += [(kind, "") for kind in ReportKind if kind != ReportKind.SLA]
    made = set(Report.objects.filter(window_start=window.start, window_end=window.end).values_list("kind", "subject"))
    due = [item for item in wanted if (str(item[0]), item[1]) not in made]
    for kind, subject in due:
        start(kind, subject, window, now=now)
    return len(due)


def _keep(report: Report, files: dict[str, tuple[bytes, str]], now: datetime) -> Report:
    report.time_zone = settings.ORGANISATION_TIME_ZONE
    report.layout, report.created_at, report.created_by = LAYOUT, now, current().actor.label
    report.save()
    ReportFile.objects.bulk_create(
        ReportFile(report=report, file_format=name, content=content, sha256=sha256(content), made_with=made_with)
        for name, (content, made_with) in files.items()
    )
    after = {"inputs_sha256": report.inputs_sha256, "kind": report.kind, "subject": report.subject}
    audit.record("report.made", report, now=now, after=after)
    return report


def _differences(report: Report) -> list[str]:
    found = [] if sha256(report.inputs) == report.inputs_sha256 else ["the inputs are not those of the hash"]
    try:
        if canonical(json.loads(report.inputs)) != report.inputs:
            found.append("the inputs are not in their canonical form")
    except (ValueError, TypeError):
        found.append("the inputs are no JSON")
    for file in report.files.all():
        content = bytes(file.content)
        if sha256(content) != file.sha256:
            found.append(f"the {file.get_file_format_display()} file is not that of its hash")
        elif file.file_format == "json" and content.decode(errors="replace") != report.inputs:
            found.append("the JSON file does not hold the inputs")
    return found
