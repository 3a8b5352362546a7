"""Judging anew what was measured: after an exclusion came, moved or went, and for another threshold.

Nothing measured is ever changed: exclusions move what counts between `excluded_*` and the rest, a threshold reads the
kept histograms again. The caller holds the locks of the indicators.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from core.windows import Window
from slas import histogram
from slas.buckets import slices, store
from slas.buckets.exclusions import Excluded, spans_by_sli
from slas.buckets.store import NOTHING, Numbers, Row
from slas.buckets.tallies import DAY, HOUR, MINUTE
from slas.buckets.writing import Change, Changes, apply, with_coarser
from slas.choices import Series
from slas.models import Sli

FOREVER = 1 << 60


def apply_exclusions(slis: Iterable[Sli], window: Window) -> bool:
    """Take out of a stretch what the exclusions in force say, and give back what they no longer say.

    Exact where minutes are kept. Hours whose minutes are gone lose the share of the hour that is excluded; True when
    that was needed anywhere. Days whose hours are gone stay as they are.
    """
    rows = list(slis)
    spans = spans_by_sli(rows, window)
    estimated = [_apply(sli, window, Excluded(spans[sli.pk])) for sli in rows]
    return any(estimated)


def apply_threshold(sli: Sli, operator: str, threshold: Decimal) -> None:
    """Judge everything kept by another threshold; `sli` holds the new one already.

    Raises ValueError for a threshold that the histograms cannot answer exactly.
    """
    changes: Changes = {}
    finest = FOREVER
    for resolution, end in ((MINUTE, FOREVER), (HOUR, sli.minutes_from), (DAY, FOREVER)):
        # A day is judged as a whole only where neither its minutes nor its hours are left.
        until = finest // DAY * DAY if resolution == DAY else end
        rows = store.between(sli.pk, Series.EVENTS, resolution, 0, until)
        finest = min(finest, rows[0].start if rows else finest)
        found = {row.start: Change(_rejudged(row, operator, threshold)) for row in rows}
        for key, change in with_coarser(sli.pk, Series.EVENTS, resolution, found).items():
            changes[key] = changes[key].plus(change) if key in changes else change
    wanted = {key: change for key, change in changes.items() if any(change.numbers)}
    apply(wanted)
    slices.judge(sli, [key.start for key in wanted if key.resolution == MINUTE])


def _apply(sli: Sli, window: Window, excluded: Excluded) -> bool:
    start, end = int(window.start.timestamp()), int(window.end.timestamp())
    minutes = store.between(sli.pk, Series.EVENTS, MINUTE, max(start, sli.minutes_from), end)
    changes = with_coarser(
        sli.pk,
        Series.EVENTS,
        MINUTE,
        {row.start: Change(moved) for row in minutes if any(moved := _moved(row, excluded.holds(row.start)))},
    )
    apply(changes)
    slices.judge(sli, [row.start for row in minutes])
    return _apply_pro_rata(sli, start, min(end, sli.minutes_from), excluded)


def _apply_pro_rata(sli: Sli, start: int, end: int, excluded: Excluded) -> bool:
    if start >= end:
        return False
    hours = store.between(sli.pk, Series.EVENTS, HOUR, start // HOUR * HOUR, end)
    found = {}
    for row in hours:
        seconds = excluded.seconds_within(row.start, row.start + HOUR)
        wanted = (row.numbers.good * seconds // HOUR, row.numbers.total * seconds // HOUR)
        moved = Numbers(0, 0, wanted[0] - row.numbers.excluded_good, wanted[1] - row.numbers.excluded_total)
        if any(moved):
            found[row.start] = Change(moved)
    apply(with_coarser(sli.pk, Series.EVENTS, HOUR, found))
    return bool(hours)


def _moved(row: Row, excluded: bool) -> Numbers:
    numbers = row.numbers
    if excluded:
        return Numbers(0, 0, numbers.good - numbers.excluded_good, numbers.total - numbers.excluded_total)
    return Numbers(0, 0, -numbers.excluded_good, -numbers.excluded_total)


def _rejudged(row: Row, operator: str, threshold: Decimal) -> Numbers:
    """Return the difference that a threshold makes to a bucket; what is excluded keeps its share of all events."""
    values, numbers = histogram.unpacked(row.histogram), row.numbers
    if sum(values.values()) != numbers.total:
        raise ValueError("some of the events came as ready-made sums, without their values")
    if not numbers.total:
        return NOTHING
    good = histogram.good_count(values, operator, threshold)
    excluded_good = good * numbers.excluded_total // numbers.total
    return Numbers(good - numbers.good, 0, excluded_good - numbers.excluded_good, 0)
