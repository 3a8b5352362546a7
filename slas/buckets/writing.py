"""Adding to buckets, with their running sums kept right whatever comes late.

The caller holds the lock of every indicator whose buckets change. A change at one resolution is written to it and to
all coarser ones in one sorted upsert; the running sums of later buckets of the same group (a UTC day, or all days)
are raised by one statement over the few ranges between the changed ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import groupby
from uuid import UUID

from core.money import CONTEXT
from slas import histogram
from slas.buckets import store
from slas.buckets.store import NOTHING, Key, Numbers, Row
from slas.buckets.tallies import DAY, HOUR, MINUTE, Tally

RESOLUTIONS = (MINUTE, HOUR, DAY)


@dataclass(slots=True)
class Change:
    """What is added to one bucket; numbers may be negative."""

    numbers: Numbers = NOTHING
    tally: Tally | None = field(default=None)

    def plus(self, other: Change) -> Change:
        """Return the sum of two changes."""
        tally = self.tally or other.tally
        if self.tally is not None and other.tally is not None:
            tally = Tally()
            tally.add(self.tally)
            tally.add(other.tally)
        return Change(self.numbers.plus(other.numbers), tally)


Changes = dict[Key, Change]


def with_coarser(sli: UUID, series: int, finest: int, changes: Mapping[int, Change]) -> Changes:
    """Return changes of buckets of one resolution together with what they mean for all coarser ones."""
    found: Changes = {}
    for resolution in RESOLUTIONS[RESOLUTIONS.index(finest) :]:
        for start, change in changes.items():
            key = Key(sli, series, resolution, start // resolution * resolution)
            known = found.get(key)
            found[key] = change if known is None else known.plus(change)
    return found


def apply(changes: Changes) -> None:
    """Add the changes to their buckets and to the running sums of what follows them."""
    keys = sorted(changes)
    known = dict(zip(keys, store.at_or_before(keys), strict=True))
    written: list[tuple[Key, Row]] = []
    tails: list[tuple[Key, int, Numbers]] = []
    for _, group in groupby(keys, key=lambda key: (key.sli, key.series, key.resolution, key.group)):
        running, members = NOTHING, list(group)
        befores = [key.start for key in members[1:]] + [members[0].group[1]]
        for key, before in zip(members, befores, strict=True):
            running = running.plus(changes[key].numbers)
            written.append((key, _changed(key, known[key], changes[key], running)))
            if any(running):
                tails.append((key, before, running))
    store.raise_tails(tails)
    store.upsert(written)


def _changed(key: Key, found: Row | None, change: Change, running: Numbers) -> Row:
    """Return the bucket as it becomes; `found` is the bucket itself or the one whose running sum it continues."""
    row = found if found is not None and found.start == key.start else Row(key.start)
    row.cumulative = (found.cumulative if found else NOTHING).plus(running)
    row.numbers = row.numbers.plus(change.numbers)
    tally = change.tally
    if tally is not None:
        if tally.value_sum is not None:
            row.value_sum = tally.value_sum if row.value_sum is None else CONTEXT.add(row.value_sum, tally.value_sum)
        if tally.value_max is not None:
            row.value_max = tally.value_max if row.value_max is None else max(row.value_max, tally.value_max)
        if tally.histogram:
            row.histogram = histogram.packed(histogram.added(histogram.unpacked(row.histogram), tally.histogram))
    return row
