"""Overlapping batches from several real processes, with duplicates and late events, while another one folds."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from core.money import CONTEXT
from core.tests.processes import database_url, deadlock_count, environment
from costs.models import CostEvent, EventKey
from costs.services import rollups
from costs.tests import ledger_race
from costs.tests.ledger_case import fold_everything, totals

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

PROCESSES = 5


def test_ingest__raced_by_processes__counts_every_event_once_to_the_last_digit(tmp_path: Path) -> None:
    # given the numbers that the processes will draw
    started = datetime.now(UTC).replace(microsecond=0)
    numbers = {number for seed in range(PROCESSES) for number in _drawn(seed)}
    deadlocks = deadlock_count()

    # when they record at once, 30 batches of 1,000 of which most items come several times
    counts = _race(tmp_path, started)

    # then each number is recorded once, nothing failed, and nothing was refused
    sent = PROCESSES * ledger_race.BATCHES * ledger_race.BATCH
    assert counts["recorded"] == len(numbers) == CostEvent.objects.count() == EventKey.objects.count()
    assert counts["duplicate"] == sent - len(numbers)
    assert deadlock_count() == deadlocks

    # and the sums are those of the numbers, in the ledger and in both rollups
    fold_everything(datetime.now(UTC))
    exact = (_sum(numbers, started), len(numbers))
    assert totals() == {"events": exact, "entity_days": exact, "model_hours": exact}
    audits = rollups.audit_days(rollups.days_due(now=datetime.now(UTC)), now=datetime.now(UTC))
    assert len(audits) > 30
    assert all(audit.equal for audit in audits)


def _drawn(seed: int) -> list[int]:
    chance = random.Random(seed)
    return [chance.randrange(ledger_race.NUMBERS) for _ in range(ledger_race.BATCHES * ledger_race.BATCH)]


def _sum(numbers: set[int], started: datetime) -> Decimal:
    with localcontext(CONTEXT):
        amounts = (ledger_race.item_of(number, started).amount for number in numbers)
        return sum((amount for amount in amounts if amount is not None), Decimal(0))


def _race(folder: Path, started: datetime) -> Counter[str]:
    env = environment(folder, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
    begun = [_start(env, "record", str(seed), started.isoformat()) for seed in range(PROCESSES)]
    if connection.vendor == "postgresql":
        begun.append(_start(env, "fold", "8", started.isoformat()))
    counts: Counter[str] = Counter()
    for process in begun:
        out, errors = process.communicate(timeout=180)
        assert process.returncode == 0, errors
        counts.update(json.loads(out))
    return counts


def _start(env: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "costs.tests.ledger_race", *arguments]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
