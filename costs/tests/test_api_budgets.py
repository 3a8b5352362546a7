"""Budgets over HTTP: made, read, raised, and bound to who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from core.models import AuditEntry
from costs.models import Budget, BudgetRevision, Entity
from costs.tests.api_client import Answer, Caller, pointers

pytestmark = pytest.mark.django_db
BUDGET: dict[str, Any] = {
    "name": "Agent budget",
    "entity_type": "agent",
    "entity_id": "my-agent",
    "amount": "100.00",
    "period": "monthly",
    "alert_threshold": 0.8,
}


def made(caller: Caller, **changes: Any) -> str:
    answer = caller.send("budgets", BUDGET | changes)
    assert answer.status == 201, answer.body
    return str(answer.body["budget_id"])


def spend(caller: Caller, amount: str, entity_id: str = "my-agent") -> None:
    cost = {"cost_type": "compute", "amount": amount, "entity_type": "agent", "entity_id": entity_id}
    assert caller.send("costs", cost).status == 201


def test_budget__created__is_named_by_its_id_and_address() -> None:
    caller = Caller()

    answer = caller.send("budgets", BUDGET)

    budget = Budget.objects.get()
    assert answer.status == 201
    assert (answer.body["budget_id"], answer.body["status"]) == (str(budget.id), "created")
    assert answer.headers["Location"].endswith(f"/api/v1/financial/budgets/{budget.id}")
    assert (budget.mode, budget.currency, budget.time_zone) == ("soft", "USD", "UTC")
    assert AuditEntry.objects.filter(action="budget.created").count() == 1


def test_budget__read__has_the_fixed_fields() -> None:
    caller = Caller()
    budget_id = made(caller)
    spend(caller, "85.5")

    body = caller.get(f"budgets/{budget_id}").body

    month = timezone.now().astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    fixed = {
        "budget_id": budget_id,
        "budget_name": "Agent budget",
        "budget_amount": "100",
        "total_cost": "85.5",
        "reserved": "0",
        "remaining": "14.5",
        "usage_percent": 85.5,
        "is_over_budget": False,
        "should_alert": True,
        "period": "monthly",
        "period_start": month.isoformat().replace("+00:00", "Z"),
        "period_end": (month + timedelta(days=32)).replace(day=1).isoformat().replace("+00:00", "Z"),
    }
    assert {name: body[name] for name in fixed} == fixed
    assert Decimal(body["forecast"]["expected"]) >= Decimal("85.5")


def test_budget__spent_before_it_was_made__counts() -> None:
    caller = Caller()
    spend(caller, "130")

    body = caller.get(f"budgets/{made(caller)}").body

    assert (body["total_cost"], body["remaining"], body["is_over_budget"]) == ("130", "-30", True)


def test_budget__same_idempotency_key__is_one_budget() -> None:
    caller = Caller()

    first, again = (caller.send("budgets", BUDGET, Idempotency_Key="b-1") for _ in range(2))
    other = caller.send("budgets", BUDGET | {"amount": "7"}, Idempotency_Key="b-1")

    assert (first.status, again.status, other.status) == (201, 201, 409)
    assert (first.body, again.headers["Idempotent-Replayed"]) == (again.body, "true")
    assert Budget.objects.count() == 1


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "negative": ({"amount": "-1"}, 422, "/amount"),
    "NaN": ({"amount": "NaN"}, 422, "/amount"),
    "10^30": ({"amount": 10**30}, 422, "/amount"),
    "no name": ({"name": ""}, 422, "/name"),
    "period": ({"period": "hourly"}, 422, "/period"),
    "threshold": ({"alert_threshold": 0}, 422, "/alert_threshold"),
    "threshold NaN": ({"alert_threshold": "NaN"}, 422, "/alert_threshold"),
    "mode": ({"mode": "angry"}, 422, "/mode"),
    "currency": ({"currency": "XXQ"}, 422, "/currency"),
    "time zone": ({"time_zone": "Mars/Olympus"}, 422, "/time_zone"),
    "anchor": ({"period": "weekly", "anchor": 9}, 422, "/anchor"),
    "half an entity": ({"entity_id": ""}, 422, "/entity_id"),
    "unknown field": ({"amuont": 1}, 400, "/amuont"),
    "wrong type": ({"amount": [1]}, 400, "/amount"),
}


@pytest.mark.parametrize("name", BAD)
def test_budget__senseless__is_refused_and_nothing_made(name: str) -> None:
    changes, status, pointer = BAD[name]

    answer = Caller().send("budgets", BUDGET | changes)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (status, [pointer])
    assert (
        Budget.objects.count(),
        Entity.objects.count(),
        AuditEntry.objects.filter(action__startswith="budget").count(),
    ) == (0, 0, 0)


def test_budget__unknown__is_404() -> None:
    for path in (f"budgets/{uuid4()}", "budgets/not-an-id"):
        assert Caller().get(path).status == 404


def test_budget__raised__holds_at_once_and_keeps_the_reason() -> None:
    caller = Caller()
    budget_id = made(caller)

    answer = caller.send(f"budgets/{budget_id}/raise", {"amount": "150.5", "reason": "launch week"})

    assert (answer.status, answer.body["status"], answer.body["budget_amount"]) == (201, "raised", "150.5")
    assert caller.get(f"budgets/{budget_id}").body["budget_amount"] == "150.5"
    assert BudgetRevision.objects.latest("id").reason == "launch week"


def test_budget__raised_twice_under_one_key__is_raised_once() -> None:
    caller = Caller()
    budget_id = made(caller)

    for _ in range(2):
        caller.send(f"budgets/{budget_id}/raise", {"amount": "150", "reason": "x"}, Idempotency_Key="r")

    assert BudgetRevision.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"amount": "150"}, 400, "/reason"),
        ({"amount": "150", "reason": " "}, 422, "/reason"),
        ({"amount": "-1", "reason": "x"}, 422, "/amount"),
        ({"amount": "150", "reason": "x", "expires_at": "2020-01-01T00:00:00Z"}, 422, "/expires_at"),
    ],
)
def test_budget__raised_senselessly__is_refused(body: dict[str, Any], status: int, pointer: str) -> None:
    caller = Caller()
    budget_id = made(caller)

    answer = caller.send(f"budgets/{budget_id}/raise", body)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (status, [pointer])
    assert BudgetRevision.objects.count() == 1


def test_budget__patched__changes_what_is_given_and_nothing_else() -> None:
    caller = Caller()
    budget_id = made(caller)

    answer = caller.send(f"budgets/{budget_id}", {"name": "New", "mode": "hard", "active": False}, method="PATCH")

    assert (answer.status, answer.body["budget_name"], answer.body["mode"]) == (200, "New", "hard")
    assert (answer.body["active"], answer.body["budget_amount"]) == (False, "100")


def test_budget__patched_amount__needs_a_reason_and_changes_all_or_nothing() -> None:
    caller = Caller()
    budget_id = made(caller)

    refused = caller.send(f"budgets/{budget_id}", {"name": "New", "amount": "5"}, method="PATCH")
    bad = caller.send(f"budgets/{budget_id}", {"name": "New", "amount": "-5", "reason": "x"}, method="PATCH")
    given = caller.send(f"budgets/{budget_id}", {"amount": "5", "reason": "less"}, method="PATCH")

    assert (pointers(refused), bad.status) == ([("/reason", "required")], 422)
    assert (given.status, given.body["budget_amount"], given.body["budget_name"]) == (200, "5", "Agent budget")


def test_budget__archived__is_left_out_of_the_list() -> None:
    caller = Caller()
    budget_id = made(caller)

    assert caller.send(f"budgets/{budget_id}", b"", method="DELETE").status == 204

    assert caller.get("budgets").body["items"] == []
    assert [item["archived"] for item in caller.get("budgets", archived="true").body["items"]] == [True]


def listed(caller: Caller, **query: str) -> set[str]:
    answer: Answer = caller.get("budgets", **query)
    return {item["budget_name"] for item in answer.body["items"]}


def test_list__filtered__holds_what_matches() -> None:
    caller = Caller()
    made(caller, name="one")
    made(caller, name="two", mode="hard", entity_id="other")
    made(caller, name="all", entity_type="", entity_id="")

    assert listed(caller) == {"one", "two", "all"}
    assert listed(caller, mode="hard") == {"two"}
    assert listed(caller, entity_type="agent", entity_id="my-agent") == {"one"}


def test_bound_key__other_budgets__are_out_of_reach() -> None:
    caller = Caller()
    own, other = made(caller), made(caller, name="two", entity_id="other")
    general = made(caller, name="all", entity_type="", entity_id="")
    bound = Caller(entity=("agent", "my-agent"))

    assert [bound.get(f"budgets/{budget}").status for budget in (own, other, general)] == [200, 403, 403]
    assert listed(bound) == {"Agent budget"}
    assert bound.send("budgets", BUDGET | {"entity_id": "other"}).status == 403
    assert bound.send("budgets", BUDGET | {"entity_type": "", "entity_id": ""}).status == 403
    assert bound.send(f"budgets/{other}/raise", {"amount": "999", "reason": "x"}).status == 403
    assert bound.send(f"budgets/{other}", {"active": False}, method="PATCH").status == 403
    assert (Budget.objects.count(), BudgetRevision.objects.count()) == (3, 3)


def test_period__of_a_budget_in_another_zone__begins_at_its_midnight() -> None:
    caller = Caller()

    body = caller.get(f"budgets/{made(caller, period='daily', time_zone='Asia/Kolkata')}").body

    assert datetime.fromisoformat(body["period_start"]).strftime("%H:%M") == "18:30"
