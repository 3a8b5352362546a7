"""Late prices and repricing: differences booked once, history kept, totals right."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from core.errors import Conflict, Invalid
from core.models import AuditEntry, ConditionRecord
from core.money import MoneySum
from core.ports.schedules import schedules
from costs import tasks
from costs.inputs import CostItem, Sender
from costs.models import CostEvent, UnpricedModel
from costs.services.corrections import correct_cost
from costs.services.fx import record_rate
from costs.services.ingest import record_costs
from costs.services.prices import create_book, end_price
from costs.services.prices_late import resolve_unpriced
from costs.services.prices_repricing import RepriceScope, reprice
from costs.tests.price_book import contract_book, sell

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC).replace(microsecond=0)
AT = NOW - timedelta(days=5)
SCOPE = RepriceScope(AT - timedelta(days=1), NOW)


def used(count: int = 1, model: str = "gpt-test", at: datetime = AT, **values: Any) -> list[CostEvent]:
    """Record calls of a million input tokens each and return the events."""
    usual = {"cost_type": "llm_api", "entity_type": "agent", "entity_id": "a", "provider": "openai"}
    items = [
        CostItem(**{**usual, "model": model, "input_tokens": 1_000_000, "occurred_at": at, **values})
        for _ in range(count)
    ]
    verdicts = record_costs(items, sender=Sender("test"), now=NOW)
    return [CostEvent.objects.get(id=str(verdict.record_id)) for verdict in verdicts]


def total() -> Any:
    return CostEvent.objects.aggregate(total=MoneySum("amount"))["total"]


def open_questions() -> int:
    return sum(CostEvent.objects.values_list("unpriced_count", flat=True))


def test_late__price_becomes_known__events_are_adjusted_and_the_queue_is_empty() -> None:
    events = used(3)
    sell("openai", "gpt-test", input_tokens="2.5", valid_from=AT)

    done = resolve_unpriced(now=NOW)

    assert (done, total(), open_questions()) == (3, Decimal("7.5"), 0)
    adjustment = CostEvent.objects.get(adjusts=events[0].id)
    assert (adjustment.event_class, adjustment.amount, adjustment.base_amount) == (
        "adjustment",
        Decimal("2.5"),
        Decimal("2.5"),
    )
    assert (adjustment.occurred_at, adjustment.recorded_at, adjustment.breakdown) == (AT, NOW, {"input_tokens": "2.5"})
    events[0].refresh_from_db()
    assert (events[0].amount, events[0].price_status) == (None, "unpriced")
    assert UnpricedModel.objects.get().status == "resolved"


def test_late__price_of_another_time__does_not_count() -> None:
    used()
    sell("openai", "gpt-test", input_tokens="2.5", valid_from=AT + timedelta(hours=1))

    assert resolve_unpriced(now=NOW) == 0

    assert (total(), open_questions(), UnpricedModel.objects.get().status) == (0, 1, "open")


def test_late__run_again__books_nothing_more() -> None:
    used(2)
    sell("openai", "gpt-test", input_tokens="2.5")
    resolve_unpriced(now=NOW)
    UnpricedModel.objects.update(status="open")

    assert resolve_unpriced(now=NOW) == 0

    assert total() == 5
    assert UnpricedModel.objects.get().status == "resolved"


def test_late__more_than_the_limit__go_on_the_next_time() -> None:
    used(5)
    sell("openai", "gpt-test", input_tokens="1")

    runs = [resolve_unpriced(now=NOW, limit=2) for _ in range(4)]

    assert (runs, total()) == ([2, 2, 1, 0], 5)


def test_late__free_model__is_answered_with_nought() -> None:
    used()
    sell("openai", "gpt-test", input_tokens="0")

    assert resolve_unpriced(now=NOW) == 1
    assert (total(), open_questions(), resolve_unpriced(now=NOW)) == (0, 0, 0)


def test_late__corrected_by_a_person_meanwhile__is_left_alone() -> None:
    (event,) = used()
    correct_cost(event, Decimal(7), reason="the invoice says 7", now=NOW)
    sell("openai", "gpt-test", input_tokens="2.5")

    assert resolve_unpriced(now=NOW) == 0
    assert total() == 7


def test_late__price_in_another_currency__is_converted_at_the_day_it_occurred() -> None:
    record_rate(base="EUR", quote="USD", rate=Decimal("1.1"), as_of_date=AT.date(), source="ecb", now=NOW)
    used()
    sell("openai", "gpt-test", input_tokens="2", book=contract_book("EUR"))

    resolve_unpriced(now=NOW)

    adjustment = CostEvent.objects.get(event_class="adjustment")
    assert (adjustment.amount, adjustment.currency, adjustment.base_amount) == (2, "EUR", Decimal("2.2"))


def test_late__models_without_a_price__raise_a_condition_until_there_is_one() -> None:
    used()
    later = NOW + timedelta(hours=1)
    resolve_unpriced(now=later)
    fired = ConditionRecord.objects.get(source="costs.prices", key="unpriced")
    assert (fired.firing, fired.summary) == (True, "Models are used that have no price: openai/gpt-test")

    sell("openai", "gpt-test", input_tokens="1")
    resolve_unpriced(now=later)

    fired.refresh_from_db()
    assert fired.firing is False


@pytest.mark.django_db(transaction=True)
def test_late__two_workers_at_once__write_each_price_once() -> None:
    used(20)
    sell("openai", "gpt-test", input_tokens="1")
    done: list[int] = []

    def work() -> None:
        try:
            done.append(resolve_unpriced(now=NOW))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(done) == 20
    assert (total(), CostEvent.objects.filter(event_class="adjustment").count(), open_questions()) == (20, 20, 0)


def replaced(old: Any, **prices: Any) -> None:
    """Put another price in the place of one, from before the events on."""
    start = AT - timedelta(hours=1)
    sell("openai", "gpt-test", valid_from=start, **prices)
    old.refresh_from_db()
    assert old.valid_to == start


def test_reprice__dry_run__shows_the_difference_by_model_and_writes_nothing() -> None:
    replaced_price = sell("openai", "gpt-test", input_tokens="2")
    sell("openai", "gpt-other", input_tokens="1")
    used(3), used(model="gpt-other")
    replaced(replaced_price, input_tokens="2.5")
    before = CostEvent.objects.count()

    report = reprice(SCOPE, now=NOW, dry_run=True)

    row: Any = report.differences[0]
    assert (report.event_count, report.changed_count) == (4, 3)
    assert (row.provider, row.model, row.currency, row.event_count) == ("openai", "gpt-test", "USD", 3)
    assert (row.old, row.new, row.difference) == (6, Decimal("7.5"), Decimal("1.5"))
    assert (CostEvent.objects.count(), total()) == (before, 7)


def test_reprice__applied__books_the_differences_once_and_keeps_the_events() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    events = used(2)
    replaced(old, input_tokens="1.5")
    preview = reprice(SCOPE, now=NOW, dry_run=True)

    report = reprice(SCOPE, now=NOW, dry_run=False, reason="the list was wrong", token=preview.token)
    again = reprice(SCOPE, now=NOW, dry_run=False, reason="the list was wrong")

    assert (report.written_count, again.changed_count, again.written_count) == (2, 0, 0)
    assert (total(), CostEvent.objects.get(adjusts=events[0].id).amount) == (3, Decimal("-0.5"))
    events[0].refresh_from_db()
    assert events[0].amount == 2
    entry = AuditEntry.objects.get(action="prices.repriced")
    assert (entry.reason, entry.after["differences"]) == ("the list was wrong", {"openai/gpt-test USD": "-1"})


def test_reprice__again_to_the_price_before__books_the_way_back() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    used()
    replaced(old, input_tokens="3")
    reprice(SCOPE, now=NOW, dry_run=False, reason="x")
    amounts = [total()]
    for cost in ("2", "3"):
        priority = 20 + len(amounts)
        book = create_book(name=f"c{cost}", kind="contracted", currency="USD", priority=priority, now=NOW)
        sell("openai", "gpt-test", book=book, input_tokens=cost)
        reprice(SCOPE, now=NOW, dry_run=False, reason="x")
        amounts.append(total())

    assert amounts == [3, 2, 3]
    assert CostEvent.objects.filter(event_class="adjustment").count() == 3


def test_reprice__late_price__is_repriced_like_any_other() -> None:
    used()
    old = sell("openai", "gpt-test", input_tokens="2")
    resolve_unpriced(now=NOW)
    replaced(old, input_tokens="3")

    reprice(SCOPE, now=NOW, dry_run=False, reason="x")

    assert total() == 3


def test_reprice__price_in_another_currency__moves_the_cost_between_the_currencies() -> None:
    record_rate(base="EUR", quote="USD", rate=Decimal("1.25"), as_of_date=AT.date(), source="ecb", now=NOW)
    sell("openai", "gpt-test", input_tokens="2")
    used()
    sell("openai", "gpt-test", book=contract_book("EUR"), input_tokens="1")

    report = reprice(SCOPE, now=NOW, dry_run=False, reason="contract signed late")

    rows: Any = CostEvent.objects.filter(event_class="adjustment").order_by("currency")
    assert [(row.currency, row.amount, row.base_amount) for row in rows] == [
        ("EUR", 1, Decimal("1.25")),
        ("USD", -2, -2),
    ]
    differences: Any = report.differences
    assert [(row.currency, row.difference) for row in differences] == [("EUR", 1), ("USD", -2)]
    assert reprice(SCOPE, now=NOW, dry_run=True).changed_count == 0


def test_reprice__reported_or_corrected_or_elsewhere__is_left_alone() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    used(amount=Decimal(9))
    (corrected,) = used()
    correct_cost(corrected, Decimal(7), reason="the invoice says 7", now=NOW)
    used(at=AT + timedelta(days=1))
    replaced(old, input_tokens="3")

    report = reprice(RepriceScope(AT, AT + timedelta(hours=1)), now=NOW, dry_run=True)

    assert (report.event_count, report.changed_count) == (0, 0)


def test_reprice__no_price_any_more__leaves_what_was_charged() -> None:
    version = sell("openai", "gpt-test", input_tokens="2", valid_from=AT - timedelta(days=1))
    used(at=NOW)
    end_price(version, at=NOW, now=NOW, reason="x")

    report = reprice(RepriceScope(AT, NOW + timedelta(days=1)), now=NOW, dry_run=False, reason="x")

    assert (report.event_count, report.changed_count, total()) == (1, 0, 2)


def test_reprice__something_changed_since_the_preview__is_refused() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    used()
    replaced(old, input_tokens="3")
    preview = reprice(SCOPE, now=NOW, dry_run=True)
    used()

    sell("openai", "gpt-test", book=contract_book(), input_tokens="1")
    with pytest.raises(Conflict) as refusal:
        reprice(SCOPE, now=NOW, dry_run=False, reason="x", token=preview.token)

    assert refusal.value.code == "stale_preview"
    assert not CostEvent.objects.filter(event_class="adjustment").exists()


@pytest.mark.parametrize(("scope", "reason"), [(RepriceScope(NOW, NOW), "x"), (SCOPE, " ")])
def test_reprice__senseless__is_refused(scope: RepriceScope, reason: str) -> None:
    with pytest.raises(Invalid):
        reprice(scope, now=NOW, dry_run=False, reason=reason)


def test_reprice__many_events__go_in_portions_without_losing_one() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    used(1203)
    replaced(old, input_tokens="3")

    report = reprice(SCOPE, now=NOW, dry_run=False, reason="x")

    assert (report.event_count, report.written_count, total()) == (1203, 1203, 3609)


def test_command__preview_then_apply__prints_and_books() -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    used(2)
    replaced(old, input_tokens="2.25")
    dates = {"start": AT.isoformat(), "end": NOW.isoformat()}
    preview, applied = StringIO(), StringIO()

    call_command("reprice", stdout=preview, **dates)
    token = preview.getvalue().split()[-1]
    call_command("reprice", stdout=applied, apply=True, reason="new list", token=token, **dates)

    assert preview.getvalue().splitlines()[:2] == [
        "2 events looked at, 2 cost something else now.",
        "openai/gpt-test: 2 events, 4 -> 4.5 USD (+0.5)",
    ]
    assert applied.getvalue().splitlines()[-1] == "2 differences booked."
    assert total() == Decimal("4.5")


@pytest.mark.parametrize("start", ["soon", "2026-13-01", "2026-11-01T10:00:00"])
def test_command__instant_that_is_none__is_a_clear_error(start: str) -> None:
    with pytest.raises(CommandError):
        call_command("reprice", start=start, end="2026-11-02")


def test_tasks__are_scheduled_and_safe_to_be_delivered_twice() -> None:
    used(2)
    sell("openai", "gpt-test", input_tokens="1")

    results = [tasks.resolve_prices() for _ in range(2)]

    assert (results, total()) == ([2, 0], 2)
    assert schedules.get("costs.resolve_prices").every == timedelta(minutes=5)
    assert schedules.get("costs.sync_prices").task == "costs.tasks.sync_prices"
