"""What every kind of rule is made of: the questions it asks of metrics, and the verdicts it comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from core.errors import FieldError
from core.windows import Window

Fact = tuple[tuple[str, str], ...]
"""A label set as sorted pairs, so that it can be compared and looked up."""
Answer = Mapping[Fact, Decimal]
Comparison = Literal[">", ">=", "<", "<=", "==", "!="]
Aggregate = Literal["sum", "max", "min", "avg"]
Seconds = Annotated[int, Meta(ge=60, le=90 * 86_400)]
Name = Annotated[str, Meta(min_length=1, max_length=200)]
LabelName = Annotated[str, Meta(min_length=1, max_length=100)]

HOLDS: dict[str, Callable[[Decimal, Decimal], bool]] = {
    ">": Decimal.__gt__,
    ">=": Decimal.__ge__,
    "<": Decimal.__lt__,
    "<=": Decimal.__le__,
    "==": Decimal.__eq__,
    "!=": Decimal.__ne__,
}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """A window as seen from the slot: so many seconds that end `back` seconds before it, or `weeks` weeks before it.

    Weeks are counted on the wall clock of `time_zone`: the same hour of the same weekday, whatever the clocks did.
    """

    seconds: int
    back: int = 0
    weeks: int = 0
    time_zone: str = ""

    def window(self, slot: datetime) -> Window:
        """Return the window as of a slot."""
        return _window(self, slot)


class Ask(NamedTuple):
    """One question to a metric: its value over a span, for one label set, or for all it has (`labels` None)."""

    metric: str
    span: Span
    labels: Fact | None


class Verdict(NamedTuple):
    """What a rule found for one label set: wrong, right, or (None) not to be told, with the value it looked at."""

    labels: Fact
    active: bool | None
    value: Decimal | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class MetricUse:
    """One metric a rule reads: where its parameters name it, by which labels, and whether its past is needed."""

    pointer: str
    name: str
    labels: tuple[tuple[str, str], ...] = ()
    past: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of rule.

    `asks(parameters)` names everything it wants to know, `judge(parameters, answers)` decides on the answers, which
    come in the order of the questions: both know no clock, so that two workers come to the same verdicts. `mistakes`
    says what the types of the parameters cannot. A kind without `judge` is not evaluated by the clock; one that
    `needs_data` has no verdict when no question has an answer.
    """

    name: str
    purpose: str
    parameters: type[msgspec.Struct]
    asks: Callable[[Any], Sequence[Ask]] = lambda _parameters: ()
    judge: Callable[[Any, Sequence[Answer]], Iterable[Verdict]] | None = None
    uses: Callable[[Any], Iterable[MetricUse]] = lambda _parameters: ()
    mistakes: Callable[[Any], Iterable[FieldError]] = lambda _parameters: ()
    example: Mapping[str, object] = field(default_factory=dict)
    needs_data: bool = True


def fact(labels: Mapping[str, str]) -> Fact:
    """Return a label set in the form that can be compared."""
    return tuple(sorted(labels.items()))


@lru_cache(maxsize=4096)
def _window(span: Span, slot: datetime) -> Window:
    end = slot - timedelta(seconds=span.back)
    if span.weeks:
        # Wall time minus whole weeks; through UTC an hour that the clocks skip becomes a real one.
        end = (end.astimezone(ZoneInfo(span.time_zone)) - timedelta(weeks=span.weeks)).astimezone(UTC)
    return Window(end - timedelta(seconds=span.seconds), end)


def floor_slot(now: datetime, interval_seconds: int) -> datetime:
    """Return the last whole multiple of the interval since 1970 that is not after `now`, in UTC."""
    elapsed = int((now - EPOCH).total_seconds())
    return EPOCH + timedelta(seconds=elapsed - elapsed % interval_seconds)


def combined(answer: Answer, by: Sequence[str], how: Aggregate, labels: Mapping[str, str]) -> dict[Fact, Decimal]:
    """Return one value per set of values of `by`, over the label sets that carry `labels`.

    Label sets without one of the names are left out: they belong to no group.
    """
    groups: dict[Fact, list[Decimal]] = {}
    wanted = tuple(sorted(by))
    for have, value in answer.items():
        found = dict(have)
        if all(found.get(name) == text for name, text in labels.items()) and all(name in found for name in wanted):
            groups.setdefault(tuple((name, found[name]) for name in wanted), []).append(value)
    return {key: _AGGREGATES[how](values) for key, values in groups.items()}


def _average(values: Sequence[Decimal]) -> Decimal:
    return sum(values, Decimal(0)) / len(values)


_AGGREGATES: dict[str, Callable[[Sequence[Decimal]], Decimal]] = {
    "sum": lambda values: sum(values, Decimal(0)),
    "max": max,
    "min": min,
    "avg": _average,
}


class Selection(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which label sets of a metric a rule looks at.

    With `labels` alone: that one label set. With `by`: one alert per set of values of those labels, combined by
    `aggregate` over all that carry `labels`. With neither: one alert per label set that the metric reports.
    """

    labels: dict[LabelName, str] = {}
    by: list[LabelName] = []
    aggregate: Aggregate = "sum"

    def ask(self, metric: str, span: Span) -> Ask:
        """Return the question for this selection."""
        whole = self.by or not self.labels
        return Ask(metric, span, None if whole else fact(self.labels))

    def pick(self, answer: Answer) -> Answer:
        """Return the values by label set that the selection means."""
        return combined(answer, self.by, self.aggregate, self.labels) if self.by else answer

    def named(self) -> tuple[tuple[str, str], ...]:
        """Return the labels it names, each with the pointer to where."""
        pairs = [(f"/labels/{name}", name) for name in self.labels]
        return (*pairs, *((f"/by/{index}", name) for index, name in enumerate(self.by)))
