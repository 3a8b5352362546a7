"""Reservations: exact room, one result per key, and money given back once, whatever happens in which order."""

from __future__ import annotations

import contextlib
import threading
import time
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from core.errors import Conflict, Invalid, Missing
from costs import pricebook
from costs.models import (
    BudgetPeriod,
    CostEvent,
    Currency,
    Entity,
    FxRate,
    IngestReject,
    Reservation,
    ReservationLine,
)
from costs.services.budgets import raise_budget
from costs.services.reservations import (
    DEFAULT_TTL,
    BudgetExceeded,
    Held,
    ReservationConflict,
    check,
    expire_due,
    extend,
    release,
    reserve,
    settle,
)
from costs.services.reservations.asking import content_hash
from costs.tests.budgeting import (
    AGENT,
    CLIENT,
    OTHER_CLIENT,
    TEAM,
    amounts,
    ask,
    budget,
    entity,
    hold,
    period_of,
    spend,
    stand,
)
from costs.tests.price_book import sell

pytestmark = pytest.mark.django_db


def refused(now: datetime, amount: str | None = "1", **more: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as refusal:
        hold(now, amount, key="refused", **more)
    return refusal.value


def status_of(reservation: Reservation) -> str:
    return Reservation.objects.values_list("status", flat=True).get(id=reservation.id)


# --- Reserving -------------------------------------------------------------------------------------------------------
def test_reserve__up_to_the_last_digit__fits_and_one_digit_more_does_not(now: datetime) -> None:
    made = budget(now, "10")
    hold(now, "9.999999999998", key="a")

    refusal = refused(now, "0.000000000003")
    hold(now, "0.000000000002", key="b")

    assert (refusal.reason, refusal.tightest.room, refusal.tightest.asked) == (
        "exceeded", *amounts("0.000000000002", "0.000000000003"),
    )  # fmt: skip
    assert stand(made, now) == amounts("0", "10", "0")


def test_reserve__refused__names_the_tightest_budget_and_when_it_begins_anew(now: datetime) -> None:
    entity(now, AGENT, below=TEAM)
    budget(now, "10", entity=TEAM, name="team")
    tight = budget(now, "2", name="agent", period="daily")
    budget(now, "1", name="soft one", mode="soft")

    refusal = refused(now, "3")

    assert (refusal.tightest.budget, refusal.tightest.name) == (tight.id, "agent")
    assert refusal.tightest.resets_at == period_of(tight).end_at
    assert refusal.code == "budget_exceeded"
    assert "has 2 USD left and" in refusal.detail


def test_reserve__refused_by_one_budget__changes_none(now: datetime) -> None:
    roomy, tight = budget(now, "10"), budget(now, "2")

    refused(now, "3")

    assert (stand(roomy, now), stand(tight, now)) == (amounts("0", "0", "10"), amounts("0", "0", "2"))
    assert (Reservation.objects.count(), ReservationLine.objects.count()) == (0, 0)


def test_reserve__soft_budget__shows_what_is_held_and_never_refuses(now: datetime) -> None:
    made = budget(now, "1", mode="soft")

    hold(now, "5")

    assert stand(made, now) == amounts("0", "5", "-4")


def test_reserve__without_any_budget__is_kept_without_lines(now: datetime) -> None:
    held = hold(now, "5", entity=("agent", "never seen"))

    assert (held.created, held.tightest) == (True, None)
    assert Reservation.objects.get().lines.count() == 0
    assert Entity.objects.filter(entity_id="never seen").count() == 1


def test_reserve__same_key_and_content__returns_the_first_result_whatever_became_of_it(now: datetime) -> None:
    made = budget(now, "10")
    first = hold(now, "6").reservation

    again = hold(now + timedelta(minutes=1), "6")
    release(first.id, client=CLIENT, now=now)
    later = hold(now + timedelta(minutes=2), "6.0")

    assert [(again.created, again.reservation.id), (later.created, later.reservation.status)] == [
        (False, first.id), (False, "released"),
    ]  # fmt: skip
    assert stand(made, now) == amounts("0", "0", "10")


@pytest.mark.parametrize("change", [{"amount": "7"}, {"model": "large"}, {"cost_type": "compute"}])
def test_reserve__same_key_other_content__is_a_conflict(change: dict[str, Any], now: datetime) -> None:
    made = budget(now, "100")
    hold(now, "6")

    with pytest.raises(ReservationConflict):
        hold(now, **{"amount": "6"} | change)

    assert stand(made, now) == amounts("0", "6", "94")


def test_reserve__same_key_of_another_client__is_another_reservation(now: datetime) -> None:
    hold(now, "6")

    assert hold(now, "7", client=OTHER_CLIENT).created


def test_reserve__period_and_entity_that_do_not_exist_yet__are_made_on_the_way(now: datetime) -> None:
    made = budget(now, "10", entity=None, period="daily")
    tomorrow = now + timedelta(days=1)

    hold(tomorrow, "4", entity=("agent", "new"))

    assert BudgetPeriod.objects.filter(budget=made).count() == 2
    assert stand(made, tomorrow) == amounts("0", "4", "6")


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        ({"amount": "-1"}, "/amount"),
        ({"amount": "1e-13"}, "/amount"),
        ({"amount": "Infinity"}, "/amount"),
        ({"amount": None}, "/amount"),
        ({"amount": None, "model": "m", "input_tokens": -1}, "/input_tokens"),
        ({"key": ""}, "/idempotency_key"),
        ({"cost_type": ""}, "/cost_type"),
        ({"entity": ("agent", "a\x00b")}, "/entity_id"),
    ],
)
def test_reserve__senseless__is_refused_at_its_field(wish: dict[str, Any], pointer: str, now: datetime) -> None:
    with pytest.raises(Invalid) as refusal:
        hold(now, **{"amount": "1"} | wish)

    assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert Reservation.objects.count() == 0


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(hours=25)])
def test_reserve__time_out_of_range__is_refused(ttl: timedelta, now: datetime) -> None:
    with pytest.raises(Invalid):
        reserve(ask(), client=CLIENT, key="k", now=now, ttl=ttl)


@pytest.mark.postgresql
def test_reserve__on_postgresql__is_one_prepared_statement(now: datetime) -> None:
    budget(now, "1000")
    hold(now, key="warm")

    with CaptureQueriesContext(connection) as through_django:
        for number in range(3):
            hold(now, key=str(number))

    assert len(through_django) == 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(generic_plans + custom_plans) FROM pg_prepared_statements")
        assert cursor.fetchone() == (1, 4)


# --- Prices ----------------------------------------------------------------------------------------------------------
def test_reserve__by_tokens__holds_the_most_that_the_call_can_cost(now: datetime) -> None:
    made = budget(now, "10")
    sell("acme", "large", input_tokens="3", output_tokens="15")

    hold(now, None, provider="acme", model="large", input_tokens=1_000_000, max_output_tokens=200_000)

    assert stand(made, now) == amounts("0", "6", "4")


def test_reserve__unknown_price_under_a_hard_budget__is_refused_and_never_skipped(now: datetime) -> None:
    made = budget(now, "10")

    refusal = refused(now, None, provider="acme", model="unheard of", input_tokens=10, max_output_tokens=10)

    assert (refusal.reason, refusal.tightest.budget, refusal.tightest.asked) == ("unpriced", made.id, None)
    assert Reservation.objects.count() == 0


def test_reserve__unknown_price_under_soft_budgets__holds_nothing(now: datetime) -> None:
    made = budget(now, "10", mode="soft")

    held = hold(now, None, provider="acme", model="unheard of", input_tokens=10, max_output_tokens=10)

    assert (held.reservation.amount, stand(made, now)) == (Decimal(0), amounts("0", "0", "10"))


# --- Currencies ------------------------------------------------------------------------------------------------------
def rate(base: str, quote: str, text: str, now: datetime) -> None:
    Currency.objects.get_or_create(code="EUR", defaults={"name": "Euro"})
    FxRate.objects.create(
        base=base, quote=quote, rate=Decimal(text), as_of_date=now.date(), source="test", recorded_at=now
    )


def test_reserve__in_another_currency__holds_what_it_is_worth_there(now: datetime) -> None:
    rate("USD", "EUR", "0.8", now)
    euros, dollars = budget(now, "10", currency="EUR"), budget(now, "10")

    hold(now, "2", key="usd")
    hold(now, "2", key="eur", currency="EUR")

    assert stand(euros, now) == amounts("0", "3.6", "6.4")
    assert stand(dollars, now) == amounts("0", "4.5", "5.5")


def test_reserve__without_an_exchange_rate__is_refused_under_a_hard_budget(now: datetime) -> None:
    budget(now, "10")

    refusal = refused(now, "1", currency="CHF")

    assert refusal.reason == "unconvertible"
    assert "no exchange rate" in refusal.detail


# --- Settling --------------------------------------------------------------------------------------------------------
def test_settle__cheaper_than_reserved__books_the_cost_and_frees_the_rest(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6", model="large").reservation

    settled = settle(held.id, {"amount": Decimal("2.5"), "metadata": {"run": 7}}, client=CLIENT, now=now)

    assert (settled.amount, settled.price_status, settled.repeated) == (Decimal("2.5"), "reported", False)
    assert stand(made, now) == amounts("2.5", "0", "7.5")
    event = CostEvent.objects.get(id=settled.record_id)
    assert (event.reservation, event.model, event.metadata) == (held.id, "large", {"run": 7})
    assert (settled.reservation.status, settled.reservation.event) == ("settled", event.id)


def test_settle__twice_with_the_same__records_one_event(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    first = settle(held.id, {"amount": Decimal(3)}, client=CLIENT, now=now)

    again = settle(held.id, {"amount": Decimal(3)}, client=CLIENT, now=now + timedelta(minutes=1))

    assert (again.record_id, again.repeated) == (first.record_id, True)
    assert (CostEvent.objects.count(), stand(made, now)) == (1, amounts("3", "0", "7"))


def test_settle__twice_with_something_else__is_a_conflict(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    settle(held.id, {"amount": Decimal(3)}, client=CLIENT, now=now)

    with pytest.raises(Conflict):
        settle(held.id, {"amount": Decimal(4)}, client=CLIENT, now=now)

    assert (CostEvent.objects.count(), stand(made, now)) == (1, amounts("3", "0", "7"))


def test_settle__after_a_cost_event_settled_it__is_a_conflict_and_books_nothing_more(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    spend(now, "3", reservation_id=held.id)

    with pytest.raises(Conflict, match="another cost event"):
        settle(held.id, {"amount": Decimal(3)}, client=CLIENT, now=now)

    assert (CostEvent.objects.count(), stand(made, now)) == (1, amounts("3", "0", "7"))


def test_settle__dearer_than_reserved__books_all_and_notes_the_overrun(now: datetime) -> None:
    made = budget(now, "10")
    hold(now, "3", key="other")
    held = hold(now, "6").reservation

    settle(held.id, {"amount": Decimal("7.5")}, client=CLIENT, now=now)

    reservation = Reservation.objects.get(id=held.id)
    assert (reservation.actual, reservation.overrun) == amounts("7.5", "1.5")
    # Of the 1.5 more than reserved, 1 was still free.
    assert period_of(made).overrun == Decimal("0.5")
    assert stand(made, now) == amounts("7.5", "3", "-0.5")


def test_settle__after_it_expired__is_booked_all_the_same(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    later = now + timedelta(hours=1)
    assert expire_due(now=later) == 1
    hold(later, "8", key="took the room")

    settle(held.id, {"amount": Decimal(5)}, client=CLIENT, now=later)

    assert (status_of(held), stand(made, later)) == ("settled", amounts("5", "8", "-3"))
    assert period_of(made).overrun == Decimal(3)


def test_settle__by_tokens__is_priced_by_the_book(now: datetime) -> None:
    made = budget(now, "10")
    sell("acme", "large", input_tokens="3", output_tokens="15")
    held = hold(
        now, None, provider="acme", model="large", input_tokens=1_000_000, max_output_tokens=200_000
    ).reservation

    settle(held.id, {"input_tokens": 1_000_000, "output_tokens": 1_000}, client=CLIENT, now=now)

    assert stand(made, now) == amounts("3.015", "0", "6.985")


def test_settle__cost_nobody_can_price__keeps_the_money_aside(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation

    settled = settle(held.id, {"model": "unheard of", "input_tokens": 5}, client=CLIENT, now=now)

    assert (settled.amount, settled.price_status, settled.reservation.status) == (None, "unpriced", "pending")
    assert stand(made, now) == amounts("0", "6", "4")


def test_settle__in_another_currency__notes_the_actual_cost_in_the_reserved_one(now: datetime) -> None:
    rate("USD", "EUR", "0.8", now)
    made = budget(now, "10")
    held = hold(now, "6").reservation

    settle(held.id, {"amount": Decimal(4), "currency": "EUR"}, client=CLIENT, now=now)

    assert Reservation.objects.get(id=held.id).actual == Decimal(5)
    assert stand(made, now) == amounts("5", "0", "5")


@pytest.mark.parametrize("spent", [{"amount": Decimal(-1)}, {"amount": "much"}, {"entity": "x"}, {"input_tokens": -5}])
def test_settle__senseless__changes_nothing(spent: dict[str, object], now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation

    with pytest.raises(Invalid):
        settle(held.id, spent, client=CLIENT, now=now)

    assert (CostEvent.objects.count(), status_of(held), stand(made, now)) == (0, "pending", amounts("0", "6", "4"))


def test_settle__somebody_elses__is_missing(now: datetime) -> None:
    held = hold(now, "6").reservation

    for reservation_id, client in ((held.id, OTHER_CLIENT), (uuid4(), CLIENT)):
        with pytest.raises(Missing):
            settle(reservation_id, {"amount": Decimal(1)}, client=client, now=now)

    assert (CostEvent.objects.count(), IngestReject.objects.count(), status_of(held)) == (0, 0, "pending")


# --- Releasing, extending, expiring ----------------------------------------------------------------------------------
def test_release__pending__gives_everything_back_once(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation

    for _ in range(2):
        assert release(held.id, client=CLIENT, now=now).status == "released"

    assert stand(made, now) == amounts("0", "0", "10")


def test_release__settled__is_a_conflict(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    settle(held.id, {"amount": Decimal(2)}, client=CLIENT, now=now)

    with pytest.raises(Conflict):
        release(held.id, client=CLIENT, now=now)

    assert stand(made, now) == amounts("2", "0", "8")


def test_settle__released__is_a_conflict_and_books_nothing(now: datetime) -> None:
    made = budget(now, "10")
    held = hold(now, "6").reservation
    release(held.id, client=CLIENT, now=now)

    with pytest.raises(Conflict):
        settle(held.id, {"amount": Decimal(2)}, client=CLIENT, now=now)

    assert (CostEvent.objects.count(), stand(made, now)) == (0, amounts("0", "0", "10"))


def test_extend__pending__lasts_longer_and_is_never_shortened(now: datetime) -> None:
    held = hold(now, "6").reservation

    longer = extend(held.id, ttl=timedelta(hours=1), client=CLIENT, now=now)
    same = extend(held.id, ttl=timedelta(minutes=1), client=CLIENT, now=now)

    assert (longer.expires_at, same.expires_at) == (now + timedelta(hours=1),) * 2
    assert expire_due(now=now + timedelta(minutes=59)) == 0


def test_extend__expired__is_a_conflict(now: datetime) -> None:
    held = hold(now, "6").reservation
    expire_due(now=now + timedelta(hours=1))

    with pytest.raises(Conflict):
        extend(held.id, ttl=timedelta(hours=1), client=CLIENT, now=now + timedelta(hours=1))

    with pytest.raises(Invalid):
        extend(held.id, ttl=timedelta(days=2), client=CLIENT, now=now)


def test_expire__due_ones__in_portions_the_oldest_first(now: datetime) -> None:
    made = budget(now, "10")
    for number in range(5):
        reserve(ask(), client=CLIENT, key=str(number), now=now, ttl=timedelta(minutes=number + 1))

    assert [expire_due(now=now + timedelta(minutes=4), limit=3) for _ in range(3)] == [3, 1, 0]

    assert stand(made, now) == amounts("0", "1", "9")
    assert list(Reservation.objects.order_by("expires_at").values_list("status", flat=True)) == [
        *["expired"] * 4, "pending",
    ]  # fmt: skip


def test_expire__not_due__keeps_its_money(now: datetime) -> None:
    made = budget(now, "10")
    hold(now, "6")

    assert expire_due(now=now + timedelta(minutes=14, seconds=59)) == 0
    assert stand(made, now) == amounts("0", "6", "4")


# --- Looking ---------------------------------------------------------------------------------------------------------
def test_check__fits__lists_every_budget_the_tightest_first_and_writes_nothing(now: datetime) -> None:
    budget(now, "10", name="roomy")
    budget(now, "3", name="tight")
    budget(now, "1", name="soft", mode="soft")

    found = check(ask("2"), now=now)

    assert (found.fits, found.reason, found.tightest and found.tightest.name) == (True, None, "tight")
    assert [(room.name, room.room) for room in found.rooms] == [
        ("soft", Decimal(1)), ("tight", Decimal(3)), ("roomy", Decimal(10)),
    ]  # fmt: skip
    assert Reservation.objects.count() == 0


def test_check__does_not_fit__says_why(now: datetime) -> None:
    made = budget(now, "3")
    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=now + timedelta(hours=1))

    assert [check(ask("4"), now=at).reason for at in (now, now + timedelta(hours=1))] == [None, "exceeded"]
    assert check(ask(None, model="unheard of", max_output_tokens=5), now=now).reason == "unpriced"
    assert check(ask("1", currency="CHF"), now=now).reason == "unconvertible"


# --- At once ---------------------------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_reserve__one_key_by_many_at_once__makes_one(now: datetime) -> None:
    made = budget(now, "10")
    found: list[Any] = []

    _at_once([lambda: found.append(hold(now, "6")) for _ in range(6)])

    assert (len(found), sum(held.created for held in found)) == (6, 1)
    assert {held.reservation.id for held in found} == {Reservation.objects.get().id}
    assert stand(made, now) == amounts("0", "6", "4")


@pytest.mark.django_db(transaction=True)
def test_settle__release_and_expire_at_once__one_of_them_wins(now: datetime) -> None:
    made = budget(now, "100")
    later = now + timedelta(hours=1)
    held = [hold(now, "6", key=str(number)).reservation for number in range(4)]

    def settle_one(number: int) -> None:
        settle(held[number].id, {"amount": Decimal(2)}, client=CLIENT, now=later)

    def release_one(number: int) -> None:
        release(held[number].id, client=CLIENT, now=later)

    _at_once(
        [lambda n=number, act=act: _or_conflict(act, n) for number in range(4) for act in (settle_one, release_one)]
        + [lambda: expire_due(now=later)]
    )

    # Each was settled or given back, and every cost that was recorded counts once.
    assert not Reservation.objects.exclude(status__in=["settled", "released", "expired"]).exists()
    recorded = CostEvent.objects.count()
    assert recorded >= Reservation.objects.filter(status="settled").count()
    assert stand(made, now) == (Decimal(2 * recorded), Decimal(0), Decimal(100 - 2 * recorded))


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_reserve__repeated_while_its_reservation_settles__does_not_deadlock(now: datetime) -> None:
    """A repetition that waited for its periods since before the first one committed meets a settlement of that one."""
    first, second = budget(now, "100"), budget(now, "100", name="second")
    results: list[Any] = []
    repeat = threading.Thread(target=_kept, args=(results, lambda: hold(now, "6")))
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": psycopg.Cursor}) as blocker:
        blocker.execute("SELECT 1 FROM costs_budgetperiod WHERE id = %s FOR UPDATE", [period_of(second).pk])
        repeat.start()
        _wait_for_lock_waits(1)
        # The repetition holds the first period. What it does not see is that its key has been used meanwhile.
        made = _reservation_like(now, "6", on=period_of(first))
        settling = threading.Thread(target=_kept, args=(results, lambda: spend(now, "5", reservation_id=made.id)))
        settling.start()
        _wait_for_lock_waits(2)

    for thread in (repeat, settling):
        thread.join()

    assert [error for error in results if isinstance(error, BaseException)] == []
    assert [held.created for held in results if isinstance(held, Held)] == [False]
    assert (status_of(made), stand(first, now)) == ("settled", amounts("5", "0", "95"))


def _reservation_like(now: datetime, amount: str, *, on: BudgetPeriod) -> Reservation:
    """Write a reservation under the same key as `hold` does, without waiting for the period."""
    bound = Decimal(amount)
    content = content_hash(ask(amount), DEFAULT_TTL)
    made = Reservation.objects.create(
        client=CLIENT, key="k", content_hash=content, entity=entity(now, AGENT), cost_type="llm_api", amount=bound,
        currency="USD", created_at=now, expires_at=now + DEFAULT_TTL, status="expired",
    )  # fmt: skip
    ReservationLine.objects.create(reservation=made, period=on, amount=bound)
    return made


def _kept(results: list[Any], act: Any) -> None:
    try:
        results.append(act())
    except BaseException as error:  # noqa: BLE001  # shown by the test
        results.append(error)
    finally:
        connection.close()


def _wait_for_lock_waits(count: int) -> None:
    deadline = time.monotonic() + 20
    waiting = 0
    while waiting < count:
        assert time.monotonic() < deadline, f"{waiting} wait"
        time.sleep(0.02)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            waiting = cursor.fetchone()[0]


def _or_conflict(act: Any, number: int) -> None:
    with contextlib.suppress(Conflict):
        act(number)


def _at_once(acts: list[Any]) -> None:
    barrier = threading.Barrier(len(acts))
    faults: list[BaseException] = []

    def run(act: Any) -> None:
        barrier.wait()
        try:
            act()
        except BaseException as error:  # noqa: BLE001  # shown below
            faults.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []


@pytest.fixture(autouse=True)
def _prices_of_this_test() -> Any:
    pricebook.forget()
    yield
    pricebook.forget()


def test_reserve__inside_a_transaction_that_is_rolled_back__leaves_nothing(now: datetime) -> None:
    made = budget(now, "10")

    with transaction.atomic():
        hold(now, "6")
        transaction.set_rollback(True)

    assert (Reservation.objects.count(), stand(made, now)) == (0, amounts("0", "0", "10"))
