"""When a message is tried again, how fast a channel may be used, and when it is left alone. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

# Before each attempt, in seconds: the first at once.
SCHEDULE = (0, 5, 30, 120, 600, 1800, 7200, 21600)
# Failures in a row after which a channel is left alone, and for how long at first and at most.
CIRCUIT_FAILURES = 5
CIRCUIT_FIRST, CIRCUIT_LONGEST = 30.0, 600.0
# Answers in a row by which an address counts as gone.
GONE_ANSWERS = 3
# How much of a minute's rate may be used at once.
BURST_SECONDS = 10.0


def delay(attempts: int, retry_after: float | None, chance: Callable[[float, float], float]) -> float | None:
    """Return the seconds until the next attempt after so many, or None when there is none.

    Full jitter (Brooker, 2015): anything up to the step of the schedule, so that what failed together does not come
    back together. What the other side asked for wins.
    """
    if attempts >= len(SCHEDULE):
        return None
    return retry_after if retry_after is not None else chance(0.0, float(SCHEDULE[attempts]))


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: what may be sent now, as of an instant. A rate of 0 knows no limit."""

    rate_per_minute: int
    tokens: float
    at: datetime | None

    @property
    def capacity(self) -> float:
        """How many may be sent at once after a pause."""
        return max(1.0, self.rate_per_minute * BURST_SECONDS / 60)

    def refilled(self, now: datetime) -> float:
        """Return the tokens there are now; a bucket that was never used is full."""
        if self.at is None:
            return self.capacity
        seconds = max(0.0, (now - self.at).total_seconds())
        return min(self.capacity, self.tokens + seconds * self.rate_per_minute / 60)

    def room(self, now: datetime, most: int) -> int:
        """Return how many messages may be sent now."""
        return most if self.rate_per_minute == 0 else min(most, int(self.refilled(now) + 1e-9))


def circuit_until(failures: int, now: datetime) -> datetime | None:
    """Return until when a channel is left alone after so many failures in a row; None while it is not."""
    if failures < CIRCUIT_FAILURES:
        return None
    doublings = min(failures - CIRCUIT_FAILURES, 10)
    return now + timedelta(seconds=min(CIRCUIT_LONGEST, CIRCUIT_FIRST * 2**doublings))
