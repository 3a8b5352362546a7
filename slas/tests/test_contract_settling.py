"""What follows a period: conditions, credits, disputes; two closers at once and one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from core.errors import Conflict, Invalid
from core.models import AuditEntry, ConditionRecord
from core.tests.processes import database_url, environment
from slas.models import SLAContract, SLAPeriod
from slas.services.contracts import (
    close_due,
    credit_period,
    dispute_period,
    open_periods,
    reject_dispute,
    waive_period,
)
from slas.tests.contract_case import contract, indicator, minute, only_period, outage

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = datetime(2026, 4, 5, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def broken(**values: Any) -> SLAContract:
    """A contract of March with an hour of downtime: 10 % of 1,000 USD are due."""
    sli = indicator()
    made = contract(sli, **values)
    outage(sli, BEGIN + timedelta(days=9), 60)
    return made


def final(**values: Any) -> SLAPeriod:
    made = broken(**values)
    close_due(now=FINAL - timedelta(days=2))
    close_due(now=FINAL)
    return only_period(made)


def _firing() -> dict[str, str]:
    rows = ConditionRecord.objects.filter(source="slas.sla", firing=True)
    return {row.key.partition(":")[2].partition(":")[0]: row.severity for row in rows}


def test_conditions__minutes_used_up__rise_from_risk_to_breach_and_end_with_the_period() -> None:
    sli = indicator()
    contract(sli)
    close_due(now=BEGIN + timedelta(hours=1))
    calm = _firing()
    outage(sli, BEGIN + timedelta(hours=2), 40)
    close_due(now=BEGIN + timedelta(hours=3))
    risky = _firing()
    outage(sli, BEGIN + timedelta(hours=4), 10)

    close_due(now=BEGIN + timedelta(hours=5))

    broken_now = _firing()
    close_due(now=FINAL - timedelta(days=4))
    over = _firing()
    close_due(now=FINAL)
    assert (calm, risky, broken_now, over, _firing()) == (
        {}, {"risk": "medium"}, {"breach": "high"}, {}, {"credit": "low"},
    )  # fmt: skip


def test_conditions__few_failures_early_in_the_month__are_held_against_the_whole_month() -> None:
    sli = indicator()
    contract(sli, metric="request_ratio")
    minute(sli, BEGIN, good=99_960, bad=40)

    close_due(now=BEGIN + timedelta(days=1))

    assert _firing() == {}


def test_condition__of_a_breach__leads_to_its_period() -> None:
    made = broken()

    close_due(now=BEGIN + timedelta(days=20))

    row = ConditionRecord.objects.get(firing=True)
    assert row.link == f"/admin/slas/slaperiod/{only_period(made).pk}/change/"
    assert row.labels["service"] == made.service.slug
    assert row.summary == "Acme: Gold breaks its SLA: 99.791666 % of 99.9 % promised."


def test_credit__final_period__is_given_once_with_its_number() -> None:
    period = final()

    credit_period(period.pk, reason="agreed", now=FINAL, reference="CN-7")
    with pytest.raises(Conflict):
        credit_period(period.pk, reason="again", now=FINAL)

    period.refresh_from_db()
    assert (period.status, period.settled_credit, period.credit_reference) == ("credited", Decimal(100), "CN-7")
    assert _firing() == {}
    assert AuditEntry.objects.filter(action="contract.period_credited").count() == 1


@pytest.mark.parametrize("act", [credit_period, waive_period, dispute_period])
def test_acts__before_a_period_is_final__are_refused(act: Any) -> None:
    made = broken()
    close_due(now=FINAL - timedelta(days=4))

    with pytest.raises(Conflict):
        act(only_period(made).pk, reason="now", now=FINAL)

    assert only_period(made).status == "provisional"


def test_dispute__upheld_with_another_amount__keeps_what_was_computed() -> None:
    period = final()
    with pytest.raises(Conflict):
        credit_period(period.pk, reason="more", now=FINAL, amount=Decimal(250))

    dispute_period(period.pk, reason="the customer measured 98.9 %", now=FINAL)
    credit_period(period.pk, reason="agreed", now=FINAL, amount=Decimal(250))

    period.refresh_from_db()
    assert (period.status, period.credit, period.settled_credit) == ("credited", Decimal(100), Decimal(250))
    actions = AuditEntry.objects.filter(action__startswith="contract.period_").order_by("pk")
    assert [entry.after["status"] for entry in actions] == ["provisional", "final", "disputed", "credited"]


def test_dispute__rejected__leaves_the_period_final() -> None:
    period = final()
    dispute_period(period.pk, reason="no", now=FINAL)

    reject_dispute(period.pk, reason="measured right", now=FINAL)

    period.refresh_from_db()
    assert (period.status, period.credit, period.settled_credit) == ("final", Decimal(100), None)


def test_dispute__waived__credits_nothing() -> None:
    period = final()
    dispute_period(period.pk, reason="no", now=FINAL)

    waive_period(period.pk, reason="other terms agreed", now=FINAL)

    period.refresh_from_db()
    assert (period.status, period.settled_credit) == ("waived", Decimal(0))


def test_dispute__after_the_time_for_claims__is_refused() -> None:
    period = final(claim_days=30)

    with pytest.raises(Conflict) as refusal:
        dispute_period(period.pk, reason="late", now=FINAL + timedelta(days=30))

    assert refusal.value.code == "claim_window_over"
    dispute_period(period.pk, reason="in time", now=FINAL + timedelta(days=29, hours=23))


def test_acts__without_a_reason__are_refused_and_change_nothing() -> None:
    period = final()

    for act in (credit_period, waive_period, dispute_period):
        with pytest.raises(Invalid):
            act(period.pk, reason=" ", now=FINAL)

    period.refresh_from_db()
    assert period.status == "final"


@pytest.mark.parametrize("amount", ["-1", "1000.01", "0.0000000000001"])
def test_credit__senseless_amount__is_refused(amount: str) -> None:
    period = final()
    dispute_period(period.pk, reason="x", now=FINAL)

    with pytest.raises(Invalid):
        credit_period(period.pk, reason="x", now=FINAL, amount=Decimal(amount))


@pytest.mark.django_db(transaction=True)
def test_close__two_at_once__close_once_with_one_credit() -> None:
    made = broken()
    close_due(now=FINAL - timedelta(days=2))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            close_due(now=FINAL)
        except BaseException as error:  # noqa: BLE001  # handed to the test
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert [(row.status, row.credit) for row in made.periods.order_by("start")] == [
        ("final", Decimal(100)), ("open", Decimal(0)),
    ]  # fmt: skip
    assert AuditEntry.objects.filter(action="contract.period_final").count() == 1


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_close__killed_midway_beside_another__leaves_nothing_half_done(tmp_path: Path) -> None:
    # given a period whose time has come
    made = broken()
    close_due(now=FINAL - timedelta(days=2))

    # when a closer is killed between its writing and its commit
    killed = _closer(tmp_path, "stuck")
    killed.communicate(timeout=60)
    half = only_period(made).status

    # then nothing of it is left, and of two others one closes the period
    assert (killed.returncode, half) == (-signal.SIGKILL, "provisional")
    outputs = [process.communicate(timeout=60)[0].strip() for process in [_closer(tmp_path), _closer(tmp_path)]]
    assert sorted(outputs) == ["0", "1"]
    assert (only_period(made).status, only_period(made).credit) == ("final", Decimal(100))
    assert AuditEntry.objects.filter(action="contract.period_final").count() == 1


def _closer(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = environment(folder, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings", LOG_LEVEL="ERROR")
    command = [sys.executable, "-m", "slas.tests.closer", FINAL.isoformat(), *arguments]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_open__twice__makes_each_period_once() -> None:
    made = contract()

    first = open_periods(made, now=FINAL)

    assert (first, open_periods(made, now=FINAL), made.periods.count()) == (2, 0, 2)
