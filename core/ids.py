"""Time-ordered identifiers (UUID version 7, RFC 9562): new rows land at the end of an index."""

from __future__ import annotations

import os
import struct
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """Return a version 7 UUID, strictly increasing within this process even when the clock steps back."""
    global _last  # noqa: PLW0603  # one counter per process is the point
    # 48 bits of milliseconds and 12 of sub-millisecond fraction (RFC 9562, 6.2 method 3).
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        _last = now = max(now, _last + 1)
    return uuid.UUID(int=_head(now) | int.from_bytes(os.urandom(8), "big") >> 2)


def uuid7s(count: int) -> list[uuid.UUID]:
    """Return `count` version 7 UUIDs in rising order, at a fifth of the price of asking for each."""
    tick = _take(count)
    head = _head(tick)
    found = []
    for noise in struct.unpack(f">{count}Q", os.urandom(8 * count)):
        # The constructor would check what is known here, at twice the price of everything else.
        value = _new(uuid.UUID)
        _set(value, "int", head | noise >> 2)
        _set(value, "is_safe", _UNKNOWN)
        found.append(value)
        tick += 1
        head = head + _NEXT if tick & 0xFFF else _head(tick)
    return found


def uuid7_texts(count: int) -> list[str]:
    """Return what `uuid7s` does as text, at half its price where nobody needs the objects."""
    tick = _take(count)
    noise = os.urandom(8 * count).hex()
    found = []
    head = _text_head(tick)
    for at in range(0, 16 * count, 16):
        found.append(
            f"{head}{_SUBS[tick & 0xFFF]}{_VARIANTS[noise[at]]}{noise[at + 1 : at + 4]}-{noise[at + 4 : at + 16]}"
        )
        tick += 1
        if not tick & 0xFFF:
            head = _text_head(tick)
    return found


# The twelve bits after the version, and the first digit after them: the variant 10 with two bits of noise.
_SUBS = [f"{number:03x}-" for number in range(4096)]
_VARIANTS = {f"{digit:x}": f"{8 | digit & 3:x}" for digit in range(16)}


def _take(count: int) -> int:
    """Take `count` ticks of the clock, later than all before, and return the first."""
    global _last  # noqa: PLW0603  # one counter per process is the point
    now = time.time_ns() * 4096 // 1_000_000
    with _lock:
        tick = max(now, _last + 1)
        _last = tick + count - 1
    return tick


def _text_head(tick: int) -> str:
    moment = f"{tick >> 12:012x}"
    return f"{moment[:8]}-{moment[8:]}-7"


_new, _set = object.__new__, object.__setattr__
_UNKNOWN = uuid.SafeUUID.unknown
_NEXT = 1 << 64


def _head(tick: int) -> int:
    return (tick >> 12) << 80 | 0x7 << 76 | (tick & 0xFFF) << 64 | 0b10 << 62
