"""What the parts of the alerts app hand to one another about an alert, before it is a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Report:
    """One observation of one label set: it is wrong (`active`), or it is not.

    `labels` hold at least `alertname`; `severity` is one of core.choices.Severity. `starts_at` is since when, as far
    as the reporter knows. `ends_at` is when it counts as resolved unless reported again; None for a reporter who says
    so itself. An alert that was not open and becomes active is pending until it has been so for `for_seconds`; one
    that is no longer active goes on firing for `keep_firing_seconds`.
    """

    labels: Mapping[str, str]
    severity: str
    source: str
    active: bool
    starts_at: datetime
    annotations: Mapping[str, str] = field(default_factory=dict)
    ends_at: datetime | None = None
    generator_url: str = ""
    value: Decimal | None = None
    rule_id: UUID | None = None
    for_seconds: int = 0
    keep_firing_seconds: int = 0
