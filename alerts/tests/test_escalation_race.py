"""Incidents and escalation with several workers at once, some of them killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from alerts.choices import EscalationStatus, IncidentStatus, NotificationStatus
from alerts.models import EscalationLog, EscalationRun, Incident, IncidentEvent, Notification
from alerts.services import escalation, incidents
from alerts.tests.incident_case import alert, bare, channel, group, manual, opened, operations, pageable, policy
from core.errors import Conflict
from core.tests.processes import database_url, deadlock_count, environment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("bare")]
__all__ = ["bare"]
INCIDENTS = 12
MINUTE = timedelta(minutes=1)


def _at_once(*works: Callable[[], Any]) -> list[Any]:
    """Run these in threads of their own that begin together."""
    barrier = Barrier(len(works))

    def run(work: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def _worker(folder: Path, role: str, started: datetime, begun: float, seconds: float) -> subprocess.Popen[str]:
    env = environment(folder, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
    arguments = [role, started.isoformat(), str(begun), str(seconds)]
    command = [sys.executable, "-m", "alerts.tests.escalation_race", *arguments]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _ended(workers: Sequence[subprocess.Popen[str]]) -> None:
    for worker in workers:
        _, errors = worker.communicate(timeout=120)
        assert worker.returncode == 0, errors


def test_open_for_group__eight_workers__one_incident_that_escalates_once(now: datetime) -> None:
    of, found, plan = group(now), [alert(now) for _ in range(3)], policy(pageable("ada"))
    opened(now)
    deadlocks = deadlock_count()

    made = _at_once(*(lambda: opened(now, *found, of=of, by=plan) for _ in range(8)))

    assert len({incident.pk for incident in made}) == 1
    assert Incident.objects.filter(group=of).count() == 1
    assert EscalationRun.objects.filter(incident=made[0]).count() == 1
    assert made[0].links.count() == 3
    assert deadlock_count() == deadlocks


def test_numbers__eight_workers_eight_groups__are_all_different(now: datetime) -> None:
    groups = [group(now) for _ in range(8)]
    opened(now)

    _at_once(*(lambda of=of: opened(now, of=of) for of in groups))

    numbers = sorted(Incident.objects.values_list("number", flat=True))
    assert len(set(numbers)) == 9
    # PostgreSQL's sequence leaves a gap where an opening was rolled back; here none was.
    assert numbers[-1] - numbers[0] == 8


def test_acknowledge__by_two_at_once__one_has_it_and_both_are_on_the_timeline(now: datetime) -> None:
    incident = manual(now)

    _at_once(*(lambda: incidents.acknowledge(incident.pk, now=now) for _ in range(2)))

    incident.refresh_from_db()
    assert incident.status == IncidentStatus.ACKNOWLEDGED
    assert incident.timeline.filter(kind="acknowledged").count() == 2


def test_resolve__by_four_at_once__is_done_once(now: datetime) -> None:
    incident = manual(now)

    def resolve() -> str:
        try:
            incidents.resolve(incident.pk, now=now)
        except Conflict:
            return "refused"
        return "resolved"

    found = Counter(_at_once(*(resolve for _ in range(4))))

    assert found == {"resolved": 1, "refused": 3}
    assert incident.timeline.filter(kind="resolved").count() == 1


@pytest.mark.parametrize("act", ["acknowledge", "resolve"])
def test_answer__racing_the_escalation__pages_before_it_or_not_at_all(now: datetime, act: str) -> None:
    plan = policy(pageable("ada"), pageable("grace"), wait=1)
    keys = [manual(now, plan).pk for _ in range(INCIDENTS)]

    def answer() -> None:
        for key in keys:
            getattr(incidents, act)(key, now=now)

    _at_once(answer, lambda: [escalation.run(now) for _ in range(3)], lambda: escalation.run(now))
    taken = EscalationLog.objects.count()
    later = escalation.run(now + 60 * MINUTE)

    waiting = Notification.objects.filter(kind="escalation", status=NotificationStatus.PENDING)
    assert later == 0
    assert EscalationLog.objects.count() == taken <= INCIDENTS
    assert not waiting.exists()
    assert set(EscalationRun.objects.values_list("status", flat=True)) == {EscalationStatus.STOPPED}


def test_run__two_workers_at_once__takes_each_step_once(now: datetime) -> None:
    plan = policy(pageable("ada"))
    for _ in range(INCIDENTS):
        manual(now, plan)

    done = _at_once(*(lambda: escalation.run(now) for _ in range(2)))

    assert sum(done) == INCIDENTS == EscalationLog.objects.count() == Notification.objects.count()


@pytest.mark.processes
def test_worker__killed_in_the_middle_of_a_step__leaves_nothing_and_another_takes_it(
    now: datetime, tmp_path: Path
) -> None:
    manual(now, policy(pageable("ada")))

    killed = _worker(tmp_path, "die", now, 0, 0)
    killed.communicate(timeout=60)
    left = (EscalationLog.objects.count(), Notification.objects.count())
    at_once, later = escalation.run(now + MINUTE / 2), escalation.run(now + 2 * MINUTE)

    assert killed.returncode == -signal.SIGKILL
    assert left == (0, 0)
    assert (at_once, later) == (0, 1)
    assert (EscalationLog.objects.count(), Notification.objects.count()) == (1, 1)


@pytest.mark.processes
def test_workers__of_which_some_are_killed__take_every_step_once_and_none_is_lost(
    now: datetime, tmp_path: Path
) -> None:
    # given twelve incidents that climb three steps twice, half an hour in all, and a clock 300 times as fast
    ops = channel(now)
    operations("ops")
    plan = policy(pageable("ada"), pageable("grace"), ops, wait=5, repeats=1)
    for _ in range(INCIDENTS):
        manual(now, plan)
    begun = time.time() + 4

    # when three workers race, and four more are killed while they do
    workers = [_worker(tmp_path, "escalate", now, begun, 100) for _ in range(3)]
    for _ in range(4):
        victim = _worker(tmp_path, "escalate", now, begun, 100)
        time.sleep(2)
        victim.kill()
        victim.communicate()
    _ended(workers)

    # then each of the six steps was taken once, everybody was told at the end, once
    assert EscalationLog.objects.count() == INCIDENTS * 6
    assert set(EscalationRun.objects.values_list("status", flat=True)) == {EscalationStatus.EXHAUSTED}
    told = Counter(Notification.objects.values_list("kind", flat=True))
    assert told == {"escalation": INCIDENTS * 7, "meta": INCIDENTS}
    assert IncidentEvent.objects.filter(kind="escalation_exhausted").count() == INCIDENTS
