"""Inputs as canonical JSON: the same values are the same bytes, whoever writes them. No database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def canonical(inputs: Mapping[str, Any]) -> str:
    """Return JSON with sorted names, no spaces, plain UTF-8. Raises TypeError for binary fractions and other types."""
    _require_exact(inputs)
    return json.dumps(inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(content: str | bytes) -> str:
    """Return the SHA-256 of a text or of bytes, in hexadecimal."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def _require_exact(value: Any) -> None:
    if isinstance(value, float):
        raise TypeError("a binary fraction has no one way to be written: give decimals as text")
    if isinstance(value, Mapping):
        for item in value.values():
            _require_exact(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_exact(item)
