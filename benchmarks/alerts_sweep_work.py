"""Sweeps rules over the agents that benchmarks.bulk made: `python -m benchmarks.alerts_sweep_work RULES`; prints JSON.

Each rule watches what one agent has spent in a week. The reference asks for it rule by rule and compares; it neither
keeps nor tells what it found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import django

ROUNDS, ASKED, FEW = 5, 300, 10
METRIC, WEEK = "costs.spend", 7 * 86_400
# A few of a thousand agents are over it; the first rule always is, so that small sweeps tell of an alert too.
LIMIT, ALWAYS = "1.9", "-1"


def main(count: int) -> None:
    """Print {"sweeps": [[wall, cpu], …], "one_by_one": …, "asked", "queries": [few, many], "fired"}."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.utils import timezone

    from alerts.kinds.base import floor_slot
    from alerts.models import Alert, AlertRule
    from alerts.services import evaluation

    AlertRule.objects.all().delete()
    now = floor_slot(timezone.now(), 60)
    _make(range(FEW), now)
    evaluation.run(now)
    few = _queries(lambda: evaluation.run(now + timedelta(minutes=1)))
    _make(range(FEW, count), now)
    evaluation.run(now + timedelta(minutes=2))
    many = _queries(lambda: evaluation.run(now + timedelta(minutes=3)))
    sweeps, one_by_one = [], []
    for number in range(ROUNDS):
        at = now + timedelta(minutes=4 + number)
        one_by_one.append(_timed(partial(_ask_each, at)))
        sweeps.append(_timed(partial(evaluation.run, at)))
    fired = Alert.objects.filter(resolved_at=None).count()
    found = {"sweeps": sweeps, "one_by_one": one_by_one, "asked": ASKED, "queries": [few, many], "fired": fired}
    print(json.dumps(found))


def _make(numbers: range, now: datetime) -> None:
    from alerts.models import AlertRule

    AlertRule.objects.bulk_create(
        AlertRule(
            slug=f"agent-{number}",
            name=f"Spend of agent {number}",
            kind="threshold",
            parameters={
                "metric": METRIC, "comparison": ">", "threshold": LIMIT if number else ALWAYS, "window_seconds": WEEK,
                "labels": {"entity_type": "agent", "entity_id": f"bulk-{number}"}, "by": [], "aggregate": "sum",
            },
            created_at=now,
        )
        for number in numbers
    )  # fmt: skip


def _ask_each(at: datetime) -> int:
    """Ask for the value of one rule after the other, and compare."""
    from core.ports.metrics import metrics
    from core.windows import Window

    metric, limit, over = metrics.get(METRIC), Decimal(LIMIT), 0
    window = Window(at - timedelta(seconds=WEEK), at)
    for number in range(ASKED):
        labels = {"entity_type": "agent", "entity_id": f"bulk-{number}"}
        over += any(sample.value > limit for sample in metric.read(window, [labels], None) if sample.value is not None)
    return over


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _queries(work: Callable[[], object]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        work()
    return len(queries)


if __name__ == "__main__":
    main(int(sys.argv[1]))
