"""Port `panels`: what an app shows on the home page, to whom, without knowing the home page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.ports import Registry


@dataclass(frozen=True, slots=True)
class Figure:
    """One number with its label, a note under it, and the address of the rows behind it."""

    label: str
    value: str
    note: str = ""
    link: str = ""
    tone: Literal["neutral", "good", "warning", "bad"] = "neutral"


@dataclass(frozen=True, slots=True)
class Series:
    """One line or stack of a chart: as many values as the chart has labels."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart whose points lead to rows: `drill` is an address with {label} and {series} in it, or empty."""

    title: str
    kind: Literal["bar", "stacked", "line"]
    labels: Sequence[str]
    series: Sequence[Series]
    unit: str = ""
    drill: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A short table; each row has one cell per heading and an address (or an empty one)."""

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[Sequence[str], str]]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """What one app contributes, shown to who has `permission`; `build(now)` may return nothing worth showing.

    `order` sorts panels over all apps, small first. `empty` says what to do when there is no data yet.
    """

    key: str
    title: str
    permission: str
    build: Callable[[datetime], Sequence[Figure | Chart | Table]]
    order: int = 100
    empty: str = ""
    groups: tuple[str, ...] = field(default_factory=tuple)


panels: Registry[Panel] = Registry("panels", key=lambda panel: panel.key)
