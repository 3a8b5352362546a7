"""Port `metrics`: named values over a window, read in bulk.

A metric answers for many label sets with one query: an alert rule over a thousand agents costs one read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from core.ports import Registry
from core.windows import Window

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """One value for one set of labels; `at` is the start of its bucket, or None for the window's total."""

    labels: Labels
    value: Decimal | None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measure: `read(window, wanted, step_seconds)`.

    `wanted` restricts to these label sets (None: all of them); `step_seconds` None gives one total per label set,
    otherwise one sample per bucket. No data gives no sample; it is never reported as zero.

    `kind` says what its past is: `sum`, the buckets of a window add up to its total; `value`, they do not (a ratio, a
    percentile); `state`, a value as of the end of the window, of which the past is not kept.
    """

    name: str
    unit: str
    description: str
    labels: tuple[str, ...]
    read: Callable[[Window, Sequence[Labels] | None, int | None], Sequence[Sample]]
    kind: Literal["sum", "value", "state"] = "value"


def is_wanted(labels: Labels, wanted: Sequence[Labels] | None) -> bool:
    """Say whether a series is among the wanted ones: one of them has no label that differs from it."""
    return wanted is None or any(all(labels.get(name) == value for name, value in one.items()) for one in wanted)


metrics: Registry[Metric] = Registry("metrics", key=lambda metric: metric.name)
