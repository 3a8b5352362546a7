"""Admin rows of rules, heartbeats, runbooks and sweeps."""

from __future__ import annotations

from collections.abc import Callable

Rows = Callable[[int], None]

ROWS: dict[str, Rows] = {}
