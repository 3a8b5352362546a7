"""Celery entry points of the slas app: each reads the clock and calls one service; safe to run twice and at once."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from slas.services import capacity, contracts


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
