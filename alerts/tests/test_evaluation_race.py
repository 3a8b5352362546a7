"""Several real processes sweep the same rules and conditions; one is killed in the middle of its work."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from django.conf import settings

from alerts.models import Alert, AlertEvent, AlertRule, EvaluationClock
from alerts.services.rule_terms import RuleTerms
from alerts.services.rules import create_rule
from alerts.tests import evaluation_race as race
from core.ports.metrics import Metric, metrics
from core.tests.processes import database_url, deadlock_count, environment

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_evaluation__swept_by_four_processes_of_which_one_is_killed__every_transition_happens_once(
    tmp_path: Path,
) -> None:
    AlertRule.objects.all().delete()
    _rule()
    deadlocks = deadlock_count()

    slots = _race(tmp_path)

    assert len(slots) > 10
    assert [slot for slot, times in Counter(slots).items() if times > 1] == []
    clock = EvaluationClock.objects.get(interval_seconds=race.INTERVAL)
    assert clock.last_slot is not None
    over = {str(agent) for agent in range(race.AGENTS) if race.is_over(agent, clock.last_slot)}
    assert {alert.labels["agent"] for alert in _open("rule")} == over
    assert len(_open("rule")) == len(over)
    assert len(_open("condition")) == 1
    assert deadlock_count() == deadlocks
    _assert_alternating()


def _assert_alternating() -> None:
    """Each occurrence begins and ends once, and the next of the same labels begins after it."""
    for alert in Alert.objects.prefetch_related("events"):
        kinds = [event.kind for event in sorted(alert.events.all(), key=lambda event: event.seq)]
        assert kinds in (["firing"], ["firing", "resolved"]), kinds
    last: dict[str, list[Alert]] = {}
    for alert in Alert.objects.order_by("id"):
        last.setdefault(alert.fingerprint, []).append(alert)
    for occurrences in last.values():
        for before, after in pairwise(occurrences):
            assert before.resolved_at is not None
            assert before.starts_at <= before.resolved_at <= after.starts_at, before.labels
    assert AlertEvent.objects.filter(kind="firing").count() == Alert.objects.count()


def _open(source: str) -> list[Alert]:
    return list(Alert.objects.filter(source=source, resolved_at=None))


def _rule() -> None:
    parameters = {"metric": race.METRIC, "comparison": ">", "threshold": "0", "window_seconds": 60}
    metrics._items[race.METRIC] = Metric(race.METRIC, "things", "A race.", ("agent",), lambda *_: [])
    try:
        terms = RuleTerms(name="Race", kind="threshold", parameters=parameters, interval_seconds=race.INTERVAL)
        create_rule(terms, now=race.START)
    finally:
        del metrics._items[race.METRIC]


def _race(folder: Path) -> list[str]:
    """Run the processes to their end and return the slots that any of them has evaluated.

    The one that is killed comes first and leaves a slot claimed and half done for the others.
    """
    env = environment(folder, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
    begun = time.time()
    killed = _start(env, "die", begun, begun)
    killed.communicate(timeout=120)
    assert killed.returncode == -signal.SIGKILL
    # All of them have started by then, however long that takes here.
    starts = time.time() + 6
    processes = [_start(env, role, begun, starts) for role in ("sweep", "sweep", "sweep", "raise")]
    slots: list[str] = []
    for process in processes:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        slots += json.loads(out)
    return slots


def _start(env: dict[str, str], role: str, begun: float, starts: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "alerts.tests.evaluation_race", role, str(begun), str(starts)]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
