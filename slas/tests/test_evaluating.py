"""The evaluation of every minute: once, whoever runs it, whoever dies; and what follows from it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.models import ConditionRecord
from slas import buckets
from slas.buckets import Aggregate, Event
from slas.models import PolicyStepFiring, Slo, SloComponent, SloStatus
from slas.services import objectives, statuses
from slas.services.evaluating import evaluate
from slas.standing import standings
from slas.tests.objectives import service, sli, slo
from slas.tests.rows_objectives import policy

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def failing(good: int = 50, total: int = 100, **changes: Any) -> Slo:
    indicator = sli()
    buckets.record_events(indicator, [Aggregate(NOW - MINUTE, good, total)], now=NOW)
    return slo(indicator, **changes)


@pytest.mark.django_db
def test_evaluate__without_any_event__says_no_data_and_raises_nothing() -> None:
    objective = slo()

    assert evaluate(NOW) == 1

    status = SloStatus.objects.get(slo=objective)
    assert (status.state, status.sli, status.consumed, status.good, status.total) == ("no_data", None, None, 0, 0)
    assert not ConditionRecord.objects.filter(source__startswith="slas.").exists()


@pytest.mark.django_db
def test_evaluate__an_outage__raises_once_and_clears_once() -> None:
    objective = failing()

    evaluate(NOW)
    evaluate(NOW)
    evaluate(NOW + MINUTE)

    burning = ConditionRecord.objects.get(source="slas.burn")
    assert (burning.firing, burning.severity, burning.revision, burning.key) == (True, "critical", 1, str(objective.pk))
    assert burning.labels["slo"] == objective.slug
    evaluate(NOW + timedelta(days=40))
    burning.refresh_from_db()
    assert (burning.firing, burning.revision) == (True, 1)
    assert SloStatus.objects.get().state == "no_data"


@pytest.mark.django_db
def test_evaluate__after_recovery__clears_the_condition() -> None:
    objective = failing(good=9_700, total=10_000)
    evaluate(NOW)
    later = NOW + timedelta(hours=8)
    buckets.record_events(objective.sli, [Aggregate(later - MINUTE, 1000, 1000)], now=later)  # type: ignore[arg-type]

    evaluate(later)

    record = ConditionRecord.objects.get(source="slas.burn")
    assert (record.firing, record.revision) == (False, 2)


@pytest.mark.django_db
def test_status__written_meanwhile_by_another__is_left_alone() -> None:
    objective = failing()
    evaluate(NOW)
    before = {row.slo_id: row for row in SloStatus.objects.all()}
    SloStatus.objects.update(as_of=NOW + MINUTE)

    won = statuses.write(standings([objective], NOW + 2 * MINUTE), before)

    assert won == set()
    assert SloStatus.objects.get().as_of == NOW + MINUTE


@pytest.mark.django_db
def test_evaluate__of_many_objectives__makes_as_many_queries_as_of_one() -> None:
    failing()
    evaluate(NOW)
    with CaptureQueriesContext(connection) as one:
        evaluate(NOW + MINUTE)
    for _ in range(30):
        failing()
    evaluate(NOW + 2 * MINUTE)

    with CaptureQueriesContext(connection) as many:
        evaluate(NOW + 3 * MINUTE)

    assert len(many) == len(one)


@pytest.mark.django_db
def test_policy__as_the_budget_is_used_up__begins_each_step_once_and_ends_it() -> None:
    objective = failing(99_950, 100_000, policy=policy(("0.5", "notify"), ("1", "freeze"), ("2", "incident")))

    evaluate(NOW)
    evaluate(NOW + MINUTE)

    assert list(PolicyStepFiring.objects.values_list("action", "ended_at")) == [("notify", None)]
    buckets.record_events(objective.sli, [Aggregate(NOW, 0, 200)], now=NOW)  # type: ignore[arg-type]
    evaluate(NOW + 2 * MINUTE)
    assert set(PolicyStepFiring.objects.values_list("action", flat=True)) == {"notify", "freeze", "incident"}
    severities = ConditionRecord.objects.filter(source="slas.policy", firing=True).values_list("severity", flat=True)
    assert sorted(severities) == ["high", "medium", "medium"]
    buckets.record_events(objective.sli, [Aggregate(NOW + MINUTE, 2_000_000, 2_000_000)], now=NOW)  # type: ignore[arg-type]
    evaluate(NOW + 3 * MINUTE)
    assert not PolicyStepFiring.objects.filter(ended_at=None).exists()
    assert not ConditionRecord.objects.filter(source="slas.policy", firing=True).exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "expected"), [("weighted", "0.925"), ("worst", "0.9"), ("serial", "0.855")]
)  # fmt: skip
def test_composite__of_two_objectives__is_read_with_them(kind: str, expected: str) -> None:
    parts = [failing(90, 100), failing(95, 100)]
    whole = Slo.objects.create(
        service=service(), slug="whole", name="Whole", target=Decimal("0.9"), composite=kind, time_zone="UTC",
        created_at=NOW,
    )  # fmt: skip
    for part in parts:
        SloComponent.objects.create(parent=whole, child=part)

    evaluate(NOW)

    assert SloStatus.objects.get(slo=whole).sli == Decimal(expected)


@pytest.mark.django_db
def test_composite__of_slices__is_bad_where_any_part_is() -> None:
    terms = {"slice_seconds": 60, "slice_target": Decimal("0.9")}
    indicators = [sli("timeslice", **terms) for _ in range(2)]
    for number, indicator in enumerate(indicators):
        items = [Aggregate(NOW - n * MINUTE, 0 if n == number + 1 else 10, 10) for n in range(1, 11)]
        buckets.record_events(indicator, items, now=NOW)
    parts = [slo(indicator, target="0.9", budgeting="timeslices") for indicator in indicators]
    given = [{"child": part.pk} for part in parts]
    values = {"slug": "w", "name": "W", "target": Decimal("0.5"), "composite": "timeslice", "time_zone": "UTC"}

    whole = objectives.create_slo(service(), None, values, now=NOW, parts=given)

    found = standings([whole], NOW)[0].level
    assert (found.bad, found.total) == (2, 10)


@pytest.mark.django_db
@pytest.mark.parametrize(("policy_word", "sli_share"), [("ignore", "1"), ("good", "1"), ("bad", "10/60")])
def test_slices__without_events__are_what_the_indicator_says(policy_word: str, sli_share: str) -> None:
    from fractions import Fraction

    created = NOW - timedelta(hours=1)
    indicator = sli("timeslice", slice_seconds=60, slice_target=Decimal(1), no_data=policy_word, created_at=created)
    buckets.record_events(indicator, [Event(NOW - n * MINUTE, True) for n in range(1, 11)], now=NOW)

    found = standings([slo(indicator, budgeting="timeslices")], NOW)[0]

    assert found.level.sli == Fraction(sli_share)


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_two_evaluators__one_killed_midway__leave_one_status_and_one_condition_each(tmp_path: Path) -> None:
    slos = [failing() for _ in range(12)]
    begin = NOW.isoformat()
    program = (
        "import django; django.setup()\n"
        "from datetime import datetime, timedelta\n"
        "from slas.services.evaluating import evaluate\n"
        f"begin = datetime.fromisoformat('{begin}')\n"
        "for n in range({first}, 40): evaluate(begin + timedelta(minutes=n))\n"
    )
    # The processes use the test database itself.
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        if ":memory:" in name or "mode=memory" in name:
            pytest.skip("the test database is in memory")
        address = f"sqlite:///{name}"
    else:
        address = f"postgres://root@127.0.0.1/{name}"
    env = {**os.environ, "DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "config.settings_test"}
    workers = [
        subprocess.Popen([sys.executable, "-c", program.format(first=first)], env=env) for first in (0, 0)
    ]  # fmt: skip
    deadline = time.monotonic() + 60
    while not SloStatus.objects.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    workers[0].send_signal(signal.SIGKILL)
    for worker in workers:
        worker.wait(120)

    assert workers[1].returncode == 0
    assert SloStatus.objects.count() == len(slos)
    assert {row.as_of for row in SloStatus.objects.all()} == {NOW + 39 * MINUTE}
    records = ConditionRecord.objects.filter(source="slas.burn")
    assert (records.count(), {row.revision for row in records}) == (12, {1})
