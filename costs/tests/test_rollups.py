"""Rollups equal the events to the last digit, whatever comes when; an audit finds the first digit that does not."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from core.models import AuditEntry, ConditionRecord
from core.money import MoneyAdd
from core.ports.controls import controls
from costs import tasks
from costs.ledger_ports import check_fold
from costs.models import CostEvent, EntityDayRollup, FoldState, ModelHourRollup, RollupAudit
from costs.services import corrections, rollups
from costs.services.ingest import record_costs
from costs.tests.ledger_case import AT, SENDER, event_of, fold_everything, item, totals

pytestmark = pytest.mark.django_db(transaction=True)

ONE_UNIT = Decimal("0.000000000001")


def test_fold__after_recording__both_rollups_equal_the_events(now: datetime) -> None:
    # given amounts whose sum binary floating point gets wrong
    record_costs([item(n, amount=Decimal("0.1") + n * ONE_UNIT) for n in range(1000)], sender=SENDER, now=now)

    fold_everything(now)

    exact = (Decimal("100") + ONE_UNIT * 499_500, 1000)
    assert totals() == {"events": exact, "entity_days": exact, "model_hours": exact}


def test_fold__large_sums__keep_twelve_decimals(now: datetime) -> None:
    amounts = [Decimal("99999999999999999999999.999999999999"), ONE_UNIT, ONE_UNIT]
    record_costs([item(0, amount=a, idempotency_key=None) for a in amounts], sender=SENDER, now=now)

    fold_everything(now)

    assert EntityDayRollup.objects.get().amount == Decimal("100000000000000000000000.000000000001")


def test_fold__twice__adds_nothing_the_second_time(now: datetime) -> None:
    record_costs([item(n) for n in range(20)], sender=SENDER, now=now)
    fold_everything(now)
    before = totals()

    assert rollups.fold(now=now).event_count == 0
    assert totals() == before


@pytest.mark.postgresql
def test_fold__before_it_runs__the_tail_holds_what_rollups_do_not(now: datetime) -> None:
    record_costs([item(n) for n in range(10)], sender=SENDER, now=now)

    assert CostEvent.objects.unfolded().count() == 10
    assert not EntityDayRollup.objects.exists()
    fold_everything(now)
    assert CostEvent.objects.folded().count() == 10
    assert FoldState.objects.get().event_count == 10


@pytest.mark.postgresql
def test_fold__transaction_open_meanwhile__misses_none_of_its_rows(now: datetime) -> None:
    # given a transaction that has begun to write and has not committed yet
    with _another_transaction("SELECT pg_current_xact_id()::text::bigint") as own:
        # when another one commits after it and is folded as far as may be
        record_costs([item(1)], sender=SENDER, now=now)
        rollups.fold(now=now)
        # then the horizon does not pass the open transaction
        assert FoldState.objects.get().horizon <= own
        assert CostEvent.objects.unfolded().count() == 1
    fold_everything(now)
    assert len(set(totals().values())) == 1


@pytest.mark.postgresql
def test_fold__another_fold_at_work__leaves_at_once(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)
    rollups.fold(now=now)

    with _another_transaction("SELECT id FROM costs_foldstate FOR NO KEY UPDATE"):
        assert rollups.fold(now=now).busy


@pytest.mark.postgresql
def test_fold__horizon_held_back_for_long__raises_a_condition_until_it_moves(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)

    with transaction.atomic():
        # Written by a transaction that is still open: this one.
        record_costs([item(2)], sender=SENDER, now=now)
        rollups.fold(now=now + timedelta(minutes=5))
        firing = ConditionRecord.objects.get(source="costs.fold")
        assert firing.firing
        assert "seconds behind" in firing.summary
    fold_everything(now)
    assert not ConditionRecord.objects.get(source="costs.fold").firing


def test_rollups__random_batches_with_duplicates_and_late_events__equal_the_events(now: datetime) -> None:
    chance = random.Random(7)  # sample data
    for _ in range(12):
        numbers = [chance.randrange(400) for _ in range(60)]
        record_costs([_scattered(number, now) for number in numbers], sender=SENDER, now=now)
        if chance.random() < 0.5:
            rollups.fold(now=now)

    fold_everything(now)

    assert len(set(totals().values())) == 1
    assert totals()["events"][1] == CostEvent.objects.count()
    assert all(audit.equal for audit in rollups.audit_days(rollups.days_due(now=now), now=now))


def test_rollups__organisation_in_another_zone__days_are_its_own(settings: Any, now: datetime) -> None:
    # given an organisation whose day begins at 18:15 UTC, and two events a minute apart around it
    settings.ORGANISATION_TIME_ZONE, settings.ORGANISATION_ZONE = "Asia/Kathmandu", ZoneInfo("Asia/Kathmandu")
    midnight = datetime(2026, 3, 16, 18, 15, tzinfo=AT.tzinfo)
    pair = [item(0, occurred_at=midnight - timedelta(minutes=1)), item(5, occurred_at=midnight)]

    record_costs(pair, sender=SENDER, now=now)
    fold_everything(now)

    days = EntityDayRollup.objects.order_by("day").values_list("day", "amount")
    assert list(days) == [(date(2026, 3, 16), Decimal("0.01")), (date(2026, 3, 17), Decimal("0.06"))]
    assert ModelHourRollup.objects.get().hour == datetime(2026, 3, 16, 18, tzinfo=AT.tzinfo)
    assert [audit.equal for audit in rollups.audit_days([date(2026, 3, 16), date(2026, 3, 17)], now=now)] == [True] * 2


def test_audit__one_unit_missing_in_a_rollup__is_found_and_raised(now: datetime) -> None:
    record_costs([item(n) for n in range(10)], sender=SENDER, now=now)
    fold_everything(now)
    row = EntityDayRollup.objects.order_by("id")[:1].get()
    EntityDayRollup.objects.filter(pk=row.pk).update(amount=MoneyAdd("amount", -ONE_UNIT))

    [audit] = rollups.audit_days([AT.date()], now=now)

    assert not audit.equal
    assert audit.detail.startswith("1 entity days differ")
    condition = ConditionRecord.objects.get(source="costs.rollups")
    assert condition.firing
    assert "2026-03-18" in condition.summary


@pytest.mark.parametrize("field", ["event_count", "unpriced_count", "unconverted_count", "input_tokens"])
def test_audit__a_count_of_an_hour_off_by_one__is_found(field: str, now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)
    fold_everything(now)
    ModelHourRollup.objects.update(**{field: 77})

    [audit] = rollups.audit_days([AT.date()], now=now)

    assert not audit.equal
    assert audit.detail.startswith("1 model hours differ")


def test_audit__equal_rollups__pass_the_control_and_clear_the_condition(now: datetime) -> None:
    control = controls.get("costs.rollups_equal_events")
    assert control.run(now).outcome == "empty"
    record_costs([item(n) for n in range(10)], sender=SENDER, now=now)
    fold_everything(now)

    rollups.audit_days(rollups.days_due(now=now), now=now)

    result = control.run(now)
    assert (result.outcome, result.population) == ("passed", 1)
    assert RollupAudit.objects.values_list("events_count", "rollup_count").get() == (10, 10)
    assert not ConditionRecord.objects.filter(firing=True).exists()


def test_control__different_rollups__fails_with_the_day(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)
    fold_everything(now)
    EntityDayRollup.objects.update(event_count=2)
    rollups.audit_days([AT.date()], now=now)

    result = controls.get("costs.rollups_equal_events").run(now)

    assert result.outcome == "failed"
    assert result.evidence["different"] == ["2026-03-18"]


def test_rebuild__damaged_rollups__are_as_the_events_say_again(now: datetime) -> None:
    record_costs([_scattered(number, now) for number in range(60)], sender=SENDER, now=now)
    fold_everything(now)
    right = _rows()
    EntityDayRollup.objects.all().delete()
    ModelHourRollup.objects.update(event_count=0)

    report = rollups.rebuild_rollups(now=now)

    assert _rows() == right
    assert report.event_count == CostEvent.objects.count()
    assert AuditEntry.objects.filter(action="rollups.rebuilt").count() == 1


def test_rebuild__of_one_day__touches_no_other(now: datetime) -> None:
    record_costs([item(1), item(2, occurred_at=AT - timedelta(days=3))], sender=SENDER, now=now)
    fold_everything(now)
    EntityDayRollup.objects.update(event_count=9)

    rollups.rebuild_rollups(first=AT.date(), last=AT.date(), now=now)

    assert list(EntityDayRollup.objects.order_by("day").values_list("event_count", flat=True)) == [9, 1]


@pytest.mark.postgresql
def test_rebuild__with_a_tail__counts_the_tail_once(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)
    fold_everything(now)
    record_costs([item(2)], sender=SENDER, now=now)

    rollups.rebuild_rollups(now=now)

    assert EntityDayRollup.objects.get().event_count == 1
    fold_everything(now)
    assert len(set(totals().values())) == 1


def test_rebuild_command__from_and_to__builds_these_days(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)
    fold_everything(now)
    EntityDayRollup.objects.all().delete()
    out = StringIO()

    call_command("rebuild_rollups", "--from", "2026-03-18", "--to", "2026-03-18", stdout=out)

    assert "1 event" in out.getvalue()
    assert EntityDayRollup.objects.get().amount == Decimal("0.02")


def test_rebuild_command__nonsense_date__says_so() -> None:
    with pytest.raises(CommandError, match="2026-13-01"):
        call_command("rebuild_rollups", "--from", "2026-13-01")


def test_tasks__delivered_twice__change_nothing_more(now: datetime) -> None:
    record_costs([item(n) for n in range(5)], sender=SENDER, now=timezone.now())
    for _ in range(2):
        tasks.fold_rollups()
        tasks.convert_pending()
        tasks.maintain_partitions()
        tasks.audit_rollups()
    fold_everything(timezone.now())
    assert len(set(totals().values())) == 1


def test_health__rollups_up_to_date__is_ok(now: datetime) -> None:
    assert check_fold().status == "ok"


@pytest.mark.postgresql
def test_health__old_event_in_no_rollup__fails_with_a_cure(now: datetime) -> None:
    record_costs([item(1)], sender=SENDER, now=now)

    result = check_fold()

    assert result.status == "failed"
    assert "worker" in result.cure


@pytest.mark.postgresql
def test_fold__ledger_restored_into_another_cluster__starts_again_and_loses_nothing(now: datetime) -> None:
    # given a ledger folded under numbers that this cluster will not reach for long
    record_costs([item(n) for n in range(5)], sender=SENDER, now=now)
    fold_everything(now)
    FoldState.objects.update(horizon=10**15)
    # and an event that was written before anybody noticed
    record_costs([item(6)], sender=SENDER, now=now)
    assert not CostEvent.objects.unfolded().exists()

    # when the fold comes, and more is recorded after it
    rollups.fold(now=now)
    record_costs([item(7)], sender=SENDER, now=now)
    assert CostEvent.objects.unfolded().count() == 1
    fold_everything(now)

    # then every event is in the rollups once
    assert len(set(totals().values())) == 1
    assert totals()["events"][1] == 7
    assert AuditEntry.objects.get(action="ledger.realigned").after["events"] == 6
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE costs_costevent ALTER COLUMN txid SET DEFAULT pg_current_xact_id()")


def test_correction__reversal_and_replacement__leave_plain_sums(now: datetime) -> None:
    # given a recorded cost
    [verdict] = record_costs([item(9, input_tokens=100)], sender=SENDER, now=now)
    event = event_of(verdict)

    # when it is corrected
    corrections.correct_cost(event, Decimal("0.07"), reason="meter was wrong", now=now)
    fold_everything(now)

    # then it counts once, with the new amount, and the original still stands
    assert totals() == dict.fromkeys(("events", "entity_days", "model_hours"), (Decimal("0.07"), 1))
    assert ModelHourRollup.objects.get().input_tokens == 100
    classes = CostEvent.objects.order_by("recorded_at", "id").values_list("event_class", "amount")
    assert sorted(classes) == [
        ("reversal", Decimal("-0.10")), ("usage", Decimal("0.07")), ("usage", Decimal("0.10"))
    ]  # fmt: skip


def _scattered(number: int, now: datetime) -> Any:
    """Return an item whose content depends on its number alone, anywhere within the last 50 days."""
    chance = random.Random(number)  # sample data
    return item(
        number,
        amount=Decimal(chance.randrange(10**15)).scaleb(-12),
        occurred_at=now - timedelta(seconds=chance.randrange(50 * 86400)),
        currency=chance.choice(["USD", "EUR"]),
        model=chance.choice(["", "m1", "m2"]),
        provider="p",
    )


def _rows() -> list[tuple[Any, ...]]:
    days = EntityDayRollup.objects.order_by("entity_id", "day", "cost_type", "currency")
    hours = ModelHourRollup.objects.order_by("hour", "cost_type", "provider", "model", "currency")
    sums = ("currency", "amount", "base_amount", "event_count", "unpriced_count", "unconverted_count")
    return [*days.values_list("entity_id", "day", *sums), *hours.values_list("hour", "model", *sums, "input_tokens")]


@contextmanager
def _another_transaction(statement: str) -> Iterator[int]:
    """Keep a transaction open on a connection of its own; yields what its statement returns."""
    other = connection.copy()
    other.connect()
    try:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute(statement)
            yield int(cursor.fetchone()[0])
        other.rollback()
    finally:
        other.close()
