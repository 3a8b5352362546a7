"""What contracts, reports and status pages offer to the platform: schedules, jobs, personal data."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.apps import AppConfig

from core.ports.jobs import JobContext, JobKind, JobResult, job_kinds
from core.ports.privacy import PersonalData, Subject, personal_data
from core.ports.schedules import Schedule, schedules


def register_contracts(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    for schedule in _SCHEDULES:
        schedules.register(schedule)
    job_kinds.register(JobKind("slas.report", "Make a report", make_report, "slas.add_report"))
    personal_data.register(_CONTACTS)


def make_report(context: JobContext, *, kind: str, subject: str, start: str, end: str) -> JobResult:
    """Freeze the inputs of a report and write its files; safe to start over, the same inputs give the same report."""
    from django.urls import reverse
    from django.utils import timezone

    from core.windows import Window
    from slas.services.reports import make

    window = Window(datetime.fromisoformat(start), datetime.fromisoformat(end))
    report = make(kind, subject, window, now=timezone.now(), progress=context.progress)
    return JobResult(f"“{report.title}” is ready.", link=reverse("admin:slas_report_change", args=[report.pk]))


def export_contacts(subject: Subject) -> Iterable[dict[str, object]]:
    """Yield the customers whose contact a person is, by e-mail address."""
    from slas.models import Customer

    for customer in Customer.objects.filter(contact_email__iexact=subject.identifier).order_by("pk"):
        yield {
            "customer": customer.name,
            "contact_name": customer.contact_name,
            "contact_email": customer.contact_email,
        }


def erase_contacts(subject: Subject) -> int:
    """Take a person's name and address off every customer; the customer and its contracts stay."""
    from django.utils import timezone

    from slas.services.customers import erase_contact

    return erase_contact(subject.identifier, now=timezone.now())


_SCHEDULES = (
    Schedule(
        "slas.close_periods",
        "slas.tasks.close_periods",
        "Judges the running periods of contracts and closes those whose time has come.",
        every=timedelta(minutes=10),
    ),
    Schedule(
        "slas.monthly_reports",
        "slas.tasks.monthly_reports",
        "Makes the reports of the month that has ended.",
        crontab="15 5 5 * *",
    ),
    Schedule(
        "slas.propose_incidents",
        "slas.tasks.propose_incidents",
        "Writes down proposals for status pages from conditions, and marks those whose condition is over.",
        every=timedelta(minutes=1),
    ),
)

_CONTACTS = PersonalData(
    name="slas.contacts",
    description="Contact persons of customers with a contract.",
    columns=("slas_customer.contact_name", "slas_customer.contact_email"),
    export=export_contacts,
    erase=erase_contacts,
)
