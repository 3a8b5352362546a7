"""Port `health`: named checks behind `/readyz`, the doctor command, alert rules and objectives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core.ports import Registry

Status = Literal["ok", "warning", "failed"]


@dataclass(frozen=True, slots=True)
class HealthResult:
    """What a check found: in words, and how to mend it when it is not ok."""

    status: Status
    detail: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """One named check; `run` answers within a second or two and may raise, which counts as failed.

    Only a `critical` check that failed takes this process out of service (503 at `/readyz`).
    """

    name: str
    description: str
    run: Callable[[], HealthResult]
    critical: bool = False


health_checks: Registry[HealthCheck] = Registry("health", key=lambda check: check.name)
