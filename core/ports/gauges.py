"""Port `gauges`: values of an app that operators watch in Prometheus, read at each scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from core.ports import Registry
from core.ports.metrics import Sample


@dataclass(frozen=True, slots=True)
class Gauge:
    """One value, or one per set of labels, as of `now`. Few labels with few values: each pair is a series for ever."""

    name: str
    description: str
    labels: tuple[str, ...]
    read: Callable[[datetime], Iterable[Sample]]


gauges: Registry[Gauge] = Registry("gauges", key=lambda gauge: gauge.name)
