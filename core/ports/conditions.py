"""Port `conditions`: an app says that something is wrong, or right again; who is told is not its business.

A condition is written in the transaction that found it, so it is never lost and never announced for work that was
rolled back. Raising one that is firing already, or clearing one that is not, changes nothing but its details.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Severity = Literal["critical", "high", "medium", "low", "info"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that can be wrong: `source` (the app and check) and `key` (which object) name it for ever."""

    source: str
    key: str
    severity: Severity
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)
    link: str = ""


def raise_condition(condition: Condition, *, now: datetime) -> bool:
    """Record that the condition holds; True when it did not hold before."""
    from core import conditions  # models load after the ports

    return conditions.set_state(condition, firing=True, now=now)


def clear_condition(condition: Condition, *, now: datetime) -> bool:
    """Record that the condition holds no longer; True when it held before."""
    from core import conditions  # models load after the ports

    return conditions.set_state(condition, firing=False, now=now)
