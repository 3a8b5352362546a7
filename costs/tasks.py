"""Celery entry points of the costs app: each reads the clock and calls a service; safe to run twice and at once."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from costs.choices import ThresholdBasis
from costs.services import corrections, partitions, prices_late, prices_sync, reservations, rollups, thresholds

FOLD_EVERY_SECONDS = 2.0


@shared_task(ignore_result=True, acks_late=True, expires=FOLD_EVERY_SECONDS, time_limit=300)
def fold_rollups() -> None:
    """Bring what was recorded into the rollups; leaves at once when another worker is at it."""
    rollups.fold(now=timezone.now())


@shared_task(acks_late=True, expires=3600, time_limit=3600)
def audit_rollups() -> dict[str, int]:
    """Compare the rollups with the events behind them, recent days all and older ones in turn."""
    now = timezone.now()
    results = rollups.audit_days(rollups.days_due(now=now), now=now)
    return {"days": len(results), "different": sum(not result.equal for result in results)}


@shared_task(acks_late=True, expires=300, time_limit=600)
def convert_pending() -> int:
    """Convert events whose exchange rate has become known."""
    return corrections.convert_pending(now=timezone.now())


@shared_task(acks_late=True, expires=3600, time_limit=1800)
def maintain_partitions() -> dict[str, int]:
    """Make the ledger's coming months on PostgreSQL and move what came in without one."""
    report = partitions.maintain_partitions(now=timezone.now())
    return {"created": len(report.created), "moved": report.moved_count}


@shared_task(ignore_result=True, acks_late=True, expires=10, time_limit=60)
def expire_reservations() -> int:
    """Give back what reservations hold whose time is over, in portions, until none is due or the next run is."""
    now = timezone.now()
    expired = 0
    for _ in range(20):
        taken = reservations.expire_due(now=now)
        expired += taken
        if taken < reservations.EXPIRE_AT_ONCE:
            break
    return expired


@shared_task(ignore_result=True, acks_late=True, expires=30, time_limit=120)
def evaluate_thresholds() -> dict[str, int]:
    """Raise and clear the conditions of budgets by what was spent."""
    done = thresholds.evaluate_thresholds(now=timezone.now())
    return {"budgets": done.budget_count, "fired": done.fired, "cleared": done.cleared}


@shared_task(ignore_result=True, acks_late=True, expires=900, time_limit=600)
def evaluate_forecasts() -> dict[str, int]:
    """Raise and clear the conditions of budgets by what they are expected to end at."""
    done = thresholds.evaluate_thresholds(now=timezone.now(), basis=ThresholdBasis.FORECAST)
    return {"budgets": done.budget_count, "fired": done.fired, "cleared": done.cleared}


@shared_task(acks_late=True, expires=300, time_limit=600)
def resolve_prices() -> int:
    """Price costs whose price has become known since they were recorded."""
    return prices_late.resolve_unpriced(now=timezone.now())


@shared_task(acks_late=True, expires=3600, time_limit=600)
def sync_prices() -> dict[str, int]:
    """Read the installed price lists; does nothing when they are those of the last run."""
    outcome = prices_sync.sync_prices(now=timezone.now())
    return {"created": outcome.run.created_count if outcome.changed else 0, "waiting": outcome.run.waiting_count}
