"""What counts on which budget: by scope, period, currency and mode, never twice and never not at all."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import Invalid
from costs.inputs import Sender
from costs.models import Budget, BudgetPeriod, Currency, FxRate, Reservation
from costs.services import corrections, reservations
from costs.services.budgets import (
    BudgetChange,
    add_hard_spend,
    budget_status,
    change_budget,
    fold_soft_spend,
    raise_budget,
    recount,
    set_active,
)
from costs.services.reservations import BudgetExceeded
from costs.spend import Spend
from costs.tests.budgeting import (
    AGENT,
    CLIENT,
    OTHER_CLIENT,
    TEAM,
    amounts,
    budget,
    entity,
    hold,
    period_of,
    spend,
    stand,
)
from costs.tests.ledger_case import fold_everything, is_postgresql

pytestmark = pytest.mark.django_db
OTHER = ("agent", "other")


def spent(row: Budget, at: datetime) -> Decimal:
    return stand(row, at)[0]


@pytest.fixture
def euro(now: datetime) -> None:
    Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro"})
    for day, rate in ((date(2026, 2, 20), "0.9"), (date(2026, 3, 10), "0.8")):
        FxRate.objects.create(
            base="USD", quote="EUR", rate=Decimal(rate), as_of_date=day, source="test", recorded_at=now
        )


# --- Scope -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["hard", "soft", "monitor"])
def test_scope__filters__count_only_what_passes_all_of_them(mode: str, now: datetime) -> None:
    everything = budget(now, entity=None, mode=mode)
    one_model = budget(now, mode=mode, provider="acme", model="large")
    compute = budget(now, entity=None, mode=mode, cost_type="compute")

    spend(now, "1", provider="acme", model="large")
    spend(now, "0.1", provider="acme", model="small")
    spend(now, "0.01", provider="acme", model="large", entity=OTHER)

    assert [spent(row, now) for row in (everything, one_model, compute)] == list(amounts("1.11", "1", "0"))


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_scope__budget_on_a_team__covers_everything_below_it(mode: str, now: datetime) -> None:
    entity(now, ("team", "sub"), below=TEAM)
    entity(now, AGENT, below=("team", "sub"))
    team, agent = budget(now, entity=TEAM, mode=mode), budget(now, mode=mode)

    spend(now, "1")
    spend(now, "2", entity=TEAM)
    spend(now, "4", entity=OTHER)

    assert (spent(team, now), spent(agent, now)) == amounts("3", "1")


def test_scope__agent_that_moves__counts_on_its_new_team_from_then_on(now: datetime) -> None:
    team = budget(now, entity=TEAM)
    spend(now, "1")

    entity(now, AGENT, below=TEAM)
    spend(now, "2")

    assert spent(team, now) == Decimal(2)


# --- Period ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_period__made_half_way_through__counts_what_was_spent_since_it_began(mode: str, now: datetime) -> None:
    spend(now, "1", occurred_at=datetime(2026, 3, 1, tzinfo=UTC))
    spend(now, "2", occurred_at=datetime(2026, 2, 28, 23, 59, 59, 999999, tzinfo=UTC))

    made = budget(now, mode=mode)
    spend(now, "4")

    assert spent(made, now) == Decimal(5)


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_period__late_event__counts_where_it_occurred_and_not_before_the_budget_was(mode: str, now: datetime) -> None:
    made = budget(now, mode=mode, period="daily", time_zone="America/New_York")
    tomorrow = now + timedelta(days=1)
    # One second before midnight in New York, which is four hours after midnight in UTC.
    spend(tomorrow, "1", occurred_at=datetime(2026, 3, 19, 3, 59, 59, tzinfo=UTC))
    spend(tomorrow, "2", occurred_at=datetime(2026, 3, 19, 4, 0, 0, tzinfo=UTC))
    spend(tomorrow, "4", occurred_at=now - timedelta(days=3))

    assert [spent(made, at) for at in (now, tomorrow)] == list(amounts("1", "2"))
    assert spent(made, now - timedelta(days=3)) == Decimal(0)


def test_period__limit_of_one_made_late__is_the_one_in_force_then(now: datetime) -> None:
    made = budget(now, period="daily")
    raise_budget(made.id, Decimal(50), reason="today only", now=now, expires_at=now + timedelta(hours=1))

    spend(now + timedelta(days=2), "1")

    assert period_of(made).limit == Decimal(10)


# --- Currency --------------------------------------------------------------------------------------------------------
@pytest.mark.usefixtures("euro")
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_currency__other_than_the_events__counts_by_the_rate_of_the_periods_beginning(mode: str, now: datetime) -> None:
    made = budget(now, currency="eur", mode=mode)

    spend(now, "1")
    spend(now, "1", currency="EUR")

    assert period_of(made).rate == Decimal("0.9")
    # A euro is a euro; a dollar is 0.9 of one at the rate of the month's first day, although it is 0.8 today.
    assert spent(made, now) == Decimal("1.9")


@pytest.mark.usefixtures("euro")
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_currency__each_event__is_rounded_half_even_by_itself(mode: str, now: datetime) -> None:
    made = budget(now, currency="EUR", mode=mode)
    BudgetPeriod.objects.update(rate=Decimal("0.5"))

    for text in ("0.000000000001", "0.000000000003", "0.000000000005"):
        spend(now, text)

    # Halves of 10^-12: 0.5 to 0, 1.5 to 2, 2.5 to 2.
    assert spent(made, now) == Decimal("0.000000000004")


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_currency__without_a_rate_yet__counts_when_the_rate_is_known(mode: str, now: datetime) -> None:
    Currency.objects.get_or_create(code="GBP", defaults={"name": "Pound"})
    made = budget(now, mode=mode)
    spend(now, "2", currency="GBP")
    assert spent(made, now) == Decimal(0)

    FxRate.objects.create(
        base="GBP", quote="USD", rate=Decimal("1.25"), as_of_date=now.date(), source="t", recorded_at=now
    )
    corrections.convert_pending(now=now)

    assert spent(made, now) == Decimal("2.5")


def test_currency__of_a_budget_without_any_rate__is_refused(now: datetime) -> None:
    with pytest.raises(Invalid, match="no exchange rate between USD and CHF"):
        budget(now, currency="CHF")


# --- Reservations ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_attribution__event_that_settles__counts_in_the_period_it_was_reserved_in(mode: str, now: datetime) -> None:
    made = budget(now, mode=mode, period="daily")
    held = hold(now, "4").reservation
    tomorrow = now + timedelta(days=1)

    spend(tomorrow, "3", reservation_id=held.id)

    assert [stand(made, at) for at in (now, tomorrow)] == [amounts("3", "0", "7"), amounts("0", "0", "10")]


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_attribution__budget_made_after_the_reservation__counts_its_event_by_scope(mode: str, now: datetime) -> None:
    early = budget(now, mode=mode)
    held = hold(now, "4").reservation
    late = budget(now, mode=mode)

    spend(now, "3", reservation_id=held.id)

    assert [spent(row, now) for row in (early, late)] == list(amounts("3", "3"))
    assert Reservation.objects.get().lines.count() == 1


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_attribution__second_event_for_a_reservation__is_a_spend_of_its_own(mode: str, now: datetime) -> None:
    made = budget(now, mode=mode)
    held = hold(now, "4").reservation
    first = spend(now, "3", reservation_id=held.id)

    spend(now, "2", reservation_id=held.id)

    assert stand(made, now) == amounts("5", "0", "5")
    assert (Reservation.objects.get().event, Reservation.objects.get().actual) == (first, Decimal(3))


def test_attribution__other_clients_reservation__is_left_alone(now: datetime) -> None:
    made = budget(now)
    held = hold(now, "4").reservation

    spend(now, "3", reservation_id=held.id, sender=Sender(source=f"key:{OTHER_CLIENT.hex}"))

    assert stand(made, now) == amounts("3", "4", "3")
    assert Reservation.objects.get().status == "pending"


def test_attribution__both_events_in_one_batch__only_the_first_settles(now: datetime) -> None:
    made = budget(now)
    held = hold(now, "4").reservation
    key = entity(now, AGENT).pk
    events = [
        Spend(uuid4(), key, "llm_api", "", "", now, Decimal(amount), "USD", Decimal(amount), held.id)
        for amount in (3, 2)
    ]

    with transaction.atomic():
        add_hard_spend(events, source=f"key:{CLIENT.hex}", now=now)

    assert period_of(made).reserved == Decimal(0)
    assert Reservation.objects.get().event == events[0].event


# --- Overrun ---------------------------------------------------------------------------------------------------------
def test_overrun__plain_spend_past_a_hard_limit__is_noted_as_far_as_it_is_past(now: datetime) -> None:
    made = budget(now, "10")
    hold(now, "4")

    for amount in ("5", "2.5", "1"):
        spend(now, amount)

    period = period_of(made)
    # 4 held and 8.5 spent: 2.5 past 10.
    assert (period.spent, period.reserved, period.overrun) == amounts("8.5", "4", "2.5")


def test_overrun__money_given_back_afterwards__does_not_undo_what_happened(now: datetime) -> None:
    made = budget(now, "10")
    spend(now, "12")
    assert period_of(made).overrun == Decimal(2)

    with transaction.atomic():
        key = entity(now, AGENT).pk
        credit = Spend(uuid4(), key, "llm_api", "", "", now, Decimal(-5), "USD", Decimal(-5))
        add_hard_spend([credit], source="platform", now=now)

    assert (period_of(made).spent, period_of(made).overrun) == amounts("7", "2")


def test_overrun__soft_budget__has_none(now: datetime) -> None:
    made = budget(now, "1", mode="soft")

    spend(now, "5")

    assert (spent(made, now), period_of(made).overrun) == amounts("5", "0")


def test_overrun__after_a_temporary_raise_has_ended__is_measured_against_the_limit_in_force(now: datetime) -> None:
    made = budget(now, "10")
    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=now + timedelta(hours=1))
    spend(now, "9")

    spend(now + timedelta(hours=2), "3")

    assert (period_of(made).limit, period_of(made).overrun) == amounts("10", "2")


# --- Mode and scope that change --------------------------------------------------------------------------------------
def test_mode__to_hard_and_back__neither_loses_nor_doubles(now: datetime) -> None:
    made = budget(now, mode="soft")
    spend(now, "1")

    for mode in ("hard", "soft", "hard", "monitor"):
        change_budget(made.id, BudgetChange(mode=mode), now=now)
        spend(now, "1")

    assert spent(Budget.objects.get(), now) == Decimal(5)


def test_scope__narrowed__counts_the_period_anew(now: datetime) -> None:
    made = budget(now)
    spend(now, "1", model="small")
    spend(now, "2", model="large")

    change_budget(made.id, BudgetChange(model="large"), now=now)

    assert spent(Budget.objects.get(), now) == Decimal(2)


def test_pause__soft_budget__counts_on(now: datetime) -> None:
    made = budget(now, mode="soft")
    set_active(made.id, active=False, now=now)

    spend(now, "1")

    assert spent(made, now) == Decimal(1)


# --- The fold (PostgreSQL) -------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_fold__soft_budgets__stand_the_same_before_and_after_it(now: datetime) -> None:
    entity(now, AGENT, below=TEAM)
    rows = [
        budget(now, mode="soft"),
        budget(now, entity=TEAM, mode="monitor"),
        budget(now, mode="soft", period="daily"),
        budget(now, entity=None, mode="soft", model="large"),
    ]
    held = hold(now, "4").reservation
    tomorrow = now + timedelta(days=1)
    spend(now, "1", model="large")
    spend(tomorrow, "3", reservation_id=held.id)
    spend(tomorrow, "0.5", occurred_at=tomorrow)
    before = [(stand(row, now), stand(row, tomorrow)) for row in rows]

    fold_everything(tomorrow)
    fold_everything(tomorrow)

    assert [(stand(row, now), stand(row, tomorrow)) for row in rows] == before
    assert [row[0][0] for row in before] == list(amounts("4.5", "4.5", "4", "1"))
    assert before[2][1][0] == Decimal("0.5")
    for period in BudgetPeriod.objects.select_related("budget"):
        assert recount(period.budget, period) == period.spent


@pytest.mark.django_db(transaction=True)
def test_fold__mode_changed_between_two_folds__counts_every_event_once(now: datetime) -> None:
    made = budget(now, mode="soft", period="daily")
    yesterday = now
    tomorrow = now + timedelta(days=1)
    spend(yesterday, "1")
    fold_everything(tomorrow)
    spend(yesterday, "2", occurred_at=yesterday)
    change_budget(made.id, BudgetChange(mode="hard"), now=tomorrow)
    spend(tomorrow, "4", occurred_at=yesterday)
    change_budget(made.id, BudgetChange(mode="soft"), now=tomorrow)
    spend(tomorrow, "8", occurred_at=yesterday)
    fold_everything(tomorrow)

    found = Budget.objects.get()

    assert spent(found, yesterday) == Decimal(15)
    assert BudgetPeriod.objects.get(start_at__lte=yesterday, end_at__gt=yesterday).spent == Decimal(15)


@pytest.mark.django_db(transaction=True)
def test_fold__range_without_events__adds_nothing(now: datetime) -> None:
    made = budget(now, mode="soft")
    spend(now, "1")
    fold_everything(now)

    if is_postgresql():
        with transaction.atomic():
            fold_soft_spend(low=2**62, high=2**62 + 5, now=now)

    assert period_of(made).spent == Decimal(1)


# --- Everything at once ----------------------------------------------------------------------------------------------
happenings = st.lists(
    st.tuples(
        st.sampled_from(["spend", "hold", "settle", "release", "raise", "mode"]),
        st.integers(min_value=1, max_value=10**13),
        st.integers(min_value=0, max_value=72),
    ),
    min_size=1,
    max_size=8,
)


@given(happenings=happenings)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counting__any_sequence_of_acts__equals_a_recount(
    happenings: list[tuple[str, int, int]], now: datetime
) -> None:
    with transaction.atomic():
        rows = [budget(now, "1000", mode="hard", period="daily"), budget(now, "5", mode="soft")]
        held = []
        for number, (act, units, hours) in enumerate(happenings):
            at, amount = now + timedelta(hours=hours), Decimal(units).scaleb(-12)
            if act == "spend":
                spend(at, f"{amount:f}")
            elif act == "hold":
                with suppress(BudgetExceeded):
                    held.append(hold(at, f"{amount:f}", key=str(number)).reservation.id)
            elif act == "raise":
                raise_budget(rows[1].id, amount, reason="x", now=at)
            elif act == "mode":
                change_budget(rows[1].id, BudgetChange(mode=("soft", "hard")[units % 2]), now=at)
            elif held and act == "settle":
                reservations.settle(held.pop(), {"amount": amount}, client=CLIENT, now=at)
            elif held:
                reservations.release(held.pop(), client=CLIENT, now=at)
        for row in Budget.objects.filter(id__in=[row.id for row in rows]):
            for period in row.periods.all():
                at = period.start_at
                spent_now = budget_status(row, at, forecast=False).spent
                assert spent_now == _recounted_with_tail(row, period)
        transaction.set_rollback(True)


def _recounted_with_tail(row: Budget, period: Any) -> Decimal:
    """Recount everything, folded or not: what a hard budget would count."""
    as_hard = Budget(**{field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields})
    as_hard.mode = "hard"
    return recount(as_hard, period)
