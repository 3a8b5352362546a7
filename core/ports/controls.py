"""Port `controls`: checks that the platform runs on itself, with the evidence of what they saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from core.ports import Registry

Outcome = Literal["passed", "failed", "error", "empty"]


@dataclass(frozen=True, slots=True)
class ControlResult:
    """What one run found. An empty population or an error is its own outcome, never a pass."""

    outcome: Outcome
    detail: str
    population: int
    evidence: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Control:
    """A self-test: `run(now)` looks and changes nothing. `criteria` are ids of the frameworks it supports."""

    key: str
    title: str
    passes_when: str
    every: timedelta
    criteria: tuple[str, ...]
    run: Callable[[datetime], ControlResult]


controls: Registry[Control] = Registry("controls", key=lambda control: control.key)
