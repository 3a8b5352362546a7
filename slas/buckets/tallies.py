"""Events and ready-made sums, counted by minute. No database.

What cannot be counted is named with its place; it never keeps the rest out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from operator import ge, gt, le, lt
from typing import Literal

import msgspec

from core.errors import FieldError
from core.money import CONTEXT, MoneyError, money
from slas.histogram import Histogram, bucket_of

MINUTE, HOUR, DAY = 60, 3_600, 86_400
EARLY = timedelta(minutes=5)
OPERATORS: dict[str, Callable[[Decimal, Decimal], bool]] = {"lte": le, "lt": lt, "gte": ge, "gt": gt}
LARGEST_COUNT = 10**12


class Event(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One event: when it was, and whether it was good, or the value that is held against the threshold.

    With a `total` it stands for that many events of one minute, of which `good` is the number of good ones.
    """

    at: datetime
    good: bool | int | None = None
    value: Decimal | None = None
    total: int | None = None


class Aggregate(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Events of one minute that somebody else has counted: how many there were and how many of them were good."""

    at: datetime
    good: int
    total: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one item; `late` ones are counted in the indicator's `late_dropped` and nowhere else."""

    status: Literal["recorded", "late", "rejected"]
    errors: tuple[FieldError, ...] = ()


RECORDED, LATE = Verdict("recorded"), Verdict("late")


@dataclass(frozen=True, slots=True)
class Terms:
    """What decides over an indicator's events; without a threshold each event says itself whether it was good."""

    operator: str = ""
    threshold: Decimal | None = None
    keeps_histogram: bool = False
    lateness_seconds: int = 172_800
    kept_from: int = 0


@dataclass(slots=True)
class Tally:
    """The sums of one minute (or hour, or day) of a batch."""

    good: int = 0
    total: int = 0
    value_sum: Decimal | None = None
    value_max: Decimal | None = None
    histogram: Histogram = field(default_factory=dict)

    def add_value(self, value: Decimal, good: bool, keeps_histogram: bool) -> None:
        """Count one value."""
        self.good += good
        self.total += 1
        self.value_sum = value if self.value_sum is None else CONTEXT.add(self.value_sum, value)
        if self.value_max is None or value > self.value_max:
            self.value_max = value
        if keeps_histogram:
            bucket = bucket_of(value)
            self.histogram[bucket] = self.histogram.get(bucket, 0) + 1

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.good += other.good
        self.total += other.total
        if other.value_sum is not None:
            self.value_sum = other.value_sum if self.value_sum is None else CONTEXT.add(self.value_sum, other.value_sum)
        if other.value_max is not None and (self.value_max is None or other.value_max > self.value_max):
            self.value_max = other.value_max
        for bucket, count in other.histogram.items():
            self.histogram[bucket] = self.histogram.get(bucket, 0) + count


@dataclass(slots=True)
class Counted:
    """A batch by minute (UNIX time), the verdict of each item in order, and how many came too late."""

    minutes: dict[int, Tally] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    late: int = 0


def count(items: Iterable[Event | Aggregate], terms: Terms, *, now: datetime) -> Counted:
    """Count the items by minute and say of each whether it was counted, came too late or makes no sense.

    An event is late when it lies more than `lateness_seconds` back, or its minutes are no longer kept, and refused when
    it is more than five minutes ahead of the clock.
    """
    found = Counted()
    earliest = max(now.timestamp() - terms.lateness_seconds, terms.kept_from)
    latest = (now + EARLY).timestamp()
    minutes, verdicts = found.minutes, found.verdicts
    for item in items:
        at = item.at
        if at.tzinfo is None:
            verdicts.append(_rejected("/at", "offset_missing", "a time needs its offset, such as Z or +02:00"))
            continue
        second = at.timestamp()
        if second < earliest:
            found.late += max(0, item.total or 1)
            verdicts.append(LATE)
            continue
        if second > latest:
            verdicts.append(_rejected("/at", "in_future", "this is more than five minutes ahead of the clock"))
            continue
        minute = int(second) // MINUTE * MINUTE
        tally = minutes.get(minute) or Tally()
        wrong = _add_event(tally, item, terms) if item.total is None else _add_aggregate(tally, item)
        if wrong is None:
            minutes[minute] = tally
        verdicts.append(wrong or RECORDED)
    return found


def _add_event(tally: Tally, event: Event | Aggregate, terms: Terms) -> Verdict | None:
    if terms.threshold is None:
        if event.good is not True and event.good is not False:
            return _rejected("/good", "required", "say whether the event was good: true or false")
        tally.good += event.good
        tally.total += 1
        return None
    if isinstance(event, Aggregate) or event.value is None:
        return _rejected("/value", "required", "this indicator has a threshold: give the value")
    if event.good is not None:
        return _rejected("/good", "not_expected", "this indicator has a threshold, which decides what is good")
    try:
        value = money(event.value)
    except MoneyError as error:
        return _rejected("/value", "not_exact", str(error))
    tally.add_value(value, OPERATORS[terms.operator](value, terms.threshold), terms.keeps_histogram)
    return None


def _add_aggregate(tally: Tally, item: Event | Aggregate) -> Verdict | None:
    good, total = item.good, item.total or 0
    if not 0 <= total <= LARGEST_COUNT:
        return _rejected("/total", "out_of_range", f"a total is from 0 to {LARGEST_COUNT}")
    if good is None or isinstance(good, bool):
        return _rejected("/good", "wrong_type", "with a total, good is the number of good events")
    if not 0 <= good <= total:
        return _rejected("/good", "out_of_range", "there are at most as many good events as events")
    tally.good += good
    tally.total += total
    return None


def rolled_up(minutes: dict[int, Tally], step: int) -> dict[int, Tally]:
    """Return the sums of longer stretches: an hour's or a day's, aligned to UTC."""
    found: dict[int, Tally] = {}
    for start, tally in minutes.items():
        found.setdefault(start // step * step, Tally()).add(tally)
    return found


def slice_starts(minutes: Iterable[int], slice_seconds: int) -> Sequence[int]:
    """Return the starts of the slices that these minutes lie in."""
    return sorted({minute // slice_seconds * slice_seconds for minute in minutes})


def _rejected(pointer: str, code: str, detail: str) -> Verdict:
    return Verdict("rejected", (FieldError(pointer, code, detail),))
