"""When a channel is told of a group again, by the rule of Alertmanager's notification log.

A channel is told when something fires that it was not told of, when something it was told of is over, and when the
repeat interval has passed. What it was told is kept as the fingerprints with their severity at that time.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from alerts.lifecycle import is_worse

ACKNOWLEDGED = "ack:"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether to tell, which of the alerts told are over, and what the channel will have been told afterwards."""

    notify: bool
    over: tuple[str, ...]
    told: dict[str, str]
    repeated: bool = False


def told_as(severity: str, *, acknowledged: bool) -> str:
    """Return how an alert is written down that was told of."""
    return f"{ACKNOWLEDGED}{severity}" if acknowledged else severity


def decide(
    told: Mapping[str, str],
    firing: Mapping[str, str],
    hidden: Collection[str],
    *,
    sends_resolved: bool,
    repeat_due: bool,
) -> Decision:
    """Return what a channel is told next.

    `told` is what it was told to fire, `firing` what fires and may be told now, `hidden` what fires and may not be told
    (silenced, inhibited, quiet after a cooldown, flapping). What is hidden is neither told nor taken to be over. Only
    what was told is ever said to be over. Nobody is reminded of what is acknowledged.
    """
    over = tuple(name for name in told if name not in firing and name not in hidden)
    if not firing:
        if not over:
            return Decision(notify=False, over=(), told=dict(told))
        # For who counts it as one matter it is over: what is hidden is told anew when it is hidden no longer.
        return Decision(notify=sends_resolved, over=over, told={})
    news = any(_is_news(told.get(name), value) for name, value in firing.items())
    reminds = repeat_due and any(not value.startswith(ACKNOWLEDGED) for value in firing.values())
    kept = {name: value for name, value in told.items() if name in hidden}
    notify = news or reminds or (bool(over) and sends_resolved)
    return Decision(notify, over, {**kept, **firing}, repeated=not news and not over)


def _is_news(told: str | None, value: str) -> bool:
    if told is None:
        return True
    if told.startswith(ACKNOWLEDGED) and not value.startswith(ACKNOWLEDGED):
        return True
    return is_worse(value.removeprefix(ACKNOWLEDGED), told.removeprefix(ACKNOWLEDGED))
