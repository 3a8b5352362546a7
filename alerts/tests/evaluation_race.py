"""One of several processes that sweep the same rules at once: `python -m alerts.tests.evaluation_race ROLE BEGUN FROM`.

Time runs SPEED times faster than outside since BEGUN, the same for all of them; they work from FROM on. Roles: `sweep`,
`die` (killed in the middle of its third evaluation) and `raise` (raises and clears a condition). Prints the slots it
has evaluated as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django

from core.ports.metrics import Labels, Metric, Sample, metrics
from core.windows import Window

METRIC, INTERVAL, AGENTS = "race.value", 10, 40
START = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
SPEED, SECONDS = 30, 8.0
DEATH = 3


class Race:
    """The metric, and the clock all processes share."""

    def __init__(self, role: str, begun: float, starts: float) -> None:
        self.role, self.begun, self.reads = role, begun, 0
        self.starts, self.ends = starts, starts + SECONDS

    def now(self) -> datetime:
        """Return the time of the race."""
        return START + timedelta(seconds=(time.time() - self.begun) * SPEED)

    def read(self, window: Window, wanted: Sequence[Labels] | None, step: int | None) -> list[Sample]:
        """Answer by the slot alone, so that everybody computes the same."""
        self.reads += 1
        if self.role == "die" and self.reads == DEATH:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.01)
        return [Sample({"agent": str(agent)}, Decimal(int(is_over(agent, window.end)))) for agent in range(AGENTS)]


def is_over(agent: int, slot: datetime) -> bool:
    """Say whether an agent is over its limit as of a slot."""
    return (int(slot.timestamp()) // INTERVAL + agent) % 7 < 3


def sweep(race: Race) -> list[str]:
    """Run both passes without a pause; return the slots whose evaluation was this process's."""
    from alerts.kinds import floor_slot
    from alerts.services import conditions, evaluation

    metrics._items[METRIC] = Metric(METRIC, "things", "A race.", ("agent",), race.read)
    mine = []
    time.sleep(max(0.0, race.starts - time.time()))
    while time.time() < race.ends:
        now = race.now()
        if evaluation.run(now):
            mine.append(floor_slot(now, INTERVAL).isoformat())
        conditions.run(now)
    conditions.run(race.now())
    return mine


def shout(race: Race) -> list[str]:
    """Raise and clear one condition, many times."""
    from core.ports.conditions import Condition, clear_condition, raise_condition

    condition = Condition("race", "one", "low", "A race")
    time.sleep(max(0.0, race.starts - time.time()))
    while time.time() < race.ends - 1:
        raise_condition(condition, now=race.now())
        time.sleep(0.05)
        clear_condition(condition, now=race.now())
        time.sleep(0.05)
    raise_condition(condition, now=race.now())
    return []


if __name__ == "__main__":
    django.setup()
    running = Race(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
    print(json.dumps(shout(running) if running.role == "raise" else sweep(running)))
