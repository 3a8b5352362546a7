"""Uses of API keys as security facts without a row per call: counted here, told at the first use and as counts double.

Each process counts per key, network and hour. It tells of the first use in the hour, the 128th and then at each
doubling, with the count so far: eleven rows an hour for a key that makes 100,000 calls. Keys that open
nothing are counted the same way, unknown ones by network alone, so that guessing keys does not fill the table.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from datetime import datetime

from core.context import Actor, current
from core.patience import without_waiting
from core.security import network_of, record_security_event

USED, REFUSED = "api_key.used", "api_key.refused"
MOST_ENTRIES = 20_000
HOUR = 3600
FIRST_STEP = 128
UNKNOWN = Actor("api_key", "", "unknown key")
# Counts begin anew with each process; readers add up what the processes told.
WORKER = uuid.uuid4().hex[:8]


@dataclass(slots=True)
class _Entry:
    hour: int
    count: int = 0
    tell_at: int = 1


class _Uses:
    """Counts of the current hour."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str, str], _Entry] = {}

    def counted(self, kind: str, key: str, network: str, hour: int) -> int:
        """Count one use; return the count when it is to be told, otherwise 0."""
        name = (kind, key, network)
        with self._lock:
            entry = self._entries.get(name)
            if entry is None or entry.hour != hour:
                if len(self._entries) >= MOST_ENTRIES:
                    self._entries.clear()
                entry = self._entries[name] = _Entry(hour)
            entry.count += 1
            if entry.count < entry.tell_at:
                return 0
            entry.tell_at = _next(entry.count)
            return entry.count

    def not_told(self, kind: str, key: str, network: str) -> None:
        """Tell again at the next use: the row could not be written."""
        with self._lock:
            entry = self._entries.get((kind, key, network))
            if entry is not None:
                entry.tell_at = entry.count + 1

    def clear(self) -> None:
        with self._lock:
            self._entries.clear()


_uses = _Uses()


def forget_uses() -> None:
    """Count anew, as after a restart."""
    _uses.clear()


def note_use(actor: Actor, prefix: str, family: str, now: datetime) -> None:
    """Count one call with a key that works."""
    _note(USED, actor, prefix, now, {"family": family})


def note_refusal(code: str, now: datetime, *, actor: Actor = UNKNOWN, prefix: str = "") -> None:
    """Count one call with a key that opens nothing; `code` says why."""
    _note(REFUSED, actor, prefix, now, {"code": code})


def _note(kind: str, actor: Actor, prefix: str, now: datetime, data: dict[str, object]) -> None:
    network = network_of(current().address)
    count = _uses.counted(kind, prefix, network, int(now.timestamp()) // HOUR)
    if not count:
        return
    outcome = "success" if kind == USED else "failure"
    with without_waiting():
        kept = record_security_event(
            kind,
            now=now,
            outcome=outcome,  # type: ignore[arg-type]  # one of the two
            actor=actor,
            api_key=prefix,
            count=count,
            data={**data, "worker": WORKER},
        )
    if not kept:
        _uses.not_told(kind, prefix, network)


def _next(count: int) -> int:
    return max(FIRST_STEP, 2 * count)
