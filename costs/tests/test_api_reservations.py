"""Reservations over HTTP: money is set aside, settled, given back, and refused with 402 beyond a hard limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from costs import pricebook
from costs.models import BudgetPeriod, CostEvent, Reservation
from costs.tests.api_client import Answer, Caller
from costs.tests.api_prices import build_price_book

pytestmark = pytest.mark.django_db
SPEND: dict[str, Any] = {"entity_type": "agent", "entity_id": "a", "cost_type": "compute", "amount": "6"}
CALL: dict[str, Any] = {
    "entity_type": "agent",
    "entity_id": "a",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 1_000_000,
    "max_output_tokens": 1_000_000,
}


@pytest.fixture(autouse=True)
def _prices(db: None) -> Iterator[None]:
    build_price_book()
    yield
    pricebook.forget()


@pytest.fixture
def caller() -> Caller:
    caller = Caller()
    budget = {
        "name": "hard",
        "entity_type": "agent",
        "entity_id": "a",
        "amount": "10",
        "period": "monthly",
        "mode": "hard",
    }
    assert caller.send("budgets", budget).status == 201
    return caller


def figures() -> tuple[str, str]:
    period = BudgetPeriod.objects.get()
    return f"{period.spent.normalize():f}", f"{period.reserved.normalize():f}"


def reserved(caller: Caller, **changes: Any) -> str:
    answer = caller.send("reservations", SPEND | changes)
    assert answer.status == 201, answer.body
    return str(answer.body["reservation_id"])


def test_reservation__with_room__holds_the_amount(caller: Caller) -> None:
    answer = caller.send("reservations", SPEND)

    assert (answer.status, answer.body["status"], answer.body["amount"]) == (201, "pending", "6")
    assert (answer.body["entity_id"], answer.body["actual"], answer.body["currency"]) == ("a", None, "USD")
    assert figures() == ("0", "6")


def test_reservation__past_a_hard_limit__is_402_with_the_tightest_budget(caller: Caller) -> None:
    reserved(caller)

    answer = caller.send("reservations", SPEND)

    assert (answer.status, answer.body["type"]) == (402, "urn:agent-factory:problem:budget_exceeded")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.body["budget_name"], answer.body["remaining"], answer.body["requested"]) == ("hard", "4", "6")
    assert answer.body["reason"] == "exceeded"
    assert answer.body["detail"].startswith("The budget 'hard' has 4 USD left and 6 is asked; it begins anew at ")
    assert answer.body["resets_at"] == BudgetPeriod.objects.get().end_at.isoformat().replace("+00:00", "Z")
    assert (Reservation.objects.count(), figures()) == (1, ("0", "6"))


def test_reservation__of_a_model__holds_the_upper_bound_of_the_call(caller: Caller) -> None:
    answer = caller.send("reservations", CALL)

    assert (answer.status, answer.body["amount"]) == (201, "0.75")


def test_reservation__unknown_model_under_a_hard_budget__is_refused(caller: Caller) -> None:
    answer = caller.send("reservations", CALL | {"model": "unheard-of"})

    assert (answer.status, answer.body["reason"], answer.body["requested"]) == (402, "unpriced", None)
    assert Reservation.objects.count() == 0


@pytest.mark.parametrize("where", ["header", "body"])
def test_reservation__same_key__is_one_reservation(caller: Caller, where: str) -> None:
    def ask(**changes: Any) -> Answer:
        keyed = {"idempotency_key": "k"} if where == "body" else {}
        headers = {"Idempotency_Key": "k"} if where == "header" else {}
        return caller.send("reservations", SPEND | keyed | changes, **headers)

    first, again, other = ask(), ask(), ask(amount="7")

    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert first.body == again.body
    assert again.headers["Idempotent-Replayed"] == "true"
    assert figures() == ("0", "6")


def test_settle__with_an_amount__records_the_cost_and_frees_the_rest(caller: Caller) -> None:
    reservation = reserved(caller)

    answer = caller.send(f"reservations/{reservation}/settle", {"amount": "2.5"})

    event = CostEvent.objects.get()
    assert (answer.status, answer.body["status"], answer.body["amount"]) == (200, "settled", "2.5")
    assert (answer.body["record_id"], str(event.reservation)) == (str(event.id), reservation)
    assert figures() == ("2.5", "0")


def test_settle__with_token_counts__is_priced_by_the_book(caller: Caller) -> None:
    reservation = reserved(caller, **CALL, amount=None, cost_type="llm_api")

    answer = caller.send(
        f"reservations/{reservation}/settle",
        {"model": "gpt-4o-mini-2024-07-18", "input_tokens": 1200, "output_tokens": 300},
    )

    assert (answer.body["amount"], answer.body["price_status"], answer.body["reserved"]) == (
        "0.00036",
        "priced",
        "0.75",
    )
    assert figures() == ("0.00036", "0")


def test_settle__again__answers_the_same_and_other_content_is_a_conflict(caller: Caller) -> None:
    path = f"reservations/{reserved(caller)}/settle"

    first, again, other = (caller.send(path, {"amount": amount}) for amount in ("2", "2", "3"))

    assert (first.status, again.status, other.status) == (200, 200, 409)
    assert (first.body, again.headers["Idempotent-Replayed"]) == (again.body, "true")
    assert (CostEvent.objects.count(), figures()) == (1, ("2", "0"))


def test_cost_event__that_names_the_reservation__settles_it(caller: Caller) -> None:
    reservation = reserved(caller)

    cost = {name: SPEND[name] for name in ("entity_type", "entity_id", "cost_type")}
    assert caller.send("costs", cost | {"amount": "3", "reservation_id": reservation}).status == 201

    state = caller.get(f"reservations/{reservation}").body
    assert (state["status"], state["actual"], figures()) == ("settled", "3", ("3", "0"))


def test_settle__more_than_reserved__is_booked_as_overrun(caller: Caller) -> None:
    answer = caller.send(f"reservations/{reserved(caller)}/settle", {"amount": "9"})

    assert (answer.body["status"], answer.body["overrun"], figures()) == ("settled", "3", ("9", "0"))


@pytest.mark.parametrize("body", [{}, b""])
def test_release__gives_the_money_back(caller: Caller, body: Any) -> None:
    reservation = reserved(caller)

    answer = caller.send(f"reservations/{reservation}/release", body)

    assert (answer.status, answer.body["status"], figures()) == (200, "released", ("0", "0"))
    assert caller.send(f"reservations/{reservation}/settle", {"amount": "1"}).status == 409
    assert (CostEvent.objects.count(), figures()) == (0, ("0", "0"))


def test_release__after_settling__is_a_conflict(caller: Caller) -> None:
    reservation = reserved(caller)
    caller.send(f"reservations/{reservation}/settle", {"amount": "2"})

    assert caller.send(f"reservations/{reservation}/release", {}).status == 409
    assert figures() == ("2", "0")


def test_extend__moves_the_end_and_never_back(caller: Caller) -> None:
    reservation = reserved(caller)
    before = caller.get(f"reservations/{reservation}").body["expires_at"]

    longer = caller.send(f"reservations/{reservation}/extend", {"ttl_seconds": 3600}).body["expires_at"]
    shorter = caller.send(f"reservations/{reservation}/extend", {"ttl_seconds": 1}).body["expires_at"]

    assert before < longer == shorter


@pytest.mark.parametrize("action", ["settle", "extend", "release"])
def test_reservation__of_another_client__is_404(caller: Caller, action: str) -> None:
    reservation = reserved(caller)

    body = {"amount": "1"} if action == "settle" else {}
    assert Caller().send(f"reservations/{reservation}/{action}", body).status == 404
    assert caller.send(f"reservations/{uuid4()}/{action}", body).status == 404
    assert figures() == ("0", "6")


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "nothing": ({"amount": None}, 422, "/amount"),
    "negative": ({"amount": "-1"}, 422, "/amount"),
    "NaN": ({"amount": "NaN"}, 422, "/amount"),
    "10^30": ({"amount": 10**30}, 422, "/amount"),
    "too long": ({"ttl_seconds": 86_401}, 422, "/ttl_seconds"),
    "negative tokens": ({"input_tokens": -1}, 422, "/input_tokens"),
    "unknown field": ({"amuont": 1}, 400, "/amuont"),
    "negative quantity": ({"amount": None, "model": "gpt-4o-mini", "quantities": {"calls": "-1"}}, 422, "/quantities"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("path", ["reservations", "budgets/check"])
def test_reservation__senseless__is_refused_and_holds_nothing(caller: Caller, name: str, path: str) -> None:
    changes, status, pointer = BAD[name]
    if path == "budgets/check" and name == "too long":
        status, pointer = 400, "/ttl_seconds"

    answer = caller.send(path, SPEND | changes)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (status, [pointer])
    assert (Reservation.objects.count(), figures()) == (0, ("0", "0"))


@pytest.mark.parametrize("body", [{}, {"amount": "-1"}, {"amount": "NaN"}, {"input_tokens": 5, "cache_read_tokens": 6}])
def test_settle__senseless__is_422_and_keeps_the_money_aside(caller: Caller, body: dict[str, Any]) -> None:
    reservation = reserved(caller, **CALL, amount=None, cost_type="llm_api")

    assert caller.send(f"reservations/{reservation}/settle", body).status == 422
    assert (CostEvent.objects.count(), figures()) == (0, ("0", "0.75"))


@pytest.mark.parametrize(("amount", "allowed"), [("10", True), ("10.000000000001", False)])
def test_check__says_whether_it_fits_and_holds_nothing(caller: Caller, amount: str, allowed: bool) -> None:
    answer = caller.send("budgets/check", SPEND | {"amount": amount})

    assert (answer.status, answer.body["allowed"]) == (200, allowed)
    assert (answer.body["tightest"]["budget_name"], answer.body["tightest"]["remaining"]) == ("hard", "10")
    assert (Reservation.objects.count(), figures()) == (0, ("0", "0"))


def test_check__without_any_budget__is_allowed() -> None:
    answer = Caller().send("budgets/check", SPEND | {"entity_id": "free"})

    assert (answer.body["allowed"], answer.body["tightest"], answer.body["budgets"]) == (True, None, [])


def test_bound_key__other_entity__is_403(caller: Caller) -> None:
    bound = Caller(entity=("agent", "b"))
    reservation = reserved(caller)

    assert bound.send("reservations", SPEND).status == 403
    assert bound.send("budgets/check", SPEND).status == 403
    assert bound.get(f"reservations/{reservation}").status == 403
    assert figures() == ("0", "6")
