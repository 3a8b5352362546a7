"""Port `security`: what happens around sign-ins, keys, grants and exports, told to whoever keeps and watches it.

Core and the apps say what happened; a recorder, such as the one of the alerts app, keeps it. Telling never fails and
never waits for long: what cannot be kept is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from core.context import Actor
from core.ports import Registry

Outcome = Literal["success", "failure"]


@dataclass(frozen=True, slots=True)
class SecurityFact:
    """One thing that happened: `kind` is a word such as login, api_key.used or data.exported.

    `api_key` is the prefix of the key it is about, `address` and `network` where it came from, `count` how often it
    happened since the hour began, for what is not told call by call.
    """

    kind: str
    outcome: Outcome
    at: datetime
    actor: Actor
    channel: str = ""
    api_key: str = ""
    address: str = ""
    network: str = ""
    user_agent: str = ""
    request_id: str = ""
    count: int = 1
    data: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SecurityRecorder:
    """Keeps facts: `write` makes one insert in the caller's transaction and may raise a database error."""

    name: str
    write: Callable[[SecurityFact], None]


@dataclass(frozen=True, slots=True)
class AuditedAct:
    """Audit entries that are security facts too: those whose action or subject type begins like this.

    `kind` is what they are kept as. Either of the beginnings may be empty, not both.
    """

    kind: str
    action: str = ""
    subject_type: str = ""

    @property
    def key(self) -> str:
        """What names the rule."""
        return f"{self.action} {self.subject_type}"

    def covers(self, action: str, subject_type: str) -> bool:
        """Say whether an entry is one of these."""
        return action.startswith(self.action) and subject_type.startswith(self.subject_type)


@dataclass(frozen=True, slots=True)
class ActorPage:
    """A page that shows everything one actor, key or address did: `link(kind, value)` is its address.

    `kind` is user, api_key or address; `permission` is what a person needs to open it.
    """

    name: str
    permission: str
    link: Callable[[str, str], str]


security_recorders: Registry[SecurityRecorder] = Registry("security", key=lambda recorder: recorder.name)
audited_acts: Registry[AuditedAct] = Registry("audited acts", key=lambda act: act.key)
actor_pages: Registry[ActorPage] = Registry("actor pages", key=lambda page: page.name)
