"""The routing tree with Alertmanager's meaning: which branches an alert reaches, and how each groups what it gets."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from alerts import intervals
from alerts.matching import Matcher, matches

GROUP_WAIT = timedelta(seconds=30)
GROUP_INTERVAL = timedelta(minutes=5)
REPEAT_INTERVAL = timedelta(hours=4)
# As in Alertmanager: by all labels, so that every alert is a group of its own.
EVERY_LABEL = "..."


@dataclass(frozen=True, slots=True)
class Times:
    """A time interval by name, with its time zone."""

    name: str
    zone: ZoneInfo
    intervals: Sequence[Mapping[str, Any]]

    def contains(self, at: datetime) -> bool:
        """Say whether an instant lies in it."""
        return intervals.contains(self.intervals, at, self.zone)


@dataclass(frozen=True, slots=True)
class Branch:
    """One route with everything it inherits; `path` is how people name the way to it."""

    id: int
    name: str
    path: str
    matchers: tuple[Matcher, ...]
    receiver: int | None
    continues: bool
    group_by: tuple[str, ...]
    wait: timedelta
    interval: timedelta
    repeat: timedelta
    mute: tuple[Times, ...] = ()
    active: tuple[Times, ...] = ()
    children: tuple[Branch, ...] = ()

    def walk(self) -> Iterator[Branch]:
        """Yield this branch and everything below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def muted_by(self, at: datetime) -> str:
        """Return the name of the time interval that keeps the branch quiet at an instant, or nothing."""
        for times in self.mute:
            if times.contains(at):
                return times.name
        if self.active and not any(times.contains(at) for times in self.active):
            return self.active[0].name
        return ""

    def group_labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Return the labels that an alert is grouped by here; those it lacks are left out."""
        names = labels if EVERY_LABEL in self.group_by else self.group_by
        return {name: labels[name] for name in sorted(names) if name in labels}


@dataclass(frozen=True, slots=True)
class Step:
    """One branch that was looked at for a label set, in order: whether it matched, and whether it is where it ends."""

    branch: Branch
    depth: int
    matched: bool
    reached: bool


@dataclass(slots=True)
class Walk:
    """How a label set went through the tree."""

    reached: list[Branch] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def reach(root: Branch, labels: Mapping[str, str]) -> list[Branch]:
    """Return the branches that get an alert with these labels: the deepest that match, the first of each level.

    A branch that continues lets those after it match as well. The root gets what nothing below it does.
    """
    return walk(root, labels).reached


def walk(root: Branch, labels: Mapping[str, str]) -> Walk:
    """Return the branches that get an alert with these labels, and everything that was looked at on the way."""
    found = Walk()
    _walk(root, labels, 0, found)
    return found


def _walk(branch: Branch, labels: Mapping[str, str], depth: int, found: Walk) -> bool:
    # The root takes everything, whatever its matchers say.
    if depth and not matches(branch.matchers, labels):
        found.steps.append(Step(branch, depth, matched=False, reached=False))
        return False
    place, before = len(found.steps), len(found.reached)
    for child in branch.children:
        if _walk(child, labels, depth + 1, found) and not child.continues:
            break
    own = len(found.reached) == before
    if own:
        found.reached.append(branch)
    found.steps.insert(place, Step(branch, depth, matched=True, reached=own))
    return True


def group_key(labels: Mapping[str, str]) -> str:
    """Return the key of a group by its labels: their SHA-256 in hexadecimal."""
    return hashlib.sha256(msgspec.json.encode(sorted(labels.items()))).hexdigest()
