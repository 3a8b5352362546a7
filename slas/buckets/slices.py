"""Slices of time: each is judged from the events of its minutes, before and after exclusions.

A slice's bucket stands at its start among the minutes of the series `slices` (one of one good, or none of one) and
`ratios` (parts of RATIO_UNIT). A slice without any event has no bucket; what that means is the indicator's `no_data`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction

from slas.buckets import store
from slas.buckets.store import Key, Numbers, Row
from slas.buckets.tallies import MINUTE, slice_starts
from slas.buckets.writing import Change, Changes, apply, with_coarser
from slas.choices import Series
from slas.models import Sli

RATIO_UNIT = 10**11


def judge(sli: Sli, minutes: Iterable[int]) -> None:
    """Judge anew the slices that these minutes lie in; the caller holds the indicator's lock."""
    if not sli.slice_seconds:
        return
    length = sli.slice_seconds
    starts = slice_starts(minutes, length)
    if not starts:
        return
    rows = _minutes(sli, starts, length)
    found: dict[int, list[Row]] = {start: [] for start in starts}
    for row in rows:
        found.get(row.start // length * length, []).append(row)
    _write(sli, Series.RATIOS, {start: _ratio(members) for start, members in found.items() if members})
    if sli.slice_target is not None:
        target = sli.slice_target
        _write(sli, Series.SLICES, {start: _verdict(members, target) for start, members in found.items() if members})


def hold(sli: Sli, starts: Iterable[int], *, good: bool) -> None:
    """Write slices without events as the last known state; the caller holds the indicator's lock."""
    numbers = Numbers(int(good), 1)
    _write(sli, Series.SLICES, dict.fromkeys(starts, numbers))


def _minutes(sli: Sli, starts: Sequence[int], length: int) -> list[Row]:
    return store.between(sli.pk, Series.EVENTS, MINUTE, starts[0], starts[-1] + length)


def _sums(members: list[Row]) -> tuple[int, int, int, int]:
    good, total = sum(row.numbers.good for row in members), sum(row.numbers.total for row in members)
    left_out_good = sum(row.numbers.excluded_good for row in members)
    left_out = sum(row.numbers.excluded_total for row in members)
    return good, total, good - left_out_good, total - left_out


def _verdict(members: list[Row], target: Decimal) -> Numbers:
    good, total, adjusted_good, adjusted_total = _sums(members)
    if not total:
        return Numbers()
    raw = int(good >= target * total)
    if not adjusted_total:
        return Numbers(raw, 1, raw, 1)
    return Numbers(raw, 1, raw - int(adjusted_good >= target * adjusted_total), 0)


def _ratio(members: list[Row]) -> Numbers:
    good, total, adjusted_good, adjusted_total = _sums(members)
    if not total:
        return Numbers()
    raw = int(Fraction(good, total) * RATIO_UNIT)
    if not adjusted_total:
        return Numbers(raw, RATIO_UNIT, raw, RATIO_UNIT)
    return Numbers(raw, RATIO_UNIT, raw - int(Fraction(adjusted_good, adjusted_total) * RATIO_UNIT), 0)


def _write(sli: Sli, series: Series, wanted: dict[int, Numbers]) -> None:
    keys = [Key(sli.pk, series, MINUTE, start) for start in sorted(wanted)]
    known = store.at_or_before(keys)
    changes: dict[int, Change] = {}
    for key, row in zip(keys, known, strict=True):
        stands = row.numbers if row is not None and row.start == key.start else Numbers()
        difference = wanted[key.start].minus(stands)
        if any(difference):
            changes[key.start] = Change(difference)
    if changes:
        everything: Changes = with_coarser(sli.pk, series, MINUTE, changes)
        apply(everything)
