"""Who is on call when: the arithmetic of turns, layers and overrides. No Django, no clock, no database.

Hand-overs keep their local time of day over changes of the clocks. A wall time that the clocks skip counts as the first
instant after the gap, one that they pass twice as its first passing, so hand-overs never run backwards.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from core.windows import Window

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
TURN_UNITS = {
    "hourly": timedelta(hours=1),
    "custom": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
}
WEEK = timedelta(weeks=1)
_MOMENT = re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a rotation; `active` is False for an account that was disabled or deleted."""

    key: str
    name: str
    active: bool = True


@dataclass(frozen=True, slots=True)
class Restriction:
    """A span of every week in local time, as offsets from Monday 00:00; one that ends before it begins wraps."""

    begins: timedelta
    ends: timedelta

    @property
    def length(self) -> timedelta:
        """How long it lasts by the wall clock; equal ends mean the whole week."""
        return (self.ends - self.begins) % WEEK or WEEK


@dataclass(frozen=True, slots=True)
class Layer:
    """One rotation: its people take turns of `turn`, counted from `starts_at`, until `ends_at`."""

    name: str
    level: int
    turn: timedelta
    starts_at: datetime
    members: tuple[Person, ...]
    ends_at: datetime | None = None
    restrictions: tuple[Restriction, ...] = ()


@dataclass(frozen=True, slots=True)
class Cover:
    """An override: this person has the span, whoever's turn it is. Of two at once the one given last holds."""

    person: Person
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole schedule: a higher level covers a lower one, overrides cover all."""

    zone: ZoneInfo
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Cover, ...] = ()


@dataclass(frozen=True, slots=True)
class Segment:
    """A span with one person on call, or nobody; `source` is the layer's name or "override"."""

    start: datetime
    end: datetime
    person: Person | None
    source: str = ""

    @property
    def hours(self) -> float:
        """The elapsed hours, also over a change of the clocks."""
        return (self.end - self.start) / timedelta(hours=1)


def parse_restriction(begins: str, ends: str) -> Restriction:
    """Return the span of the week between two texts such as "Mon 09:00"; raises ValueError for any other form."""
    return Restriction(_offset(begins), _offset(ends))


def turn_length(kind: str, count: int) -> timedelta:
    """Return how long a turn is by the wall clock; raises KeyError for an unknown kind."""
    return TURN_UNITS[kind] * count


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the UTC instant of a naive local time; rises, or stays, with the wall time."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None, fold=0) == wall:
        return early
    # Inside a gap: with the other reading it lies before the change, so the change is between the two.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return _change_between(min(early, before), max(early, before), zone)


def segments(plan: Plan, window: Window) -> list[Segment]:
    """Return the final schedule: segments that tile the window without overlap, nobody where nobody is on call."""
    window = Window(window.start.astimezone(UTC), window.end.astimezone(UTC))
    painted: list[Segment] = []
    for layer in sorted(plan.layers, key=lambda layer: layer.level):
        painted = _over(painted, list(layer_segments(layer, plan.zone, window)))
    for cover in plan.overrides:
        if cover.person.active:
            start, end = max(cover.start.astimezone(UTC), window.start), min(cover.end.astimezone(UTC), window.end)
            painted = _over(painted, [Segment(start, end, cover.person, "override")] if start < end else [])
    return _merged(_filled(painted, window))


def on_call(plan: Plan, at: datetime) -> Segment:
    """Return who is on call at an instant; the segment is one second long, its person None when nobody is."""
    return segments(plan, Window(at, at + timedelta(seconds=1)))[0]


def gaps(plan: Plan, window: Window) -> list[Segment]:
    """Return the spans of the window in which nobody is on call."""
    return [segment for segment in segments(plan, window) if segment.person is None]


def absentees(plan: Plan, window: Window) -> list[Person]:
    """Return the people of this plan whose accounts are inactive and who still have a place or an override ahead."""
    found: dict[str, Person] = {}
    for layer in plan.layers:
        if layer.ends_at is None or layer.ends_at > window.start:
            found |= {person.key or person.name: person for person in layer.members if not person.active}
    for cover in plan.overrides:
        if not cover.person.active and cover.end > window.start and cover.start < window.end:
            found[cover.person.key or cover.person.name] = cover.person
    return list(found.values())


def layer_segments(layer: Layer, zone: ZoneInfo, window: Window) -> Iterator[Segment]:
    """Yield the turns of one rotation within the window, cut to its restrictions, oldest first."""
    start = max(window.start, layer.starts_at.astimezone(UTC))
    end = window.end if layer.ends_at is None else min(window.end, layer.ends_at.astimezone(UTC))
    if start >= end or not any(person.active for person in layer.members):
        return
    open_spans = _open_spans(layer.restrictions, zone, Window(start, end))
    for turn in _turns(layer, zone, Window(start, end)):
        for span in open_spans:
            begins, ends = max(turn.start, span.start), min(turn.end, span.end)
            if begins < ends:
                yield replace(turn, start=begins, end=ends)


def _turns(layer: Layer, zone: ZoneInfo, window: Window) -> Iterator[Segment]:
    first = layer.starts_at.astimezone(zone).replace(tzinfo=None, fold=0)
    number = _turn_at(layer, zone, window.start, first)
    begins = instant(first + number * layer.turn, zone)
    while begins < window.end:
        ends = instant(first + (number + 1) * layer.turn, zone)
        begun, ended = max(begins, window.start), min(ends, window.end)
        if begun < ended:
            yield Segment(begun, ended, _member(layer, number), layer.name)
        number, begins = number + 1, ends


def _turn_at(layer: Layer, zone: ZoneInfo, at: datetime, first: datetime) -> int:
    """Return the number of the turn that holds an instant: near what the wall clock says, then exactly."""
    number = (at.astimezone(zone).replace(tzinfo=None) - first) // layer.turn
    while instant(first + number * layer.turn, zone) > at:
        number -= 1
    while instant(first + (number + 1) * layer.turn, zone) <= at:
        number += 1
    return number


def _member(layer: Layer, number: int) -> Person:
    """Return whose turn it is; the turn of somebody inactive falls to the next who is not, all others stay."""
    count = len(layer.members)
    return next(person for step in range(count) if (person := layer.members[(number + step) % count]).active)


def _open_spans(restrictions: Sequence[Restriction], zone: ZoneInfo, window: Window) -> list[Window]:
    """Return when a layer applies within the window: merged, in order; without restrictions the whole window."""
    if not restrictions:
        return [window]
    day = window.start.astimezone(zone).date()
    monday = datetime.combine(day - timedelta(days=day.weekday() + 7), time.min)
    last = window.end.astimezone(zone).replace(tzinfo=None)
    found: list[Window] = []
    while monday <= last:
        for restriction in restrictions:
            begins = instant(monday + restriction.begins, zone)
            ends = instant(monday + restriction.begins + restriction.length, zone)
            begins, ends = max(begins, window.start), min(ends, window.end)
            if begins < ends:
                found.append(Window(begins, ends))
        monday += WEEK
    return _joined(found)


def _joined(spans: Iterable[Window]) -> list[Window]:
    joined: list[Window] = []
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        if joined and span.start <= joined[-1].end:
            joined[-1] = Window(joined[-1].start, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined


def _over(below: Sequence[Segment], above: Sequence[Segment]) -> list[Segment]:
    """Lay segments over others: both in order and free of overlap, and so is the result."""
    if not above:
        return list(below)
    starts = [segment.start for segment in above]
    result = list(above)
    for segment in below:
        result += _left_of(segment, above, starts)
    return sorted(result, key=lambda segment: segment.start)


def _left_of(segment: Segment, above: Sequence[Segment], starts: Sequence[datetime]) -> Iterator[Segment]:
    """Yield the parts of a segment that nothing above covers."""
    free = segment.start
    place = max(0, bisect_right(starts, segment.start) - 1)
    while place < len(above) and above[place].start < segment.end:
        cover = above[place]
        if cover.start > free:
            yield replace(segment, start=free, end=cover.start)
        free = max(free, cover.end)
        place += 1
    if free < segment.end:
        yield replace(segment, start=free)


def _filled(painted: Sequence[Segment], window: Window) -> list[Segment]:
    ends = [window.start, *(segment.end for segment in painted)]
    starts = [*(segment.start for segment in painted), window.end]
    empty = [Segment(begins, ends_, None) for begins, ends_ in zip(ends, starts, strict=True) if begins < ends_]
    return sorted([*painted, *empty], key=lambda segment: segment.start)


def _merged(ordered: Sequence[Segment]) -> list[Segment]:
    """Join neighbours of one person and source: a turn cut at midnight is still one turn."""
    merged: list[Segment] = []
    for segment in ordered:
        last = merged[-1] if merged else None
        if last and last.end == segment.start and (last.person, last.source) == (segment.person, segment.source):
            merged[-1] = replace(last, end=segment.end)
        else:
            merged.append(segment)
    return merged


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the first whole second with the offset that holds at `after`."""
    old = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def _offset(text: str) -> timedelta:
    match = _MOMENT.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a weekday and a time such as Mon 09:00")
    day, hours, minutes = match.groups()
    return timedelta(days=WEEKDAYS.index(day), hours=int(hours), minutes=int(minutes))


@dataclass(frozen=True, slots=True)
class Share:
    """What one person carries: elapsed hours on call, those of them at night, and those on Saturdays and Sundays."""

    person: Person
    hours: float
    night_hours: float
    weekend_hours: float


NIGHT = (time(22), time(6))


def shares(found: Sequence[Segment], zone: ZoneInfo) -> list[Share]:
    """Return everybody's share of a schedule, the largest first. Nights are 22:00 to 06:00 in its time zone."""
    sums: dict[str, tuple[Person, list[float]]] = {}
    for segment in found:
        if segment.person is None:
            continue
        _, hours = sums.setdefault(segment.person.key, (segment.person, [0.0, 0.0, 0.0]))
        for part in _parts_of_days(segment, zone):
            hours[0] += part.hours
            local = part.start.astimezone(zone)
            hours[1] += part.hours if local.time() >= NIGHT[0] or local.time() < NIGHT[1] else 0
            hours[2] += part.hours if local.weekday() >= 5 else 0
    counted = [Share(person, *(round(value, 4) for value in hours)) for person, hours in sums.values()]
    return sorted(counted, key=lambda share: (-share.hours, share.person.name))


def _parts_of_days(segment: Segment, zone: ZoneInfo) -> Iterator[Segment]:
    """Cut a segment where a day, a night or a morning begins in local time."""
    day = segment.start.astimezone(zone).date()
    last = segment.end.astimezone(zone).date()
    cuts = {segment.start, segment.end}
    while day <= last:
        cuts |= {cut for cut in _cuts_of(day, zone) if segment.start < cut < segment.end}
        day += timedelta(days=1)
    for begins, ends in pairwise(sorted(cuts)):
        yield replace(segment, start=begins, end=ends)


def _cuts_of(day: date, zone: ZoneInfo) -> list[datetime]:
    return [instant(datetime.combine(day, moment), zone) for moment in (time.min, NIGHT[1], NIGHT[0])]
