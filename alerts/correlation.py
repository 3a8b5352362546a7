"""Correlations over events: those of Sigma (event_count, value_count, temporal, temporal_ordered) and two of
statistics (new_value, baseline). No Django here: events and a rule in, findings out.

A correlation is looked at around events that were not seen before: whatever it finds has one of them in it, so looking
again at the same events finds nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

MOST_EVIDENCE = 50
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `fields` are texts, `count` is how often it happened in its hour so far."""

    id: int
    at: datetime
    kind: str
    fields: Mapping[str, str]
    count: int = 1

    def value(self, name: str) -> str:
        """Return one field, empty where the event has none."""
        return self.fields.get(name, "")


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events count: of these kinds, with these values; `at_least` so many of them make a step."""

    kinds: tuple[str, ...]
    where: Mapping[str, str] = field(default_factory=dict)
    at_least: int = 1

    def takes(self, event: Event) -> bool:
        """Say whether an event is selected."""
        return event.kind in self.kinds and all(event.value(name) == value for name, value in self.where.items())


@dataclass(frozen=True, slots=True)
class Correlation:
    """What is looked for: `steps` of events, per group, within a window.

    event_count: at least `threshold` events. value_count: of at least `threshold` different values of `field`.
    temporal: every step, in any order; temporal_ordered: one after the other. new_value: a value of `field` that the
    group did not have within `window`, though it had others. baseline: more than `factor` times the median of the
    hours with any use within `window`, and more than `threshold`, once there are `least_hours` of them.
    """

    kind: str
    steps: tuple[Selector, ...]
    group_by: tuple[str, ...]
    window: timedelta
    threshold: int = 1
    field: str = ""
    factor: float = 5.0
    least_hours: int = 24

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds of events that it looks at."""
        return tuple(dict.fromkeys(kind for step in self.steps for kind in step.kinds))


@dataclass(frozen=True, slots=True)
class Finding:
    """A group for which the correlation holds: since when, how much of it, and the events that show it."""

    group: tuple[tuple[str, str], ...]
    began_at: datetime
    last_at: datetime
    amount: int
    evidence: tuple[int, ...]
    detail: str = ""


def find(correlation: Correlation, events: Iterable[Event], fresh: Collection[int]) -> list[Finding]:
    """Return what holds around the events that are `fresh` (ids); at most one finding per group, the latest one.

    Events without a value in one of the fields of `group_by` belong to no group.
    """
    look = FINDERS[correlation.kind]
    found = []
    for group, members in _groups(correlation, events).items():
        if any(event.id in fresh for event in members):
            finding = look(correlation, group, members, fresh)
            if finding is not None:
                found.append(finding)
    return found


_Group = tuple[tuple[str, str], ...]
_Finder = Callable[[Correlation, _Group, Sequence[Event], Collection[int]], Finding | None]


def _groups(correlation: Correlation, events: Iterable[Event]) -> dict[_Group, list[Event]]:
    groups: dict[_Group, list[Event]] = defaultdict(list)
    for event in sorted(events, key=lambda event: (event.at, event.id)):
        if any(step.takes(event) for step in correlation.steps):
            values = tuple((name, event.value(name)) for name in correlation.group_by)
            if all(value for _, value in values):
                groups[values].append(event)
    return groups


def _windows(correlation: Correlation, events: Sequence[Event]) -> Iterator[tuple[Event, Sequence[Event]]]:
    """Yield each event with those of the window that ends with it, half-open at its far end."""
    inside: deque[Event] = deque()
    for event in events:
        inside.append(event)
        while event.at - inside[0].at >= correlation.window:
            inside.popleft()
        yield event, tuple(inside)


def _latest(
    correlation: Correlation,
    group: _Group,
    events: Sequence[Event],
    fresh: Collection[int],
    amount_of: Callable[[Sequence[Event]], int],
) -> Finding | None:
    """Return the last window with a fresh event in it whose amount reaches the threshold."""
    best = None
    for event, inside in _windows(correlation, events):
        if any(item.id in fresh for item in inside):
            amount = amount_of(inside)
            if amount >= correlation.threshold:
                best = _finding(group, inside, amount, event.at)
    return best


def _event_count(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    return _latest(correlation, group, events, fresh, len)


def _value_count(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    def different(inside: Sequence[Event]) -> int:
        return len({event.value(correlation.field) for event in inside} - {""})

    return _latest(correlation, group, events, fresh, different)


def _temporal(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    def complete(inside: Sequence[Event]) -> int:
        enough = (sum(map(step.takes, inside)) >= step.at_least for step in correlation.steps)
        return len(inside) if all(enough) else 0

    return _latest(correlation, group, events, fresh, complete)


def _temporal_ordered(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    def complete(inside: Sequence[Event]) -> int:
        # Each step takes its events before the next one begins; the last event has to end the last step.
        step, taken = 0, 0
        for event in inside:
            if step < len(correlation.steps) and correlation.steps[step].takes(event):
                taken += 1
                if taken >= correlation.steps[step].at_least:
                    step, taken = step + 1, 0
        return len(inside) if step == len(correlation.steps) and correlation.steps[-1].takes(inside[-1]) else 0

    return _latest(correlation, group, events, fresh, complete)


def _new_value(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    best = None
    last_seen: dict[str, datetime] = {}
    for event in events:
        value = event.value(correlation.field)
        known = [at for at in last_seen.values() if event.at - at < correlation.window]
        before = last_seen.get(value)
        is_new = before is None or event.at - before >= correlation.window
        if value and is_new and known and event.id in fresh:
            best = _finding(group, (event,), 1, event.at, f"{correlation.field} {value} was not seen before")
        if value:
            last_seen[value] = event.at
    return best


def _baseline(
    correlation: Correlation, group: _Group, events: Sequence[Event], fresh: Collection[int]
) -> Finding | None:
    hours = hourly(events)
    best = None
    for hour in sorted({_hour(event.at) for event in events if event.id in fresh}):
        usual = [hours[past] for past in hours if hour - correlation.window <= past < hour]
        finding = exceeds(correlation, hours[hour], usual)
        if finding:
            inside = [event for event in events if _hour(event.at) == hour]
            best = _finding(group, inside, hours[hour], inside[-1].at, finding)
    return best


def hourly(events: Iterable[Event]) -> dict[datetime, int]:
    """Return how often per hour: counts of one worker go up within the hour, and those of several are added."""
    highest: Counter[tuple[datetime, str, str]] = Counter()
    for event in events:
        name = (_hour(event.at), event.value("worker"), event.value("network"))
        highest[name] = max(highest[name], event.count)
    total: Counter[datetime] = Counter()
    for (hour, _, _), count in highest.items():
        total[hour] += count
    return dict(total)


def exceeds(correlation: Correlation, amount: float, usual: Sequence[float]) -> str:
    """Return in words how far an hour is above what is usual; empty when it is not, or too little is known."""
    if len(usual) < correlation.least_hours:
        return ""
    middle = median(usual)
    if amount <= correlation.threshold or amount <= correlation.factor * middle:
        return ""
    return f"{amount:g} in an hour, usually {middle:g} (median of {len(usual)} hours)"


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _finding(group: _Group, inside: Sequence[Event], amount: int, last_at: datetime, detail: str = "") -> Finding:
    evidence = tuple(event.id for event in inside[-MOST_EVIDENCE:])
    return Finding(group, inside[0].at, last_at, amount, evidence, detail)


FINDERS: Mapping[str, _Finder] = {
    "event_count": _event_count,
    "value_count": _value_count,
    "temporal": _temporal,
    "temporal_ordered": _temporal_ordered,
    "new_value": _new_value,
    "baseline": _baseline,
}
