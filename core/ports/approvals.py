"""Port `approvals`: acts that one person asks for and another one lets happen.

An app says what can be asked, who may ask, who may decide, and how it is carried out. What was asked for is frozen:
the arguments that were shown to who decided are the ones that `execute` is given, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from core.ports import Registry

Arguments = Mapping[str, object]


class Approved(Protocol):
    """What the function of a kind is told about the request behind it; `id` is stable over every attempt."""

    id: UUID
    reason: str
    requester_label: str
    decided_by_label: str
    decision_reason: str


@dataclass(frozen=True, slots=True)
class Description:
    """What exactly will happen, for who decides: sentences, the most important first, and where to look."""

    lines: tuple[str, ...]
    subject: tuple[str, str] = ("", "")
    link: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalKind:
    """One kind of act that needs a second person.

    `request_permission` and `approve_permission` are Django permissions ("costs.change_budget"). `describe` may raise
    a Refusal for arguments that make no sense; `execute` returns what came of it, in a sentence.

    By default `execute` runs in the transaction that marks the request as done, so it happens exactly once whatever
    crashes. With `external` it runs outside any transaction, under a lease. A crash in its middle shows the request
    as failed, unless `attempts` allows to start over; such a function has to be safe to repeat with the same `id`.
    `closed` is called in the transaction in which a request ends without having been approved.
    """

    name: str
    title: str
    request_permission: str
    approve_permission: str
    describe: Callable[[Arguments], Description]
    execute: Callable[[Arguments, Approved, datetime], str]
    expires_after: timedelta = timedelta(days=3)
    remind_after: timedelta = timedelta(hours=4)
    external: bool = False
    attempts: int = 1
    lease: timedelta = timedelta(minutes=30)
    closed: Callable[[Arguments, str, datetime], None] | None = None


approval_kinds: Registry[ApprovalKind] = Registry("approvals", key=lambda kind: kind.name)
