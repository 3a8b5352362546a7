"""A worker that routes and flushes as fast as it can until it is killed: `python -m alerts.tests.routing_race`."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import django

PAUSE_SECONDS = 0.01


def work() -> None:
    """Run the passes for ever; whoever started this kills it."""
    from alerts.services import flushing, routing

    while True:
        now = datetime.now(UTC)
        routing.run(now)
        flushing.run(now)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    django.setup()
    print("ready", flush=True)
    work()
