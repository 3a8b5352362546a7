"""Hard budgets under everything at once: several real processes, on whichever database the suite runs on.

`BUDGET_RACE_SECONDS` makes it longer, `BUDGET_RACE_PROCESSES` wider; the counts are printed (pytest -s).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Count

from core.money import ZERO, MoneySum
from core.tests.processes import database_url, deadlock_count, environment
from costs.choices import ReservationStatus
from costs.models import CostEvent, Reservation
from costs.services import reservations
from costs.tests.budget_race.field import Figures, figures, lay_out
from costs.tests.ledger_case import fold_everything

SECONDS = float(os.environ.get("BUDGET_RACE_SECONDS", "6"))
PROCESSES = int(os.environ.get("BUDGET_RACE_PROCESSES", "5"))

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_hard_budgets__raced_by_processes__are_exact_and_never_overspent(tmp_path: Path) -> None:
    # given a hot budget, three more above one another, and as many clients as processes
    lay_out(datetime.now(UTC))
    deadlocks = deadlock_count()

    # when they reserve, settle, settle late, repeat, lose and record for some seconds, with a sweeper beside them
    counts, spent = _race(tmp_path)
    after = figures_when_quiet()
    _report(counts, after)

    # then nothing was overspent, lost, counted twice, deadlocked or left behind
    assert counts["overspent"] == 0
    assert [
        row.name for row in after if row.name != "soft" and row.spent + row.reserved > row.limit + row.overrun
    ] == []
    assert [(row.name, row.spent) for row in after] == [(row.name, row.counted) for row in after]
    assert [(row.name, row.reserved) for row in after] == [(row.name, row.pending) for row in after]
    assert [(row.name, row.limit) for row in after] == [(row.name, row.revised) for row in after]
    assert CostEvent.objects.aggregate(total=MoneySum("amount"))["total"] == spent
    assert {name: counts[name] for name in FAULTS} == dict.fromkeys(FAULTS, 0)
    assert deadlock_count() == deadlocks
    # and everything that can happen did
    assert [name for name in HAPPENED if not counts[name]] == []


def test_hard_budgets__after_a_race__reservations_hold_nothing_once_expired(tmp_path: Path) -> None:
    lay_out(datetime.now(UTC))
    counts, _ = _race(tmp_path, seconds=1.5, processes=2)
    later = datetime.now(UTC) + timedelta(hours=1)

    while reservations.expire_due(now=later):
        pass

    assert counts["held"] > 0
    assert [row.reserved for row in figures()] == [ZERO] * 5
    assert not Reservation.objects.filter(status=ReservationStatus.PENDING).exists()
    assert list(_settled_twice()) == []


FAULTS = ("overspent", "double_reserves", "not_recorded", "deadlocks", "locked", "faults")
HAPPENED = ("held", "refused", "repeated_reserves", "settled", "repeated_settles", "settled_late", "lost", "released",
            "expired", "dearer_than_reserved", "settled_by_event", "ingested", "raised", "looks")  # fmt: skip


def figures_when_quiet() -> list[Figures]:
    fold_everything(datetime.now(UTC))
    return figures()


def _race(folder: Path, *, seconds: float = SECONDS, processes: int = PROCESSES) -> tuple[Counter[str], Decimal]:
    env = environment(folder, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
    stop = folder / "stop"
    started = [_start(env, "spend", seconds, number, stop) for number in range(processes)]
    sweeper = _start(env, "sweep", 0, processes, stop)
    try:
        outputs = [process.communicate(timeout=seconds + 240) for process in started]
        stop.touch()
        outputs.append(sweeper.communicate(timeout=60))
    finally:
        for process in (*started, sweeper):
            process.kill()
    assert [
        errors for process, (_, errors) in zip((*started, sweeper), outputs, strict=True) if process.returncode
    ] == []
    counts: Counter[str] = Counter()
    spent = ZERO
    for out, _ in outputs:
        result: dict[str, Any] = json.loads(out)
        spent += Decimal(result.pop("spent"))
        counts.update(result)
    return counts, spent


def _start(env: dict[str, str], *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "costs.tests.budget_race.worker", *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _settled_twice() -> Any:
    return Reservation.objects.exclude(event=None).values("event").annotate(times=Count("id")).filter(times__gt=1)


def _report(counts: Counter[str], after: list[Figures]) -> None:
    print(f"\n{connection.vendor}: {PROCESSES} processes, {SECONDS:g} s", dict(sorted(counts.items())))
    for row in after:
        kept = f"limit {row.limit.normalize():f}, spent {row.spent:f}, reserved {row.reserved:f}"
        print(f"  {row.name:6} {kept}, overrun {row.overrun:f}")
