"""Workers killed with -9 at random instants: no change is lost, none is told twice."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import transaction

from alerts.models import Alert, AlertGroup, Notification
from alerts.services import flushing, routing
from alerts.services.intake import record
from alerts.tests.routing_case import report, root
from alerts.tree import EVERY_LABEL
from core.tests.processes import database_url, environment

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]
NAMES = [f"A{number}" for number in range(40)]
KILLS = 8


def test_workers__killed_at_random__every_change_told_once_and_in_order(tmp_path: Path) -> None:
    # given: each alert is a group of its own, told at once and then every second
    root(group_by=[EVERY_LABEL], group_wait_seconds=0, group_interval_seconds=1)
    chance = random.Random(7)
    # when: two workers, one of whom is killed again and again while half of the alerts change
    with _worker(tmp_path):
        for step in range(KILLS):
            with _worker(tmp_path) as victim:
                _report([name for name in NAMES if chance.random() < 0.5], active=step % 2 == 0)
                time.sleep(chance.uniform(0.05, 0.6))
                victim.kill()
    _settle()
    # then: what was told of each group alternates, ends with how it is, and has no number twice or missing
    for group in AlertGroup.objects.all():
        told = [row.payload["status"] for row in Notification.objects.filter(group=group).order_by("pk")]
        wrong = Alert.objects.filter(name=group.labels["alertname"], resolved_at=None).exists()
        assert told == ["firing", "resolved"] * (len(told) // 2) + ["firing"] * (len(told) % 2)
        assert (told[-1] == "firing" if told else False) is wrong
        assert group.flush_seq == len(told)
    # and the history of each alert is whole
    for alert in Alert.objects.all():
        assert list(alert.events.order_by("seq").values_list("seq", flat=True)) == list(range(1, alert.seq + 1))
    assert not Alert.objects.filter(routed_seq=0).exists()


def _report(names: list[str], *, active: bool) -> None:
    now = datetime.now(UTC)
    with transaction.atomic():
        record([report(name, at=now, active=active) for name in names], now=now)


def _settle() -> None:
    """Do what is left to do, later than any lease of those who were killed."""
    later = datetime.now(UTC) + timedelta(minutes=5)
    for step in range(3):
        routing.run(later + timedelta(seconds=2 * step))
        flushing.run(later + timedelta(seconds=2 * step))


@contextmanager
def _worker(folder: Path) -> Iterator[subprocess.Popen[str]]:
    env = environment(folder) | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-m", "alerts.tests.routing_race"]
    with (folder / "worker.log").open("a") as log:
        worker = subprocess.Popen(
            command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n", (folder / "worker.log").read_text()
    try:
        yield worker
    finally:
        worker.kill()
        worker.wait(10)
        worker.stdout.close()
