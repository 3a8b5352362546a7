"""The demonstration: plausible, marked, the same every time, and gone without a trace when it is removed."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core.models import AuditEntry, ConditionRecord
from core.money import MoneySum
from costs import reader
from costs.choices import BudgetMode
from costs.demo.load import is_loaded, load_demo
from costs.demo.removal import remove_demo
from costs.demo.traffic import days_of, items_of
from costs.explorer import preset
from costs.inputs import CostItem, Rejected
from costs.models import (
    Budget,
    CostCenter,
    CostEvent,
    Entity,
    EntityDayRollup,
    EventKey,
    FxRate,
    IngestReject,
    ModelHourRollup,
    Reservation,
    UnpricedModel,
)
from costs.services.budgets import budget_status, budget_statuses
from costs.services.corrections import correct_cost
from costs.tests.budgeting import budget, spend
from costs.tests.ledger_case import fold_everything
from costs.tests.price_book import sell

ZONE = ZoneInfo("UTC")
NOON = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
OWN = (Budget, CostCenter, CostEvent, Entity, EntityDayRollup, EventKey, FxRate, IngestReject, ModelHourRollup,
       Reservation, UnpricedModel)  # fmt: skip
DAYS = 8


@pytest.fixture
def prices() -> None:
    """A small price book: the lists of a real installation take longer than all of these tests."""
    for provider, code in (("anthropic", "claude-sonnet-4-5"), ("anthropic", "claude-haiku-4-5"),
                           ("openai", "gpt-5.1"), ("openai", "gpt-5-mini"), ("google", "gemini-2.5-flash"),
                           ("mistral", "mistral-large-2512"), ("openai", "text-embedding-3-small")):  # fmt: skip
        for tier in ("standard", "batch"):
            sell(provider, code, service_tier=tier, input_tokens="2", output_tokens="8", cache_read_tokens="0.2")


def _everything() -> dict[str, Any]:
    """Return every row of the ledger, its rollups, budgets and periods, as they are stored."""
    return {model.__name__: sorted(map(repr, model.objects.order_by().values_list())) for model in OWN}


def _items(day: date, today: date, now: datetime = NOON) -> list[CostItem | Rejected]:
    return list(items_of(day, today=today, count=90, now=now, zone=ZONE))


def test_traffic__same_day_twice__is_the_same_to_the_last_digit() -> None:
    day = date(2026, 3, 10)

    assert _items(day, NOON.date()) == _items(day, NOON.date())
    assert _items(day, NOON.date()) != _items(day + timedelta(days=1), NOON.date())


def test_traffic__ninety_days__grow_rest_on_weekends_and_have_one_runaway_day() -> None:
    today = NOON.date()
    counts = {day: len(_items(day, today)) for day in days_of(today, 90)}

    weekdays = [count for day, count in counts.items() if day.weekday() < 5 and day != today]
    weekends = [count for day, count in counts.items() if day.weekday() >= 5]
    assert sum(weekends) / len(weekends) < 0.6 * sum(weekdays) / len(weekdays)
    assert sum(weekdays[-20:]) > 1.15 * sum(weekdays[:20])
    runs = {day: sum(getattr(item, "entity_id", "") == "demo-code-reviewer" for item in _items(day, today))
            for day in days_of(today, 20)}  # fmt: skip
    assert max(runs, key=lambda day: runs[day]) == today - timedelta(days=12)


def test_traffic__of_today__has_nothing_after_now_and_one_bad_item() -> None:
    items = _items(NOON.date(), NOON.date())

    assert all(item.occurred_at <= NOON for item in items if isinstance(item, CostItem) and item.occurred_at)
    assert [item.payload["amount"] for item in items if isinstance(item, Rejected)] == ["12,50"]


@pytest.mark.django_db(transaction=True)
def test_load__marks_everything_and_shows_every_case(prices: None) -> None:
    now = timezone.now()

    report = load_demo(days=DAYS, now=now)

    assert report.event_count == CostEvent.objects.filter(source="demo").count() == CostEvent.objects.count() > 500
    assert not Entity.objects.filter(demo=False).exists()
    assert not Budget.objects.filter(demo=False).exists()
    assert set(Budget.objects.values_list("mode", flat=True)) == set(BudgetMode.values)
    states = budget_statuses(list(Budget.objects.all()), now).values()
    assert any(status.is_over_budget for status in states)
    assert any(status.should_alert and not status.is_over_budget for status in states)
    assert {(row.provider, row.model) for row in UnpricedModel.objects.all()} == {
        ("acme-ai", "acme-reasoner-2-preview")
    }
    assert set(IngestReject.objects.values_list("kind", flat=True)) == {"invalid", "conflict"}
    assert not CostEvent.objects.filter(unconverted_count__gt=0).exists()
    assert CostEvent.objects.filter(currency="EUR", base_amount__isnull=False).exists()
    assert Reservation.objects.filter(status="pending").exists()
    assert AuditEntry.objects.get(action="demo.loaded").after["events"] == report.event_count


@pytest.mark.django_db(transaction=True)
def test_remove__leaves_everything_else_to_the_last_digit(prices: None) -> None:
    now = timezone.now()
    everything = budget(now, "1000", entity=None, name="All of us", mode="soft")
    for number in range(20):
        spend(now, f"0.{number:012d}", occurred_at=now - timedelta(hours=5 * number), idempotency_key=f"own-{number}")
    fold_everything(now)
    before, own_spent = _everything(), budget_status(everything, now).spent

    load_demo(days=DAYS, now=now)
    assert budget_status(everything, now).spent > own_spent
    report = remove_demo(now=now)

    assert report.event_count > 500
    assert not is_loaded()
    fold_everything(now)
    assert _plain(_everything()) == _plain(before)
    assert budget_status(everything, now).spent == own_spent
    window = preset("90d", now, reader.organisation_zone())
    assert reader.total(window).base_amount == CostEvent.objects.aggregate(total=MoneySum("base_amount"))["total"]
    assert not ConditionRecord.objects.filter(firing=True, source__startswith="costs.budget").exists()
    assert AuditEntry.objects.get(action="demo.removed").before["events"] == report.event_count


def _plain(rows: dict[str, Any]) -> dict[str, Any]:
    """Leave out the rollups' own numbers: they were built again."""
    import re

    return {
        name: sorted(re.sub(r"^\(\d+, ", "(", row) for row in found) if name.endswith("Rollup") else found
        for name, found in rows.items()
    }


@pytest.mark.django_db(transaction=True)
def test_remove__what_corrects_a_demo_cost__goes_with_it(prices: None) -> None:
    now = timezone.now()
    load_demo(days=2, now=now)
    event = CostEvent.objects.filter(amount__isnull=False).order_by("id")[0]
    second = correct_cost(event, Decimal(5), reason="x", now=now)
    correct_cost(second, Decimal(6), reason="y", now=now)

    remove_demo(now=now)

    assert not CostEvent.objects.exists()
    assert not EventKey.objects.exists()
    assert EntityDayRollup.objects.count() + ModelHourRollup.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_remove__entity_that_real_data_uses__stays_unmarked_with_its_costs(prices: None) -> None:
    now = timezone.now()
    load_demo(days=2, now=now)
    spend(now, "7", entity=("agent", "demo-support-chat"), idempotency_key="real")

    report = remove_demo(now=now)

    assert report.kept_entities == ("agent:demo-support-chat", "team:demo-customer-care")
    assert [event.amount for event in CostEvent.objects.all()] == [Decimal(7)]
    assert not Entity.objects.filter(demo=True).exists()
    window = preset("7d", now, reader.organisation_zone())
    assert reader.total(window).base_amount == Decimal(7)


@pytest.mark.django_db(transaction=True)
def test_remove__afterwards__the_ledger_refuses_changes_again(prices: None) -> None:
    now = timezone.now()
    load_demo(days=2, now=now)
    remove_demo(now=now)
    spend(now, "1")

    for statement in ("DELETE FROM costs_costevent", "UPDATE costs_costevent SET currency = 'EUR'"):
        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert CostEvent.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_command__twice_then_reset_twice__says_what_it_did(prices: None) -> None:
    said = [_run("--days", "2"), _run("--days", "2"), _run("--reset"), _run("--reset")]

    assert "Added " in said[0]
    assert "there already" in said[1]
    assert "Removed " in said[2]
    assert "Removed 0 costs, 0 entities and 0 budgets." in said[3]
    assert AuditEntry.objects.filter(action="demo.removed").count() == 1


def _run(*options: str) -> str:
    out = io.StringIO()
    call_command("load_demo", *options, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("days", ["0", "181"])
def test_command__senseless_days__is_refused(days: str) -> None:
    with pytest.raises(CommandError):
        call_command("load_demo", "--days", days)
    assert not Entity.objects.exists()
