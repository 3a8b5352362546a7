"""Fingerprints of label sets, bit for bit those of Alertmanager, so that both speak of the same alert."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

_OFFSET = 14695981039346656037
_PRIME = 1099511628211
_MASK = 0xFFFF_FFFF_FFFF_FFFF
# Senders repeat the same label sets every minute; hashing one costs about ten times what looking it up does.
REMEMBERED = 20_000


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the 16 hex digits that name a label set: FNV-1a, 64 bits (Fowler, Noll, Vo), over its sorted pairs.

    Each name and each value is followed by the byte 0xFF, which occurs in no UTF-8 text. The order in which the labels
    are given does not matter.
    """
    return _of_pairs(tuple(sorted(labels.items())))


@lru_cache(maxsize=REMEMBERED)
def _of_pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    text = b"".join([b"%b\xff%b\xff" % (name.encode(), value.encode()) for name, value in pairs])
    value, prime, mask = _OFFSET, _PRIME, _MASK
    for byte in text:
        value = (value ^ byte) * prime & mask
    return f"{value:016x}"
