"""Celery entry points of the slas app: each reads the clock and calls one service; safe to run twice and at once."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from slas.buckets.retention import forget_old
from slas.services import capacity, collecting, contracts, evaluating, reports, snapshots, status_pages


@shared_task(ignore_result=True, acks_late=True, expires=3600, time_limit=600)
def measure_capacity() -> None:
    """Read what is used of every resource in the hour that ended."""
    capacity.measure_all(now=timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=6 * 3600, time_limit=1800)
def forecast_capacity() -> None:
    """Say when resources reach their limits, and tell when that is too soon."""
    capacity.forecast_all(now=timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=600, time_limit=1800)
def close_periods() -> dict[str, int]:
    """Judge the running periods of contracts and close those whose time has come."""
    done = contracts.close_due(now=timezone.now())
    return {"opened": done.opened, "judged": done.judged, "provisional": done.provisional, "final": done.final}


@shared_task(ignore_result=True, acks_late=True, expires=24 * 3600, time_limit=600)
def monthly_reports() -> int:
    """Start the reports of the month that has ended; those that exist already are not made again."""
    return reports.monthly(now=timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=60, time_limit=120)
def propose_incidents() -> int:
    """Write down what status pages could tell the public, from conditions about their components' services."""
    return status_pages.propose(now=timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=60, time_limit=300)
def evaluate() -> None:
    """Evaluate every objective as of the last whole minute."""
    evaluating.evaluate(timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=60, time_limit=900)
def collect() -> None:
    """Read the indicators' own sources that are due, and keep the last known state of slices without events."""
    now = timezone.now()
    collecting.collect(now=now)
    collecting.fill_held(now=now)


@shared_task(ignore_result=True, acks_late=True, expires=3600, time_limit=1800)
def take_snapshots() -> None:
    """Write the days of objectives that are over, and freeze those that nothing can change any more."""
    snapshots.take_snapshots(now=timezone.now())


@shared_task(ignore_result=True, acks_late=True, expires=6 * 3600, time_limit=3600)
def forget_old_buckets() -> None:
    """Remove minutes and hours that are older than they are kept."""
    forget_old(now=timezone.now())
