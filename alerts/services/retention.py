"""The nightly pass that removes what has been kept for long enough, in batches that hold nobody up."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet

from alerts.choices import OPEN_INCIDENTS
from alerts.models import Alert, AlertGroup, Silence

BATCH = 500
# Alerts that never fired, and groups that have nothing to tell, are of no interest for longer.
UNFIRED = timedelta(days=7)
IDLE_GROUPS = timedelta(days=7)
# What the other parts keep is pruned by themselves: each has a `prune(now=…) -> int` here.
OTHERS: tuple[str, ...] = ("alerts.services.delivery.pruning", "alerts.services.security_events")


def run(now: datetime) -> int:
    """Remove what is too old; return how many rows of the tables named here that were."""
    own = prune_alerts(now=now) + prune_groups(now=now) + prune_silences(now=now)
    return own + sum(int(import_module(name).prune(now=now)) for name in OTHERS)


def prune_alerts(*, now: datetime) -> int:
    """Remove alerts that have been over for ALERTS_RETENTION_DAYS, with their history; unfired ones after a week.

    One that an incident links to stays as long as the incident.
    """
    over = Q(resolved_at__lt=now - timedelta(days=settings.ALERTS_RETENTION_DAYS))
    unfired = Q(fired_at=None, resolved_at__lt=now - min(UNFIRED, timedelta(days=settings.ALERTS_RETENTION_DAYS)))
    return _delete(Alert.objects.filter(over | unfired, incident_links=None))


def prune_groups(*, now: datetime) -> int:
    """Remove groups without alerts that nobody was told of for a week, unless their incident is open."""
    before = now - IDLE_GROUPS
    idle = AlertGroup.objects.filter(members=None, next_flush_at=None, created_at__lt=before)
    told = Q(last_notified_at=None) | Q(last_notified_at__lt=before)
    return _delete(idle.filter(told).exclude(incidents__status__in=OPEN_INCIDENTS))


def prune_silences(*, now: datetime) -> int:
    """Remove silences that have been over for ALERTS_RETENTION_DAYS."""
    before = now - timedelta(days=settings.ALERTS_RETENTION_DAYS)
    return _delete(Silence.objects.filter(Q(over_at__lt=before) | Q(expired_at__lt=before)))


def _delete(rows: QuerySet[Any]) -> int:
    """Delete rows in batches, each its own transaction, with what belongs to them."""
    done = 0
    while True:
        keys = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not keys:
            return done
        rows.model._default_manager.filter(pk__in=keys).delete()
        done += len(keys)
