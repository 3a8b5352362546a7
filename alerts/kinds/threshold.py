"""Threshold rules: the value over the window compared with a number, exactly."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from alerts.kinds.base import HOLDS, Answer, Ask, Comparison, Kind, MetricUse, Name, Seconds, Selection, Span, Verdict


class ThresholdParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`metric` over the last `window_seconds`, compared with `threshold`."""

    metric: Name
    comparison: Comparison = ">"
    threshold: Decimal
    window_seconds: Seconds = 300


def asks(parameters: ThresholdParameters) -> Sequence[Ask]:
    """Ask for the window that ends at the slot."""
    return (parameters.ask(parameters.metric, Span(parameters.window_seconds)),)


def judge(parameters: ThresholdParameters, answers: Sequence[Answer]) -> Iterable[Verdict]:
    """Compare each value with the threshold."""
    holds, threshold = HOLDS[parameters.comparison], parameters.threshold
    answer = parameters.pick(answers[0])
    return [Verdict(labels, holds(value, threshold), value) for labels, value in answer.items()]


def uses(parameters: ThresholdParameters) -> Iterator[MetricUse]:
    """Name the one metric."""
    yield MetricUse("/metric", parameters.metric, parameters.named())


THRESHOLD = Kind(
    name="threshold",
    purpose="A value over a window passes a number.",
    parameters=ThresholdParameters,
    asks=asks,
    judge=judge,
    uses=uses,
    example={"metric": "costs.spend", "comparison": ">", "threshold": "100", "window_seconds": 3600},
)
