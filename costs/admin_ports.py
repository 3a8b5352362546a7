"""What the pages of costs offer to the platform: panels, metrics, and the long work that people start from them."""

from __future__ import annotations

from datetime import datetime

from core.ports.jobs import JobContext, JobKind, JobResult, job_kinds
from core.ports.metrics import metrics
from core.ports.panels import panels
from core.ports.security import AuditedAct, audited_acts


def register_pages() -> None:
    """Fill the ports; called once, from the app's ready()."""
    from costs.metrics import METRICS
    from costs.panels import PANELS

    for panel in PANELS:
        panels.register(panel)
    for metric in METRICS:
        metrics.register(metric)
    for kind in JOBS:
        job_kinds.register(kind)
    audited_acts.register(AuditedAct("data.exported", action="costs.explored"))


def reprice(
    context: JobContext, *, start: str, end: str, provider: str, model: str, reason: str, token: str
) -> JobResult:
    """Book what a preview of a reprice showed, and nothing else; safe to start over, each difference is booked once."""
    from django.urls import reverse
    from django.utils import timezone

    from costs.services.prices_repricing import RepriceScope
    from costs.services.prices_repricing import reprice as book

    context.progress(1, "Working out the differences")
    scope = RepriceScope(datetime.fromisoformat(start), datetime.fromisoformat(end), provider, model)
    report = book(scope, now=timezone.now(), dry_run=False, reason=reason, token=token)
    link = reverse("admin:costs_costevent_changelist") + "?event_class__exact=adjustment&period=all"
    return JobResult(f"Booked {report.written_count:,} differences over {report.event_count:,} costs.", link=link)


def sync_prices(context: JobContext) -> JobResult:
    """Read the installed price lists; safe to start over, an unchanged list changes nothing."""
    from django.urls import reverse
    from django.utils import timezone

    from costs.services.prices_sync import sync_prices as read

    context.progress(1, "Reading the price lists")
    run = read(now=timezone.now(), force=True).run
    summary = f"{run.created_count:,} prices are new, {run.discrepancy_count:,} wait for a decision."
    return JobResult(summary, link=reverse("admin:costs_pricesyncrun_changelist"))


JOBS = (
    JobKind("costs.reprice", "Price costs again", reprice, "costs.change_priceversion"),
    JobKind("costs.sync_prices", "Read the price lists", sync_prices, "costs.change_priceversion"),
)
