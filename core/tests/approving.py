"""Kinds of approval for tests, and people who ask and decide."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from core.context import Actor, Context, acting
from core.errors import Conflict, Invalid
from core.models import Approval, Pulse
from core.ports.approvals import ApprovalKind, Approved, Description
from core.tests.people import person

ASK, DECIDE = "core.view_job", "core.change_job"
WHY = "the launch is on Monday"


@dataclass
class Acts:
    """What was done, by which kind."""

    done: list[Mapping[str, object]] = field(default_factory=list)
    closed: list[tuple[Mapping[str, object], str]] = field(default_factory=list)
    error: Exception | None = None

    def execute(self, arguments: Mapping[str, object], approval: Approved, now: datetime) -> str:
        Pulse.objects.create(name=f"act {uuid.uuid4()} of {approval.id}", at=now)
        if self.error is not None:
            raise self.error
        self.done.append(arguments)
        return f"painted {arguments['what']}"

    def close(self, arguments: Mapping[str, object], status: str, now: datetime) -> None:
        self.closed.append((arguments, status))

    def kind(self, name: str = "test.paint", **changes: Any) -> ApprovalKind:
        """Return a kind that paints."""
        return ApprovalKind(
            name, "Paint something", ASK, DECIDE, describe,
            expires_after=timedelta(hours=8), remind_after=timedelta(hours=2),
            **{"execute": self.execute, "closed": self.close, **changes},
        )  # fmt: skip


def describe(arguments: Mapping[str, object]) -> Description:
    if arguments.get("what") == "nothing":
        raise Invalid("nothing cannot be painted")
    return Description((f"Paint {arguments['what']} red", "It cannot be undone"), ("test.thing", "7"), "/admin/")


def maria() -> Any:
    """Return somebody who may ask."""
    return person("maria", permissions=(ASK,))


def otto(name: str = "otto") -> Any:
    """Return somebody who may ask and decide."""
    return person(name, permissions=(ASK, DECIDE))


def as_user(user: Any) -> Any:
    """Return a context in which this person acts."""
    return acting(Context(actor=Actor("user", str(user.pk), user.get_username()), channel="admin"))


def asked(user: Any, now: datetime, what: str = "the fence", kind: str = "test.paint") -> Approval:
    """Return a request of this person."""
    from core.approvals import request_approval

    with as_user(user):
        return request_approval(kind, {"what": what, "coats": 2}, reason=WHY, now=now)


REFUSED = Conflict("the fence is gone")
