"""The ledger's table: facts that cannot be changed, months that come and go as a whole."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from core.models import AppendOnlyError, AuditEntry, ConditionRecord
from costs import tasks
from costs.ledger_ports import check_partitions, keep_in_place
from costs.models import CostEvent, EntityDayRollup, FoldState
from costs.services import partitions, rollups
from costs.services.ingest import record_cost, record_costs
from costs.tests.ledger_case import AT, SENDER, fold_everything, item, totals

pytestmark = pytest.mark.django_db

CHANGES = [
    "UPDATE costs_costevent SET amount = '9.000000000000'",
    "UPDATE costs_costevent SET occurred_at = '2026-03-01'",
    "DELETE FROM costs_costevent",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_ledger__changed_by_sql__refuses_and_keeps_the_fact(statement: str, now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)

    assert CostEvent.objects.values_list("amount", "occurred_at").get() == (Decimal("0.02"), AT)


def test_ledger__changed_by_the_model__refuses(now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)
    event = CostEvent.objects.get()

    with pytest.raises(AppendOnlyError):
        event.save()
    with pytest.raises(AppendOnlyError):
        event.delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        CostEvent.objects.update(amount=Decimal(9))
    assert CostEvent.objects.get().amount == Decimal("0.02")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE costs_costevent",
        "TRUNCATE costs_costevent_2026_03",
        "DELETE FROM costs_costevent_2026_03",
        "UPDATE costs_costevent_2026_03 SET txid = '1'::xid8",
    ],
)
def test_partition__changed_directly__refuses(statement: str, now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)

    with pytest.raises(IntegrityError, match="append-only"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert CostEvent.objects.count() == 1


def test_ledger__table_made_again_without_triggers__gets_them_back(now: datetime) -> None:
    if connection.vendor == "postgresql":
        pytest.skip("a migration keeps triggers there")
    record_cost(item(1), sender=SENDER, now=now)
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER costs_costevent_no_delete")

    keep_in_place(using="default")

    with pytest.raises(IntegrityError), transaction.atomic():
        CostEvent.objects.all()._raw_delete("default")
    assert CostEvent.objects.count() == 1


@pytest.mark.postgresql
def test_maintenance__after_migration__this_month_and_the_next_are_there() -> None:
    this_month = timezone.now().date().replace(day=1)

    assert f"costs_costevent_{this_month:%Y_%m}" in partitions._partitions()
    assert partitions.missing_months(timezone.now()) == []
    assert check_partitions().status == "ok"


@pytest.mark.postgresql
def test_maintenance__next_year__makes_what_is_missing_once() -> None:
    later = datetime(2031, 11, 15, tzinfo=UTC)

    first = partitions.maintain_partitions(now=later)

    assert first.created == tuple(f"costs_costevent_{name}" for name in ("2031_11", "2031_12", "2032_01", "2032_02"))
    assert partitions.maintain_partitions(now=later).created == ()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_record_costs__first_event_of_an_old_month__makes_its_partition() -> None:
    now = datetime(2030, 6, 15, tzinfo=UTC)
    old = now - timedelta(days=200)

    record_costs([item(1, occurred_at=old), item(2, occurred_at=now)], sender=SENDER, now=now)

    assert {"costs_costevent_2029_11", "costs_costevent_2030_06"} <= partitions._partitions()
    assert partitions.default_row_count() == 0


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_record_costs__month_cannot_be_made__goes_to_the_default_and_is_moved_later() -> None:
    # given somebody who holds a lock that a new partition needs, and patience that ends
    now = datetime(2033, 5, 10, tzinfo=UTC)
    other = connection.copy()
    other.connect()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE costs_costevent_default IN ROW EXCLUSIVE MODE")
        verdict = record_cost(item(1, occurred_at=now), sender=SENDER, now=now)
        other.rollback()
    other.close()
    assert (verdict.status, partitions.default_row_count()) == ("recorded", 1)
    before = _rows_with_txid()

    # when the maintenance runs
    report = partitions.maintain_partitions(now=now)

    # then the row is in its month, with the transaction that wrote it, and counted once
    assert (report.moved_count, partitions.default_row_count()) == (1, 0)
    assert _rows_with_txid() == before
    assert "costs_costevent_2033_05" in partitions._partitions()
    fold_everything(now)
    assert len(set(totals().values())) == 1
    with pytest.raises(IntegrityError), connection.cursor() as cursor:
        cursor.execute("TRUNCATE costs_costevent_default")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_maintenance__default_partition_in_use__gives_up_and_says_so() -> None:
    now = datetime(2034, 5, 10, tzinfo=UTC)
    other = connection.copy()
    other.connect()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("LOCK TABLE costs_costevent_default IN ROW EXCLUSIVE MODE")
        record_cost(item(1, occurred_at=now), sender=SENDER, now=now)
        report = partitions.maintain_partitions(now=now)
        other.rollback()
    other.close()

    assert report.busy
    assert ConditionRecord.objects.get(source="costs.partitions").firing
    partitions.maintain_partitions(now=now)
    assert not ConditionRecord.objects.get(source="costs.partitions").firing


@pytest.mark.django_db(transaction=True)
def test_retention__months_removed__keeps_rollups_and_the_rest(now: datetime) -> None:
    # given costs of three months
    for number, months in enumerate((2, 1, 0)):
        record_cost(item(number, occurred_at=AT - timedelta(days=31 * months)), sender=SENDER, now=now)
    fold_everything(now)

    # when the first is retired
    gone = partitions.drop_events_before(date(2026, 2, 20), now=now, reason="older than we keep")

    # then its events are gone, its totals are not, and the ledger is closed to changes again
    assert gone == ["2026-01"]
    assert CostEvent.objects.count() == 2
    assert EntityDayRollup.objects.total() == Decimal("0.06")
    assert FoldState.objects.get().retained_from == date(2026, 2, 1)
    assert AuditEntry.objects.get(action="ledger.retired").after == {"months": ["2026-01"]}
    with pytest.raises(IntegrityError), transaction.atomic():
        CostEvent.objects.all()._raw_delete("default")


@pytest.mark.django_db(transaction=True)
def test_retention__removed_months__are_neither_audited_nor_rebuilt(now: datetime) -> None:
    record_costs([item(1, occurred_at=AT - timedelta(days=62)), item(2)], sender=SENDER, now=now)
    fold_everything(now)
    partitions.drop_events_before(date(2026, 2, 1), now=now, reason="older than we keep")

    assert min(rollups.days_due(now=now)) >= date(2026, 2, 1)
    assert rollups.rebuild_rollups(first=date(2026, 1, 1), now=now).first == date(2026, 2, 1)
    assert EntityDayRollup.objects.total() == Decimal("0.05")
    assert all(audit.equal for audit in rollups.audit_days(rollups.days_due(now=now), now=now))


def test_maintenance_task__on_either_engine__reports_counts() -> None:
    assert tasks.maintain_partitions() == {"created": 0, "moved": 0}


def _rows_with_txid() -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT id, txid::text, amount, occurred_at, tags FROM costs_costevent ORDER BY id")
        return list(cursor.fetchall())
