"""A back-test in words and as plain values."""

from __future__ import annotations

from typing import Any

from alerts.services.trials.backtest import Backtest
from core.money import to_text

HOUR, DAY = 3600, 86_400


def sentence(found: Backtest) -> str:
    """Return what came of a back-test in one sentence."""
    days = round(found.period.length.total_seconds() / DAY)
    if not found.fired_count:
        return f"would not have fired in the last {days} days."
    times = "once" if found.fired_count == 1 else f"{found.fired_count:,} times"
    return f"would have fired {times} in the last {days} days, for {spoken(found.firing_seconds)} in total."


def spoken(seconds: int) -> str:
    """Return a duration in its two larger units."""
    for length, unit, smaller_length, smaller in ((DAY, "d", HOUR, "h"), (HOUR, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= length:
            rest = seconds % length // smaller_length
            return f"{seconds // length} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def as_json(found: Backtest) -> dict[str, Any]:
    """Return a back-test as plain values, as the API answers it."""
    return {
        "start": found.period.start.isoformat(),
        "end": found.period.end.isoformat(),
        "resolution_seconds": found.resolution_seconds,
        "slot_count": found.slot_count,
        "label_set_count": found.label_set_count,
        "fired_count": found.fired_count,
        "firing_seconds": found.firing_seconds,
        "pending_only_count": found.pending_only_count,
        "unknown_count": found.unknown_count,
        "summary": sentence(found),
        "episodes": [
            {
                "labels": dict(episode.labels),
                "fired_at": episode.fired_at.isoformat(),
                "resolved_at": None if episode.resolved_at is None else episode.resolved_at.isoformat(),
                "value": None if episode.value is None else to_text(episode.value),
            }
            for episode in found.episodes
        ],
    }
