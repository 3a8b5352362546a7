"""Reading of the indicators' own sources on the schedule: claimed, read outside of a transaction, recorded once."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.urls import reverse

from core.leases import claim, held, release
from core.ports.conditions import Condition, clear_condition, raise_condition
from core.windows import Window
from slas import buckets, sources
from slas.buckets.slices import hold
from slas.choices import NoDataPolicy, Series
from slas.models import Sli, SourceReading
from slas.periods import floored

log = structlog.get_logger(__name__)

BATCH = 100
LEASE = timedelta(minutes=5)
EVERY = timedelta(minutes=1)
LONGEST = timedelta(hours=1)
MOST_WAIT = timedelta(hours=1)
TELL_AFTER = 5
SOURCE = "slas.source"
SETTLES = timedelta(minutes=2)


def collect(*, now: datetime) -> int:
    """Read every source that is due and record what it says; return how many were read.

    A stretch is recorded in the transaction that moves the reading on, by the worker that still holds it: once,
    however often a worker dies. A source that fails is tried again ever more rarely, up to once an hour, from where it
    was last read, an hour back at most; after five failures people are told.
    """
    read = 0
    while True:
        due = SourceReading.objects.filter(next_at__lte=now)
        rows = claim(due, order_by=("next_at", "sli"), limit=BATCH, lease=LEASE, now=now)
        if not rows:
            return read
        slis = {sli.pk: sli for sli in Sli.objects.filter(pk__in=[row.sli_id for row in rows])}
        for row in rows:
            _collect(row, slis[row.sli_id], now)
        read += len(rows)


def fill_held(*, now: datetime) -> int:
    """Write, for indicators that keep their last known state, the slices that passed without any event.

    Late events judge such a slice anew. Goes back a day at most; returns how many slices were written.
    """
    filled = 0
    for sli in Sli.objects.filter(no_data=NoDataPolicy.HOLD).exclude(slice_target=None).order_by("pk"):
        filled += _fill(sli.pk, now)
    return filled


@transaction.atomic
def _fill(key: UUID, now: datetime) -> int:
    locked = buckets.lock([key])
    if not locked:
        return 0
    sli = locked[0]
    length = timedelta(seconds=sli.slice_seconds or 60)
    end = floored(now - SETTLES, length)
    rows = buckets.rows(sli, Window(end - timedelta(days=1), end), 60, series=Series.SLICES)
    if not rows:
        return 0
    step, known = int(length.total_seconds()), {row.start: row.numbers.good for row in rows}
    state = rows[0].numbers.good
    missing: dict[int, list[int]] = {0: [], 1: []}
    for start in range(rows[0].start, int(end.timestamp()), step):
        state = known.get(start, state)
        if start not in known:
            missing[state].append(start)
    for good, starts in missing.items():
        if starts:
            hold(sli, starts, good=bool(good))
    return sum(map(len, missing.values()))


def _collect(row: SourceReading, sli: Sli, now: datetime) -> None:
    end = floored(now)
    begin = max(row.read_until or end - EVERY, end - LONGEST)
    if begin >= end:
        held(row).update(**release(next_at=now + EVERY))
        return
    try:
        items = sources.read(sli, Window(begin, end))
    except sources.SourceError as error:
        _failed(row, sli, str(error), now)
        return
    except Exception as error:  # whatever one source raises, the others are read
        log.exception("source_failed", sli=str(sli.pk))
        _failed(row, sli, f"{type(error).__name__}: {error}", now)
        return
    with transaction.atomic():
        done = held(row).update(
            **release(next_at=end + EVERY, read_until=end, read_at=now, failures=0, error="")
        )  # fmt: skip
        if not done:
            return
        if items:
            buckets.record_events(sli, items, now=now)
        if row.failures >= TELL_AFTER:
            clear_condition(_condition(sli, ""), now=now)


def _failed(row: SourceReading, sli: Sli, error: str, now: datetime) -> None:
    wait = min(EVERY * 2 ** min(row.failures, 10), MOST_WAIT)
    with transaction.atomic():
        changes = release(next_at=now + wait, read_at=now, failures=row.failures + 1, error=error[:500])
        if held(row).update(**changes) and row.failures + 1 == TELL_AFTER:
            raise_condition(_condition(sli, error), now=now)


def _condition(sli: Sli, error: str) -> Condition:
    summary = f"{sli.name} cannot be measured: {error}" if error else f"{sli.name} is measured again"
    labels = {"sli": sli.slug, "source": sli.source}
    return Condition(SOURCE, str(sli.pk), "medium", summary, labels, reverse("admin:slas_sli_change", args=[sli.pk]))
