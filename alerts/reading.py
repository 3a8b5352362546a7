"""Asks metrics on behalf of many rules at once: one read per metric, window and set of label names, however many rules.

Nothing here knows what a rule is; what cannot be answered is an error of that one question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import structlog

from alerts.kinds.base import Answer, Ask, Fact, Span, fact
from core.ports.metrics import Labels, Metric, Sample, metrics
from core.windows import Window

NOTHING: Answer = {}
log = structlog.get_logger(__name__)


class Unanswered(Exception):
    """A metric could not be read; the text says why."""


class Waiting(Unanswered):
    """A metric is offered by nobody, in this installation or yet."""


Result = Answer | Unanswered


@dataclass(slots=True)
class Group:
    """Questions that one read answers: those for one label set each, by these names, or one for all there are."""

    metric: str
    span: Span
    names: tuple[str, ...] | None
    wanted: list[Labels] = field(default_factory=list)
    by_labels: dict[Fact, int] = field(default_factory=dict)
    whole: int = 0

    def add(self, number: int, ask: Ask) -> None:
        """Take in one question under its number."""
        if ask.labels is None:
            self.whole = number
            return
        self.wanted.append(dict(ask.labels))
        self.by_labels[ask.labels] = number

    def numbers(self) -> Iterable[int]:
        """Return the numbers of the questions."""
        return [self.whole] if self.names is None else self.by_labels.values()

    def answer(self, window: Window, results: list[Result]) -> None:
        """Read the metric once and put every answer at the number of its question."""
        try:
            samples = _read(_offered(self.metric), window, None if self.names is None else self.wanted)
        except Unanswered as error:
            for number in self.numbers():
                results[number] = error
            return
        self.share({fact(one.labels): one.value for one in samples if one.value is not None}, results)

    def share(self, values: Answer, results: list[Result]) -> None:
        """Give values to the questions whose labels they carry; a metric may add labels to those it was asked for."""
        if self.names is None:
            results[self.whole] = values
            return
        width = len(self.names)
        found: dict[int, dict[Fact, Decimal]] = {}
        for labels, value in values.items():
            asked = self.by_labels.get(labels if len(labels) == width else _only(self.names, labels))
            if asked is not None:
                found.setdefault(asked, {})[labels] = value
        for number, answer in found.items():
            results[number] = answer


class Plan:
    """The questions of many rules, sorted into reads once and answered as of any slot."""

    def __init__(self, asks: Iterable[Ask]) -> None:
        self.asks: list[Ask] = []
        self.groups: list[Group] = []
        self._numbers: dict[Ask, int] = {}
        groups: dict[tuple[str, Span, tuple[str, ...] | None], Group] = {}
        for ask in asks:
            if ask in self._numbers:
                continue
            number = self._numbers[ask] = len(self.asks)
            self.asks.append(ask)
            names = None if ask.labels is None else tuple(name for name, _ in ask.labels)
            key = (ask.metric, ask.span, names)
            if key not in groups:
                groups[key] = Group(ask.metric, ask.span, names)
                self.groups.append(groups[key])
            groups[key].add(number, ask)

    def number(self, ask: Ask) -> int:
        """Return where the answer to a question stands."""
        return self._numbers[ask]

    def answer(self, slot: datetime, *, after_each: Callable[[], None] = lambda: None) -> list[Result]:
        """Return the answers to all questions as of a slot; one that failed stands for its own questions only."""
        results: list[Result] = [NOTHING] * len(self.asks)
        for group in self.groups:
            group.answer(group.span.window(slot), results)
            after_each()
        return results


def _only(names: Sequence[str], labels: Fact) -> Fact:
    named = dict(labels)
    return tuple([(name, named.get(name, "")) for name in names])


def _offered(name: str) -> Metric:
    if name not in metrics:
        raise Waiting(f"waits for metric {name}")
    return metrics.get(name)


def _read(metric: Metric, window: Window, wanted: Sequence[Labels] | None) -> Sequence[Sample]:
    try:
        return metric.read(window, wanted, None)
    except Exception as error:
        log.warning("metric_failed", metric=metric.name, exc_info=True)
        raise Unanswered(f"{metric.name}: {type(error).__name__}: {error}") from error
