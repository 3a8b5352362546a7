"""The rows that a batch of reports reads and writes, in the words of both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from alerts.lifecycle import Standing, Step
from alerts.reports import Report

LONGEST_NAME = 200
LONGEST_ADDRESS = 2000


class Known(NamedTuple):
    """An open alert, as far as a report can change it."""

    id: UUID
    fingerprint: str
    seq: int
    standing: Standing
    quiet_until: datetime | None


class Past(NamedTuple):
    """An occurrence of an alert that fired and is over."""

    fingerprint: str
    resolved_at: datetime
    severity: str


class New(NamedTuple):
    """An alert to be written for the first time."""

    id: UUID
    fingerprint: str
    step: Step
    quiet_until: datetime | None
    flaps: int
    report: Report


class Changed(NamedTuple):
    """What an open alert becomes, written while its `seq` is still the one it was read with."""

    id: UUID
    fingerprint: str
    seq: int
    was: str
    step: Step
    quiet_until: datetime | None
    report: Report


ReadPast = Callable[[Sequence[str], datetime], Iterable[Past]]


def name_of(report: Report) -> str:
    """Return what the alert is called in lists."""
    return report.labels.get("alertname", "")[:LONGEST_NAME]


def address_of(report: Report) -> str:
    """Return where the alert comes from; an address too long to be kept would lead nowhere."""
    return report.generator_url if len(report.generator_url) <= LONGEST_ADDRESS else ""


def text_of(value: Decimal | None) -> str:
    """Return a value as it is kept beside the alert."""
    return "" if value is None else str(value)[:60]
