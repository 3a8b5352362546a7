"""Corrections and adjustments: further events, once each, so that every total stays a plain sum."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from costs.choices import BudgetMode
from costs.models import BudgetPeriod, CostEvent
from costs.services.budgets import BudgetTerms, create_budget
from costs.services.corrections import Adjustment, correct_cost, standing_amounts, write_adjustments
from costs.services.ingest import record_cost
from costs.tests.ledger_case import SENDER, event_of, item

pytestmark = pytest.mark.django_db

COUNTS = ("event_count", "unpriced_count", "unconverted_count", "input_tokens", "output_tokens")


def test_correct_cost__twice__the_second_time_by_what_stands_in_its_place(now: datetime) -> None:
    event = _recorded(now, amount=Decimal("0.10"))

    replacement = correct_cost(event, Decimal("0.07"), reason="wrong meter", now=now)
    correct_cost(replacement, Decimal("0.05"), reason="wrong again", now=now)

    assert CostEvent.objects.total() == Decimal("0.05")
    assert _sums() == dict(zip(COUNTS, (1, 0, 0, 7, 3), strict=True))
    entries = AuditEntry.objects.filter(action="cost.corrected").order_by("id")
    assert [entry.reason for entry in entries] == ["wrong meter", "wrong again"]
    assert entries[0].before == {"amount": "0.1", "currency": "USD"}


def test_correct_cost__of_an_event_corrected_before__is_a_conflict(now: datetime) -> None:
    event = _recorded(now)
    correct_cost(event, Decimal("0.07"), reason="wrong meter", now=now)

    with pytest.raises(Conflict, match="stands in its place"):
        correct_cost(event, Decimal("0.01"), reason="again", now=now)
    assert CostEvent.objects.total() == Decimal("0.07")
    assert CostEvent.objects.count() == 3


@pytest.mark.parametrize(("amount", "reason"), [(Decimal("-1"), "because"), (Decimal("1"), " ")])
def test_correct_cost__negative_or_unexplained__is_refused(amount: Decimal, reason: str, now: datetime) -> None:
    event = _recorded(now)

    with pytest.raises(Invalid):
        correct_cost(event, amount, reason=reason, now=now)
    assert CostEvent.objects.count() == 1


def test_correct_cost__of_an_unpriced_event__closes_its_question(now: datetime) -> None:
    event = _recorded(now, amount=None, model="gpt-9", provider="openai")
    assert event.unpriced_count == 1

    correct_cost(event, Decimal("0.40"), reason="the provider's invoice says so", now=now)

    assert CostEvent.objects.total() == Decimal("0.40")
    assert _sums()["unpriced_count"] == 0
    assert _sums()["event_count"] == 1


def test_correct_cost__of_a_reversal__is_a_conflict(now: datetime) -> None:
    event = _recorded(now)
    correct_cost(event, Decimal(0), reason="never happened", now=now)
    reversal = CostEvent.objects.get(event_class="reversal")

    with pytest.raises(Conflict):
        correct_cost(reversal, Decimal(1), reason="no", now=now)


def test_write_adjustments__late_price__answers_the_question_once(now: datetime) -> None:
    # given an event that nobody knew a price for
    event = _recorded(now, amount=None, model="gpt-9", provider="openai")
    late = Adjustment(
        event, f"price:{event.id}", Decimal("0.3"), Decimal("0.3"), answers="price", breakdown={"input_tokens": "0.3"}
    )

    # when its price is booked, twice
    first, again = write_adjustments([late], now=now), write_adjustments([late], now=now)

    # then it is booked once and the original stands as it was
    assert (len(first), len(again)) == (1, 0)
    assert CostEvent.objects.total() == Decimal("0.3")
    assert _sums()["unpriced_count"] == 0
    assert CostEvent.objects.get(id=event.id).amount is None
    assert standing_amounts(event) == (Decimal("0.3"), Decimal("0.3"), 0, 0)


def test_write_adjustments__difference_then_correction__reverses_what_it_had_come_to(now: datetime) -> None:
    event = _recorded(now, amount=Decimal("0.10"))
    write_adjustments([Adjustment(event, "reprice:1", Decimal("-0.04"), Decimal("-0.04"))], now=now)
    assert CostEvent.objects.total() == Decimal("0.06")

    correct_cost(event, Decimal("0.20"), reason="wrong meter", now=now)

    assert CostEvent.objects.get(event_class="reversal").amount == Decimal("-0.06")
    assert CostEvent.objects.total() == Decimal("0.20")


def test_correct_cost__under_a_hard_budget__moves_what_it_has_spent(now: datetime) -> None:
    # given a hard budget that has counted an event
    _hard_budget(now)
    event = _recorded(now, amount=Decimal("0.30"), idempotency_key="second")
    before = BudgetPeriod.objects.get().spent

    correct_cost(event, Decimal("0.05"), reason="wrong meter", now=now)

    assert BudgetPeriod.objects.get().spent == before - Decimal("0.25")


def _recorded(now: datetime, **values: Any) -> CostEvent:
    verdict = record_cost(item(1, **{"input_tokens": 7, "output_tokens": 3, **values}), sender=SENDER, now=now)
    return event_of(verdict)


def _sums() -> dict[str, int]:
    rows = list(CostEvent.objects.values(*COUNTS))
    return {name: sum(row[name] for row in rows) for name in COUNTS}


def _hard_budget(now: datetime) -> None:
    create_budget(BudgetTerms(name="all", amount=Decimal(100), period="monthly", mode=BudgetMode.HARD), now=now)
