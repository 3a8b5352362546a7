"""How objectives stand at an instant: read for all of them in a constant number of queries, decided one by one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Any
from uuid import UUID

from core.windows import Window
from slas import evaluation
from slas.buckets.exclusions import spans_by_sli
from slas.buckets.reading import sums
from slas.buckets.slices import RATIO_UNIT
from slas.buckets.store import NOTHING, Numbers
from slas.buckets.unions import unions
from slas.choices import Budgeting, CompositeKind, NoDataPolicy, Series, SloState
from slas.evaluation import NO_DATA, Caution, Level, Pair, Part, combined
from slas.models import Slo, SloComponent
from slas.periods import floored, trailing
from slas.terms import ETA_WINDOW, FIELDS, Terms, from_values

SERIES = {
    Budgeting.OCCURRENCES: Series.EVENTS,
    Budgeting.TIMESLICES: Series.SLICES,
    Budgeting.RATIO_TIMESLICES: Series.RATIOS,
}
RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}
Seconds = tuple[int, int]


@dataclass(slots=True)
class Standing:
    """How one objective stands: its level over the window so far, what that is of the budget, and how fast it burns."""

    slo: Slo
    terms: Terms
    as_of: datetime
    period: Window
    level: Level
    numbers: Numbers | None = None
    levels: Mapping[int, Level] = field(default_factory=dict)
    firing: Pair | None = None

    @property
    def burns(self) -> dict[int, Fraction | None]:
        """How fast the budget burns, by the length of the window in seconds; None without data."""
        return {length: evaluation.burn(level, self.terms.target) for length, level in self.levels.items()}

    @property
    def elapsed(self) -> Fraction:
        """The share of the window that has passed."""
        return self.terms.elapsed(self.as_of)

    @property
    def consumed(self) -> Fraction | None:
        """The share of the error budget that is used up."""
        return evaluation.consumed(self.level, self.terms.target, elapsed=self.elapsed)

    @property
    def budget(self) -> Fraction | None:
        """How many events of the (expected) whole window may be bad; None without data or for a composite."""
        if self.numbers is None or self.level.total <= 0:
            return None
        return evaluation.budget_events(self.terms.target, self.level.total) / (self.elapsed or 1)

    @property
    def exhausted_in(self) -> timedelta | None:
        """How long the budget lasts at the burn of the last six hours."""
        used = self.consumed
        left = None if used is None else 1 - used
        rate = evaluation.burn(self.levels.get(int(ETA_WINDOW.total_seconds()), NO_DATA), self.terms.target)
        return evaluation.exhausted_in(left, self.terms.length, rate)

    @property
    def state(self) -> SloState:
        """The state in one word; without data there is none, whatever fired before."""
        used = self.consumed
        if used is None:
            return SloState.NO_DATA
        if used >= 1:
            return SloState.EXHAUSTED
        return SloState.BURNING if self.firing else SloState.HEALTHY


def standings(
    slos: Iterable[Slo],
    as_of: datetime,
    *,
    was_firing: Mapping[UUID, str] | None = None,
    terms: Mapping[UUID, Terms] | None = None,
) -> list[Standing]:
    """Return how the objectives stand at the end of the last whole minute, in their order.

    The objectives come with their `sli`. `was_firing` names the pair that fired before, which goes on firing while its
    long window has no event at all: silence is no recovery. `terms` replaces what an objective says of itself.
    """
    shapes: dict[int, _Shape] = {}
    asked = []
    for slo in slos:
        promised = (terms or {}).get(slo.pk) or terms_of(slo)
        shape = shapes.get(id(promised))
        if shape is None:
            shape = shapes[id(promised)] = _Shape(promised, floored(as_of))
        asked.append(_Asked(slo, shape))
    _Reader(asked).read()
    return [item.standing((was_firing or {}).get(item.slo.pk, "")) for item in asked]


def terms_of(slo: Slo) -> Terms:
    """Return the terms that an objective has now; objectives that promise the same share one object."""
    return _parsed(
        slo.target, slo.window, slo.window_days, slo.calendar_unit, slo.time_zone, slo.budgeting, slo.composite,
        json.dumps(slo.alerting, sort_keys=True) if slo.alerting else "{}",
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _parsed(*values: Any) -> Terms:
    *plain, alerting = values
    return from_values({**dict(zip(FIELDS, plain, strict=False)), "alerting": json.loads(alerting)})


def pair_name(pair: Pair) -> str:
    """Return how a status names a pair that fires: its severity and windows in minutes."""
    return f"{pair.severity} {_seconds(pair.long) // 60}/{_seconds(pair.short) // 60}"


class _Shape:
    """What objectives of the same terms share at one instant: their windows, and their pairs, the gravest first."""

    def __init__(self, terms: Terms, as_of: datetime) -> None:
        self.terms, self.as_of = terms, as_of
        self.period = terms.period(as_of)
        lengths = {_seconds(length) for pair in terms.pairs for length in (pair.long, pair.short)}
        self.lengths = sorted({*lengths, _seconds(ETA_WINDOW)})
        self.pairs = [
            (pair, pair_name(pair), _seconds(pair.long), _seconds(pair.short))
            for pair in sorted(terms.pairs, key=lambda pair: (RANK[pair.severity], pair.long))
        ]
        self.caution = terms.caution if terms.budgeting == Budgeting.OCCURRENCES else Caution("none")
        self._windows: dict[int, list[Seconds]] = {}

    def windows(self, slice_seconds: int) -> list[Seconds]:
        """Return the whole window first, then the trailing ones; those of slices hold whole slices only."""
        if slice_seconds not in self._windows:
            self._windows[slice_seconds] = self._made(slice_seconds)
        return self._windows[slice_seconds]

    def _made(self, slice_seconds: int) -> list[Seconds]:
        end = int(min(self.period.end, self.as_of).timestamp())
        whole = (min(int(self.period.start.timestamp()), end), end)
        spans = [whole]
        for length in self.lengths:
            window = trailing(self.as_of, timedelta(seconds=length))
            spans.append((int(window.start.timestamp()), int(window.end.timestamp())))
        if not slice_seconds:
            return spans
        return [_whole_slices(whole, slice_seconds, 0), *(_whole_slices(span, slice_seconds, 1) for span in spans[1:])]

    def firing(self, levels: Mapping[int, Level], was_firing: str) -> Pair | None:
        """Return the gravest pair that fires."""
        for pair, name, long_seconds, short_seconds in self.pairs:
            long, short = levels[long_seconds], levels[short_seconds]
            if long.total <= 0:
                if name == was_firing:
                    return pair
            elif long.bad and evaluation.fires(pair, long, short, self.terms.target, self.caution):
                return pair
        return None


class _Asked:
    """One objective with the windows it needs and, later, what was read of them."""

    def __init__(self, slo: Slo, shape: _Shape) -> None:
        self.slo, self.shape, self.terms = slo, shape, shape.terms
        self.levels: list[Level] = []
        self.numbers: list[Numbers] = []

    @property
    def slice_seconds(self) -> int:
        return 0 if self.terms.budgeting == Budgeting.OCCURRENCES else _slice_seconds(self.slo)

    def standing(self, was_firing: str) -> Standing:
        shape = self.shape
        by_length = dict(zip(shape.lengths, self.levels[1:], strict=True))
        return Standing(
            self.slo,
            shape.terms,
            shape.as_of,
            shape.period,
            self.levels[0],
            self.numbers[0] if self.numbers else None,
            by_length,
            shape.firing(by_length, was_firing),
        )


class _Reader:
    """Reads what all objectives need: one query per series in use, one for parts, one for slices shared by parts."""

    def __init__(self, asked: Sequence[_Asked]) -> None:
        self.simple = [item for item in asked if not item.terms.composite]
        composites = [item for item in asked if item.terms.composite]
        self.shared = [item for item in composites if item.terms.composite == CompositeKind.TIMESLICE]
        self.combined = [item for item in composites if item.terms.composite != CompositeKind.TIMESLICE]
        self.parts = _parts([item.slo.pk for item in composites])
        self.wanted: dict[Series, dict[UUID, dict[Seconds, None]]] = {}
        self.found: dict[Series, dict[tuple[UUID, Seconds], Numbers]] = {}

    def read(self) -> None:
        """Fill in the levels of everything that was asked."""
        for item in self.simple:
            self._want(item.slo, item.shape.windows(item.slice_seconds))
        for item in self.combined:
            for part in self.parts.get(item.slo.pk, ()):
                self._want(part.child, item.shape.windows(_slice_seconds(part.child)))
        for series, windows in self.wanted.items():
            ordered = {sli: list(spans) for sli, spans in windows.items()}
            read = sums(ordered, series=series)
            self.found[series] = {
                (sli, span): numbers
                for sli, spans in ordered.items()
                for span, numbers in zip(spans, read[sli], strict=True)
            }
        self._fill_gaps()
        for item in self.simple:
            self._take(item)
        for item in self.combined:
            item.levels = self._combined(item)
        self._take_shared()

    def _want(self, slo: Slo, spans: Sequence[Seconds]) -> None:
        if slo.sli_id is not None:
            self.wanted.setdefault(_series(slo), {}).setdefault(slo.sli_id, {}).update(dict.fromkeys(spans))

    def _take(self, item: _Asked) -> None:
        item.numbers = [self._numbers(item.slo, span) for span in item.shape.windows(item.slice_seconds)]
        item.levels = [_level(numbers, _series(item.slo)) for numbers in item.numbers]

    def _numbers(self, slo: Slo, span: Seconds) -> Numbers:
        if slo.sli_id is None:
            return NOTHING
        return self.found[_series(slo)][slo.sli_id, span]

    def _combined(self, item: _Asked) -> list[Level]:
        parts = self.parts.get(item.slo.pk, ())
        found = []
        for n in range(len(item.shape.lengths) + 1):
            levels = [
                Part(
                    Fraction(part.weight),
                    _level(
                        self._numbers(part.child, item.shape.windows(_slice_seconds(part.child))[n]),
                        _series(part.child),
                    ),
                    part.when_delayed,
                )
                for part in parts
            ]
            found.append(combined(item.terms.composite, levels))
        return found

    def _take_shared(self) -> None:
        asked = []
        for item in self.shared:
            parts = self.parts.get(item.slo.pk, ())
            length = max((_slice_seconds(part.child) for part in parts), default=0)
            members = [(part.child.sli_id, part.when_delayed == "count_as_bad") for part in parts if part.child.sli_id]
            asked.append((members, item.shape.windows(length)))
        for item, pairs in zip(self.shared, unions(asked), strict=True):
            item.numbers = [Numbers(good, total) for good, total in pairs]
            item.levels = [Level.of(good, total) if total else NO_DATA for good, total in pairs]

    def _fill_gaps(self) -> None:
        """Count slices without events as good or bad where the indicator says so, excluded time left out."""
        slices = self.found.get(Series.SLICES, {})
        slis = {
            slo.sli.pk: slo.sli
            for slo in (*(item.slo for item in self.simple), *(p.child for ps in self.parts.values() for p in ps))
            if slo.sli is not None and slo.sli.no_data in {NoDataPolicy.GOOD, NoDataPolicy.BAD}
        }
        gaps = {key: numbers for key, numbers in slices.items() if key[0] in slis}
        if not gaps:
            return
        begin, end = min(span[0] for _, span in gaps), max(span[1] for _, span in gaps)
        spans = spans_by_sli(
            slis.values(), Window(datetime.fromtimestamp(begin, tz=UTC), datetime.fromtimestamp(end, tz=UTC))
        )
        for (sli, span), numbers in gaps.items():
            row = slis[sli]
            missing = _missing(span, row.slice_seconds or 60, row.created_at, spans[sli], numbers)
            good = missing if row.no_data == NoDataPolicy.GOOD else 0
            slices[sli, span] = numbers.plus(Numbers(good, missing))


def _parts(composites: Sequence[UUID]) -> dict[UUID, list[SloComponent]]:
    found: dict[UUID, list[SloComponent]] = {}
    if composites:
        rows = SloComponent.objects.filter(parent__in=composites).select_related("child__sli").order_by("pk")
        for row in rows:
            found.setdefault(row.parent_id, []).append(row)
    return found


def _missing(
    span: Seconds, length: int, since: datetime, excluded: Sequence[Window], numbers: Numbers
) -> int:  # fmt: skip
    """Return how many whole slices of a window, after the indicator was made and outside of exclusions, are empty."""
    begin, end = max(span[0], -(-int(since.timestamp()) // length) * length), span[1]
    if end <= begin:
        return 0
    left_out = 0
    for window in excluded:
        first = max(begin, -(-int(window.start.timestamp()) // length) * length)
        last = min(end, int(window.end.timestamp()) // length * length)
        left_out += max(0, last - first) // length
    present = numbers.total - numbers.excluded_total
    return max(0, (end - begin) // length - left_out - present)


def _level(numbers: Numbers, series: Series) -> Level:
    good, total = numbers.good - numbers.excluded_good, numbers.total - numbers.excluded_total
    if series == Series.RATIOS:
        return Level(total - good, total, (total - good) // RATIO_UNIT, total // RATIO_UNIT)
    return Level.of(good, total)


def _series(slo: Slo) -> Series:
    return SERIES[Budgeting(slo.budgeting)]


def _slice_seconds(slo: Slo) -> int:
    if slo.budgeting == Budgeting.OCCURRENCES or slo.sli is None:
        return 0
    return slo.sli.slice_seconds or 0


def _whole_slices(span: Seconds, length: int, least: int) -> Seconds:
    """Return the whole slices within a window, and at least so many before its end."""
    end = span[1] // length * length
    return min(-(-span[0] // length) * length, end - least * length), end


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())
