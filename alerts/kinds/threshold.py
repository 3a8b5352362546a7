"""Threshold rules: the value over the window compared with a number, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from alerts.kinds.base import HOLDS, Ask, Comparison, Kind, MetricUse, Name, Read, Seconds, Selection, Verdict
from alerts.kinds.base import window_before as before


class ThresholdParameters(Selection, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """`metric` over the last `window_seconds`, compared with `threshold`."""

    metric: Name
    comparison: Comparison = ">"
    threshold: Decimal
    window_seconds: Seconds = 300


def asks(parameters: ThresholdParameters, slot: datetime) -> Sequence[Ask]:
    """Ask for the window that ends at the slot."""
    return (parameters.ask(parameters.metric, before(slot, parameters.window_seconds)),)


def judge(parameters: ThresholdParameters, slot: datetime, read: Read) -> Iterator[Verdict]:
    """Compare each value with the threshold."""
    holds, threshold = HOLDS[parameters.comparison], parameters.threshold
    (ask,) = asks(parameters, slot)
    for labels, value in parameters.pick(read(ask)).items():
        yield Verdict(labels, holds(value, threshold), value)


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
