"""How long buckets are kept: minutes for days, hours for a little more than a year, days for good."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from slas.buckets.recording import lock
from slas.buckets.tallies import DAY, HOUR, MINUTE
from slas.choices import CompositeKind, Series
from slas.models import Sli, SliBucket, SloComponent
from slas.standing import terms_of


def forget_old(*, now: datetime) -> int:
    """Delete minutes and hours that are older than they are kept; return how many buckets went. Safe to run twice.

    Whole UTC days go at once, one indicator after the other, each under its lock.
    """
    longest = _shared_windows()
    return sum(_forget(sli, longest, now) for sli in Sli.objects.order_by("pk").only("pk", "lateness_seconds"))


def minutes_kept(lateness_seconds: int) -> timedelta:
    """Return how long minutes are kept: SLAS_MINUTES_DAYS, and the time events may be late."""
    return timedelta(days=settings.SLAS_MINUTES_DAYS, seconds=lateness_seconds)


@transaction.atomic
def _forget(sli: Sli, longest: dict[object, timedelta], now: datetime) -> int:
    if not lock([sli.pk]):
        return 0
    kept = minutes_kept(sli.lateness_seconds)
    minutes_from, hours_from = _midnight(now - kept), _midnight(now - timedelta(days=settings.SLAS_HOURS_DAYS))
    slices_from = _midnight(now - max(kept, longest.get(sli.pk, kept)))
    buckets = SliBucket.objects.filter(sli=sli)
    gone = buckets.filter(series=Series.EVENTS, resolution=MINUTE, start__lt=minutes_from).delete()[0]
    gone += buckets.filter(series__gt=Series.EVENTS, resolution=MINUTE, start__lt=slices_from).delete()[0]
    gone += buckets.filter(resolution=HOUR, start__lt=hours_from).delete()[0]
    Sli.objects.filter(pk=sli.pk, minutes_from__lt=minutes_from).update(minutes_from=minutes_from)
    return gone


def _shared_windows() -> dict[object, timedelta]:
    """Return, for indicators whose slices a composite compares one by one, how long that composite looks back."""
    found: dict[object, timedelta] = {}
    parts = SloComponent.objects.filter(parent__composite=CompositeKind.TIMESLICE).select_related("parent", "child")
    for part in parts.order_by("pk"):
        length = terms_of(part.parent).length + timedelta(days=3)
        found[part.child.sli_id] = max(length, found.get(part.child.sli_id, length))
    return found


def _midnight(instant: datetime) -> int:
    return int(instant.timestamp()) // DAY * DAY
