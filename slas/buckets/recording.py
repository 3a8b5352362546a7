"""Recording of events: counted by minute, written in one transaction, exclusions and late data included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from slas.buckets import slices
from slas.buckets.exclusions import Excluded, excluded_by_sli
from slas.buckets.store import Numbers
from slas.buckets.tallies import MINUTE, Aggregate, Counted, Event, Tally, Terms, Verdict, count
from slas.buckets.writing import Change, Changes, apply, with_coarser
from slas.choices import Series, SliKind
from slas.models import Sli

Items = Sequence[Event | Aggregate]


def record_events(sli: Sli, items: Items, *, now: datetime) -> list[Verdict]:
    """Record the events, or ready-made sums, of one indicator and return a verdict for each, in order.

    In the caller's transaction when there is one, so that an idempotency key is taken with the events or not at all.
    Events older than the indicator's `lateness_seconds` are counted in its `late_dropped` and nowhere else.
    """
    return record_batches([(sli, items)], now=now)[sli.pk]


@transaction.atomic
def record_batches(batches: Sequence[tuple[Sli, Items]], *, now: datetime) -> dict[UUID, list[Verdict]]:
    """Record events of several indicators, each named once; their rows are locked in the order of their keys."""
    items = {sli.pk: batch for sli, batch in batches}
    locked = lock(items)
    counted = {sli.pk: count(items[sli.pk], terms_of(sli), now=now) for sli in locked}
    minutes = [minute for found in counted.values() for minute in found.minutes]
    if minutes:
        excluded = excluded_by_sli(locked, min(minutes), max(minutes) + MINUTE)
        changes: Changes = {}
        for sli in locked:
            changes |= _changes(sli.pk, counted[sli.pk].minutes, excluded[sli.pk])
        apply(changes)
        for sli in locked:
            slices.judge(sli, counted[sli.pk].minutes)
    _count_late(counted)
    return {sli: found.verdicts for sli, found in counted.items()}


def lock(slis: Iterable[UUID]) -> list[Sli]:
    """Lock the rows of indicators until the end of the transaction and return them as they are now, in key order.

    Whoever changes buckets holds these locks: running sums have one writer at a time. SQLite needs none; its writing
    transactions follow one another anyway.
    """
    return list(Sli.objects.select_for_update(no_key=True).filter(pk__in=list(slis)).order_by("pk"))


def terms_of(sli: Sli) -> Terms:
    """Return what decides over an indicator's events."""
    return Terms(sli.operator, sli.threshold, sli.kind == SliKind.LATENCY, sli.lateness_seconds, sli.minutes_from)


def _changes(sli: UUID, minutes: dict[int, Tally], excluded: Excluded) -> Changes:
    found = {start: Change(_numbers(tally, excluded.holds(start)), tally) for start, tally in minutes.items()}
    return with_coarser(sli, Series.EVENTS, MINUTE, found)


def _numbers(tally: Tally, excluded: bool) -> Numbers:
    if excluded:
        return Numbers(tally.good, tally.total, tally.good, tally.total)
    return Numbers(tally.good, tally.total)


def _count_late(counted: dict[UUID, Counted]) -> None:
    for sli, found in counted.items():
        if found.late:
            Sli.objects.filter(pk=sli).update(late_dropped=F("late_dropped") + found.late)
