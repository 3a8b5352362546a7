"""Asks metrics on behalf of many rules at once: one read per metric, window and set of label names, however many rules.

Nothing here knows what a rule is; what cannot be answered is an error of that one question.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

import structlog

from alerts.kinds.base import Answer, Ask, Fact, fact
from core.ports.metrics import Metric, Sample, metrics
from core.windows import Window

Shape = tuple[str, ...] | None
log = structlog.get_logger(__name__)


class Unanswered(Exception):
    """A metric could not be read; the text says why."""


class Waiting(Unanswered):
    """A metric is offered by nobody, in this installation or yet."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the metrics said to each question, or why they did not."""

    found: Mapping[Ask, Answer]
    failed: Mapping[Ask, Unanswered]

    def read(self, ask: Ask) -> Answer:
        """Return the answer to one of the questions; raises Unanswered."""
        if ask in self.failed:
            raise self.failed[ask]
        return self.found[ask]


def answer_all(asks: Iterable[Ask], *, after_each: Callable[[], None] = lambda: None) -> Answers:
    """Answer all questions with as few reads as their metrics, windows and label names are different."""
    groups: dict[tuple[str, Window, Shape], list[Ask]] = {}
    for ask in dict.fromkeys(asks):
        groups.setdefault((ask.metric, ask.window, _shape(ask)), []).append(ask)
    found: dict[Ask, Answer] = {}
    failed: dict[Ask, Unanswered] = {}
    for (name, window, shape), group in groups.items():
        try:
            found.update(_answer_group(_offered(name), window, shape, group))
        except Unanswered as error:
            failed.update(dict.fromkeys(group, error))
        after_each()
    return Answers(found, failed)


def _shape(ask: Ask) -> Shape:
    return None if ask.labels is None else tuple(name for name, _ in ask.labels)


def _offered(name: str) -> Metric:
    if name not in metrics:
        raise Waiting(f"waits for metric {name}")
    return metrics.get(name)


def _answer_group(metric: Metric, window: Window, shape: Shape, group: list[Ask]) -> dict[Ask, Answer]:
    wanted = None if shape is None else [dict(ask.labels or ()) for ask in group]
    try:
        samples = metric.read(window, wanted, None)
    except Exception as error:
        log.warning("metric_failed", metric=metric.name, exc_info=True)
        raise Unanswered(f"{metric.name}: {type(error).__name__}: {error}") from error
    if shape is None:
        return dict.fromkeys(group, _whole(samples))
    answers: dict[Fact, dict[Fact, Decimal]] = {ask.labels or (): {} for ask in group}
    for sample in samples:
        _sort_in(sample, shape, answers)
    return {ask: answers[ask.labels or ()] for ask in group}


def _whole(samples: Iterable[Sample]) -> Answer:
    return {fact(sample.labels): sample.value for sample in samples if sample.value is not None}


def _sort_in(sample: Sample, shape: tuple[str, ...], answers: dict[Fact, dict[Fact, Decimal]]) -> None:
    """Give a sample to the question whose labels it carries; a metric may add labels of its own to those asked for."""
    labels = sample.labels
    try:
        key = tuple([(name, labels[name]) for name in shape])
    except KeyError:
        return
    asked = answers.get(key)
    if asked is not None and sample.value is not None:
        asked[key if len(labels) == len(shape) else fact(labels)] = sample.value
