"""Admin rows of services, indicators, objectives, exclusions and budget policies."""

from __future__ import annotations

from collections.abc import Callable

Rows = Callable[[int], None]

ROWS: dict[str, Rows] = {}
