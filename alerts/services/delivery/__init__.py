"""The delivery pass: sends what is due, at least once, always under the same id.

Rows are claimed with a lease and committed before anything is sent; what came of it is committed while the lease is
still held. A worker that dies loses nothing: its rows are due again when the lease runs out, and go out once more under
the id that they had.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from alerts.models import Notification
from alerts.services.delivery.claiming import claim, claim_one
from alerts.services.delivery.sending import send_all
from alerts.services.delivery.settling import settle
from alerts.services.delivery.upkeep import look_after

# One pass goes on for so long at most: the schedule starts the next.
LONGEST_PASS = timedelta(seconds=45)


def run(now: datetime) -> int:
    """Send the messages that are due and return how many attempts were made. Safe to run at once in many workers."""
    begun = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    look_after(now)
    count = 0
    while clock() - now < LONGEST_PASS:
        batch = claim(clock())
        if not batch.rows:
            break
        for results in send_all(batch, clock):
            settle(batch, results, clock())
            count += len(results)
    return count


def deliver_one(row: Notification, *, now: datetime) -> bool:
    """Try one message now, past rates, circuits and switched-off channels; False when another worker has it."""
    begun = time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - begun)

    batch = claim_one(row, now)
    for results in send_all(batch, clock):
        settle(batch, results, clock())
    return bool(batch.rows)


__all__ = ["deliver_one", "run"]
