"""Budgets: made, revised, paused, archived and read; hard amounts to the last digit on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Conflict, Invalid, Missing
from core.models import AuditEntry
from costs.models import Budget, BudgetPeriod, BudgetRevision, BudgetThreshold
from costs.services.budgets import (
    BudgetChange,
    BudgetTerms,
    archive_budget,
    budget_status,
    budget_statuses,
    change_budget,
    create_budget,
    end_raise,
    raise_budget,
    set_active,
)
from costs.services.budgets.revisions import limit_in_force
from costs.tests.budgeting import amounts, budget, hold, period_of, spend, stand

pytestmark = pytest.mark.django_db


def limit(row: Budget, at: datetime) -> Decimal:
    return budget_status(row, at, forecast=False).limit


def refused(terms: dict[str, Any], now: datetime) -> list[tuple[str, str]]:
    given: dict[str, Any] = {"name": "Budget", "amount": Decimal(1)} | terms
    with pytest.raises(Invalid) as refusal:
        create_budget(BudgetTerms(**given), now=now)
    return [(error.pointer, error.code) for error in refusal.value.errors]


# --- Making ----------------------------------------------------------------------------------------------------------
def test_create__with_defaults__has_period_revision_thresholds_and_audit(now: datetime) -> None:
    made = create_budget(BudgetTerms(name=" Writers ", amount=Decimal("99.5")), now=now)

    assert (made.name, made.mode, made.period, made.currency, made.time_zone) == (
        "Writers", "soft", "monthly", "USD", "UTC",
    )  # fmt: skip
    period = BudgetPeriod.objects.get(budget=made)
    assert (period.start_at, period.end_at) == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    assert (period.limit, period.spent, period.rate) == amounts("99.5", "0", "1")
    thresholds = BudgetThreshold.objects.filter(budget=made).values_list("ratio", "basis", "severity")
    assert list(thresholds) == [(Decimal("0.8"), "actual", "medium"), (Decimal(1), "actual", "high")]
    entry = AuditEntry.objects.get(action="budget.created")
    assert (entry.subject_id, entry.after["amount"]) == (str(made.id), "99.5")


def test_create__time_zone_and_anchor__decide_where_the_period_begins(now: datetime) -> None:
    made = budget(now, period="monthly", anchor=31, time_zone="Asia/Tokyo")

    period = period_of(made)

    # The last day of February and the 31st of March, midnight in Tokyo.
    assert period.start_at == datetime(2026, 2, 27, 15, 0, tzinfo=UTC)
    assert period.end_at == datetime(2026, 3, 30, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("terms", "mistake"),
    [
        ({"name": "  "}, ("/name", "required")),
        ({"amount": Decimal("-0.01")}, ("/amount", "min_value")),
        ({"amount": Decimal("NaN")}, ("/amount", "invalid")),
        ({"amount": Decimal("1e30")}, ("/amount", "invalid")),
        ({"amount": Decimal("0.0000000000001")}, ("/amount", "invalid")),
        ({"period": "fortnightly"}, ("/period", "invalid_choice")),
        ({"mode": "strict"}, ("/mode", "invalid_choice")),
        ({"period": "weekly", "anchor": 8}, ("/anchor", "out_of_range")),
        ({"anchor": 0}, ("/anchor", "out_of_range")),
        ({"time_zone": "Mars/Olympus"}, ("/time_zone", "invalid_choice")),
        ({"alert_threshold": Decimal(0)}, ("/alert_threshold", "out_of_range")),
        ({"alert_threshold": Decimal("0.80001")}, ("/alert_threshold", "out_of_range")),
        ({"forecast_threshold": Decimal("NaN")}, ("/forecast_threshold", "out_of_range")),
        ({"currency": "EUR"}, ("/currency", "rate_missing")),
        ({"cost_type": "LLM API"}, ("/cost_type", "pattern")),
        ({"entity_type": "agent"}, ("/entity_id", "required")),
        ({"model": "m" * 161}, ("/model", "max_length")),
    ],
)
def test_create__senseless_terms__are_refused_at_their_field(
    terms: dict[str, Any], mistake: tuple[str, str], now: datetime
) -> None:
    assert refused(terms, now) == [mistake]
    assert (Budget.objects.count(), AuditEntry.objects.filter(action__startswith="budget").count()) == (0, 0)


def test_create__several_mistakes__are_told_together(now: datetime) -> None:
    found = refused({"name": "", "anchor": 40, "mode": "x"}, now)

    assert found == [("/name", "required"), ("/anchor", "out_of_range"), ("/mode", "invalid_choice")]


# --- Revising --------------------------------------------------------------------------------------------------------
def test_raise__lasting__holds_at_once_and_in_the_next_period(now: datetime) -> None:
    made = budget(now)

    raise_budget(made.id, Decimal("25.5"), reason="launch", now=now)

    assert limit(made, now) == limit(made, now + timedelta(days=40)) == Decimal("25.5")
    entry = AuditEntry.objects.get(action="budget.raised")
    assert (entry.before, entry.after["amount"], entry.reason) == ({"amount": "10"}, "25.5", "launch")


def test_lower__below_what_was_spent__leaves_no_room_and_is_over(now: datetime) -> None:
    made = budget(now)
    spend(now, "6")

    raise_budget(made.id, Decimal(5), reason="cut", now=now)

    status = budget_status(made, now)
    assert (status.limit, status.remaining, status.is_over_budget) == (Decimal(5), Decimal(-1), True)
    assert AuditEntry.objects.filter(action="budget.lowered").count() == 1


def test_temporary_raise__ends_by_itself__without_any_task(now: datetime) -> None:
    made = budget(now)
    end = now + timedelta(hours=1)

    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=end)

    assert [limit(made, at) for at in (now, end - timedelta(microseconds=1), end)] == list(amounts("20", "20", "10"))


def test_temporary_raise__over__lets_nothing_more_pass(now: datetime) -> None:
    made = budget(now)
    end = now + timedelta(hours=1)
    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=end)
    hold(now, "12", key="during")

    with pytest.raises(Exception, match="has -2"):
        hold(end, "0.000000000001", key="after")

    assert stand(made, end) == amounts("0", "12", "-2")
    assert period_of(made).limit == Decimal(10)


def test_lasting_raise__during_a_temporary_one__holds_when_that_has_ended(now: datetime) -> None:
    made = budget(now)
    end = now + timedelta(hours=2)
    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=end)

    raise_budget(made.id, Decimal(15), reason="for good", now=now + timedelta(hours=1))

    assert [limit(made, at) for at in (now + timedelta(hours=1), end)] == list(amounts("20", "15"))


def test_temporary_raise__ended_early__is_gone_at_once(now: datetime) -> None:
    made = budget(now)
    revision = raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=now + timedelta(days=1))

    end_raise(revision.id, reason="quiet again", now=now + timedelta(minutes=5))

    assert limit(made, now + timedelta(minutes=5)) == Decimal(10)
    with pytest.raises(Conflict):
        end_raise(revision.id, reason="again", now=now + timedelta(minutes=6))


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"amount": Decimal(-1)}, "/amount"),
        ({"reason": "  "}, "/reason"),
        ({"amount": Decimal(11), "expires_at": timedelta()}, "/expires_at"),
        ({"amount": Decimal(10), "expires_at": timedelta(days=1)}, "/amount"),
    ],
)
def test_raise__that_makes_no_sense__changes_nothing(change: dict[str, Any], pointer: str, now: datetime) -> None:
    made = budget(now)
    given: dict[str, Any] = {"amount": Decimal(11), "reason": "why not"} | change
    if "expires_at" in given:
        given["expires_at"] += now

    with pytest.raises(Invalid) as refusal:
        raise_budget(made.id, given.pop("amount"), now=now, **given)

    assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert (BudgetRevision.objects.count(), limit(made, now)) == (1, Decimal(10))


instants = st.integers(min_value=0, max_value=100).map(
    lambda minutes: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minutes)
)
revisions = st.lists(
    st.builds(
        lambda amount, start, minutes: BudgetRevision(
            amount=Decimal(amount),
            effective_from=start,
            expires_at=start + timedelta(minutes=minutes) if minutes else None,
        ),
        st.integers(min_value=0, max_value=1000),
        instants,
        st.integers(min_value=0, max_value=60),
    ),
    max_size=8,
)


@given(revisions=revisions, at=instants)
def test_limit_in_force__until_it_says__never_changes(revisions: list[BudgetRevision], at: datetime) -> None:
    ordered = sorted(revisions, key=lambda revision: revision.effective_from, reverse=True)
    found = limit_in_force(ordered, at)
    until = found.until or at + timedelta(days=1)

    assert until > at
    assert limit_in_force(ordered, at + (until - at) / 2).amount == found.amount
    assert limit_in_force(ordered, until - timedelta(microseconds=1)).amount == found.amount


# --- Pausing, changing, archiving -------------------------------------------------------------------------------------
def test_pause__hard_budget__counts_on_and_refuses_nothing(now: datetime) -> None:
    made = budget(now, "1")

    set_active(made.id, active=False, now=now, reason="incident")
    set_active(made.id, active=False, now=now, reason="incident")
    hold(now, "5")
    spend(now, "2")

    assert stand(made, now) == amounts("2", "0", "-1")
    assert AuditEntry.objects.filter(action="budget.paused").count() == 1


def test_resume__hard_budget__refuses_again(now: datetime) -> None:
    made = budget(now, "1")
    set_active(made.id, active=False, now=now)
    set_active(made.id, active=True, now=now)

    with pytest.raises(Exception, match="has 1"):
        hold(now, "5")


def test_archive__budget__counts_and_refuses_nothing_more_and_cannot_come_back(now: datetime) -> None:
    made = budget(now, "1")
    spend(now, "0.4")

    archive_budget(made.id, now=now, reason="project over")
    archive_budget(made.id, now=now)
    hold(now, "5")
    spend(now, "0.5")

    assert stand(made, now) == amounts("0.4", "0", "0.6")
    assert AuditEntry.objects.filter(action="budget.archived").count() == 1
    for act in (
        lambda: set_active(made.id, active=True, now=now),
        lambda: raise_budget(made.id, Decimal(2), reason="x", now=now),
        lambda: change_budget(made.id, BudgetChange(name="x"), now=now),
    ):
        with pytest.raises(Conflict):
            act()


def test_archive__with_money_set_aside__gives_it_back_when_the_call_settles(now: datetime) -> None:
    made = budget(now)
    held = hold(now, "4").reservation
    archive_budget(made.id, now=now)

    spend(now, "3", reservation_id=held.id)

    period = period_of(made)
    assert (period.reserved, period.spent) == amounts("0", "0")


def test_change__name_and_owner__is_audited_with_before_and_after(now: datetime) -> None:
    made = budget(now)

    change_budget(made.id, BudgetChange(name="Other"), now=now, reason="typo")

    entry = AuditEntry.objects.get(action="budget.changed")
    assert (entry.before["name"], entry.after["name"], entry.reason) == ("Budget", "Other", "typo")


def test_unknown_budget__is_missing(now: datetime) -> None:
    for act in (
        lambda: raise_budget(uuid4(), Decimal(1), reason="x", now=now),
        lambda: change_budget(uuid4(), BudgetChange(name="x"), now=now),
        lambda: archive_budget(uuid4(), now=now),
    ):
        with pytest.raises(Missing):
            act()


# --- Reading ---------------------------------------------------------------------------------------------------------
def test_status__spent_and_reserved__add_up_to_the_last_digit(now: datetime) -> None:
    made = budget(now, "10")
    spend(now, "8.000000000001")
    hold(now, "1.5")

    status = budget_status(made, now)

    assert (status.spent, status.reserved, status.remaining) == amounts("8.000000000001", "1.5", "0.499999999999")
    assert (status.usage_percent, status.should_alert, status.is_over_budget) == (Decimal("80.00"), True, False)
    assert status.period.start == datetime(2026, 3, 1, tzinfo=UTC)


def test_status__exactly_used_up__is_not_over(now: datetime) -> None:
    made = budget(now, "0.3")
    for _ in range(3):
        spend(now, "0.1")

    status = budget_status(made, now)

    assert (status.is_over_budget, status.remaining, status.usage_percent) == (False, Decimal(0), Decimal("100.00"))


def test_status__budget_of_zero__has_no_percentage(now: datetime) -> None:
    made = budget(now, "0")
    assert budget_status(made, now).should_alert is False
    spend(now, "0.01")

    status = budget_status(made, now)

    assert (status.usage_percent, status.is_over_budget, status.should_alert) == (None, True, True)


def test_status__in_the_next_period__begins_at_nothing_and_writes_nothing(now: datetime) -> None:
    made = budget(now)
    spend(now, "4")
    rows = BudgetPeriod.objects.count()

    status = budget_status(made, now + timedelta(days=20))

    assert (status.spent, status.limit) == amounts("0", "10")
    assert status.period.start == datetime(2026, 4, 1, tzinfo=UTC)
    assert BudgetPeriod.objects.count() == rows


def test_status__forecast__comes_from_the_scope_of_the_budget(now: datetime) -> None:
    made = budget(now, "100", mode="soft")
    for back in range(28, 0, -1):
        spend(now - timedelta(days=back), "1", occurred_at=now - timedelta(days=back))
        spend(now, "9", entity=("agent", "other"), occurred_at=now - timedelta(days=back))

    found = budget_status(made, now).forecast

    assert found is not None
    # 17 days spent, 13.5 to come at 1 a day.
    assert (found.expected, found.method) == (Decimal("30.500000"), "weekday_profile")


def test_statuses__of_many_budgets__take_as_many_queries_as_of_one(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    made = [budget(now, mode=mode) for mode in ("hard", "soft") * 10]

    with django_assert_max_num_queries(3):
        found = budget_statuses(made, now)

    assert list(found) == [row.id for row in made]


def test_check_constraint__reserved_below_zero__is_refused_by_the_database(now: datetime) -> None:
    made = budget(now)
    with pytest.raises(IntegrityError), transaction.atomic():
        BudgetPeriod.objects.filter(budget=made).update(reserved=Decimal(-1))
