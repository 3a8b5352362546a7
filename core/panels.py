"""What the platform itself shows on the home page: conditions that hold, and jobs that failed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.timesince import timesince

from core.choices import JobStatus
from core.models import ConditionRecord, Job
from core.ports.panels import Chart, Figure, Panel, Table, panels

SHOWN = 8
FAILED_SINCE = timedelta(days=7)


def firing(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return how many conditions hold, how many of them are grave, and the newest."""
    holding = ConditionRecord.objects.filter(firing=True)
    grave = Count("pk", filter=Q(severity__in=("critical", "high")))
    counts = holding.aggregate(all=Count("pk"), grave=grave)
    address = reverse("admin:core_conditionrecord_changelist")
    if not counts["all"]:
        return [Figure("Conditions", "0", "nothing is wrong", f"{address}?firing__exact=1", "good")]
    rows = [
        (
            (item.summary, item.severity, _how_long(item.raised_at, now)),
            item.link or f"{address}{item.pk}/change/",
        )
        for item in holding.order_by("-raised_at", "-pk")[:SHOWN]
    ]
    return [
        Figure(
            "Conditions", str(counts["all"]), f"{counts['grave']} critical or high", f"{address}?firing__exact=1",
            "bad" if counts["grave"] else "warning",
        ),
        Table("Newest conditions", ("What", "Severity", "Since"), rows, f"{address}?firing__exact=1"),
    ]  # fmt: skip


def _how_long(since: datetime, now: datetime) -> str:
    # Only the larger unit: "2 days, 3 hours" needs no hours.
    return "just now" if now - since < timedelta(minutes=1) else timesince(since, now, depth=1)


def jobs(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return how many jobs wait or run, and which failed in the last week."""
    recent = Job.objects.filter(status=JobStatus.FAILED, finished_at__gte=now - FAILED_SINCE)
    failed, open_count = recent.count(), Job.objects.filter(status__in=(JobStatus.QUEUED, JobStatus.RUNNING)).count()
    address = reverse("admin:core_job_changelist")
    figure = Figure(
        "Failed jobs", str(failed), f"in 7 days · {open_count} waiting or running", f"{address}?status__exact=failed",
        "bad" if failed else "good",
    )  # fmt: skip
    if not failed:
        return [figure]
    rows = [
        ((item.title, item.error.splitlines()[0][:120] if item.error else ""), f"{address}{item.pk}/change/")
        for item in recent.order_by("-finished_at", "-pk")[:SHOWN]
    ]
    return [figure, Table("Failed jobs", ("Job", "Reason"), rows, f"{address}?status__exact=failed")]


def register() -> None:
    """Offer the panels."""
    panels.register(Panel("core.conditions", "Conditions", "core.view_conditionrecord", firing, order=500))
    panels.register(Panel("core.jobs", "Jobs", "core.view_conditionrecord", jobs, order=900))
