"""Which amount of a budget is in force at an instant, worked out from its revisions. No Django here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from core.money import ZERO


class Revision(Protocol):
    """An amount from an instant on, or for a while."""

    @property
    def amount(self) -> Decimal: ...
    @property
    def effective_from(self) -> datetime: ...
    @property
    def expires_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class Limit:
    """The amount in force, and until when it can be relied on (None: until somebody revises it)."""

    amount: Decimal
    until: datetime | None


def limit_in_force(revisions: Iterable[Revision], at: datetime) -> Limit:
    """Return the limit at an instant: the latest lasting amount, or the highest temporary raise above it.

    A lasting revision during a temporary raise does not end the raise, and the end of a raise uncovers whatever
    lasting amount is then the latest: neither can be lost. Before the first revision the limit is 0.
    """
    # Of two revisions at the same instant the one written later holds: max() keeps the first of equals.
    known = list(revisions)
    begun = [revision for revision in known if revision.effective_from <= at]
    lasting = [revision for revision in begun if revision.expires_at is None]
    latest = max(lasting, key=lambda revision: revision.effective_from, default=None)
    raises = [(revision.amount, revision.expires_at) for revision in begun if revision.expires_at]
    running = [(amount, end) for amount, end in raises if end > at]
    changes = [revision.effective_from for revision in known if revision.effective_from > at]
    return Limit(
        amount=max([latest.amount if latest else ZERO, *(amount for amount, _ in running)]),
        until=min([*changes, *(end for _, end in running)], default=None),
    )
