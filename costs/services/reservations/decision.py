"""What both databases decide on and answer with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from costs.services.reservations.asking import Ask, Bound, Room

Outcome = Literal["held", "known", "taken", "unknown_entity", "missing_period", "stale_limit", "refused"]


@dataclass(frozen=True, slots=True)
class Wish:
    """One reservation to be made or refused."""

    id: UUID
    client: UUID
    key: str
    content_hash: UUID
    ask: Ask
    bound: Bound
    now: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a wish. `known` and `taken`: the key is in use (`taken`: by somebody committing right now).

    The three after that say what has to be made first; `refused` comes with the budget that is short of most.
    """

    outcome: Outcome
    entity: int | None = None
    tightest: Room | None = None
