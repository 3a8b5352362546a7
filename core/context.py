"""Who is acting, through which door and in which request: carried with the work, not passed by hand.

Kept in context variables, so threads, tasks and asynchronous code never see each other's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal

Channel = Literal["admin", "api", "task", "command", "system"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever acts: a user, an API key or the platform itself. The label stays readable after it is gone."""

    kind: Literal["user", "api_key", "system"]
    identifier: str
    label: str


SYSTEM = Actor("system", "system", "system")


@dataclass(frozen=True, slots=True)
class Context:
    """The circumstances of the work in hand; address and client are those of the request it came with."""

    actor: Actor = SYSTEM
    channel: Channel = "system"
    request_id: str = ""
    reason: str = ""
    address: str = ""
    user_agent: str = ""


_current: ContextVar[Context] = ContextVar("context", default=Context())  # noqa: B039  # frozen


def current() -> Context:
    """Return the circumstances of the work in hand."""
    return _current.get()


def set_actor(actor: Actor) -> None:
    """Name who acts for the rest of this request or task."""
    _current.set(replace(_current.get(), actor=actor))


@contextmanager
def acting(context: Context) -> Iterator[None]:
    """Run a block under these circumstances."""
    token = _current.set(context)
    try:
        yield
    finally:
        _current.reset(token)
