"""What a set of OpenSLO documents asks for, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service that is to be there."""

    slug: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SliPlan:
    """An indicator that is to be there; `values` are the columns of its row."""

    service: str
    slug: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SloPlan:
    """An objective that is to be there; `pointer` leads to it in the documents."""

    service: str
    slug: str
    sli: str
    target: Decimal
    values: Mapping[str, Any]
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that the documents ask for, in the order it is made, and what could not be taken over."""

    services: tuple[ServicePlan, ...]
    slis: tuple[SliPlan, ...]
    slos: tuple[SloPlan, ...]
    warnings: tuple[str, ...] = field(default_factory=tuple)
