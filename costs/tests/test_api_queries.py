"""What a request costs in SQL: one number for each hot address, the same however large the ledger is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from costs import pricebook
from costs.tests.api_client import Caller
from costs.tests.api_prices import build_price_book

pytestmark = pytest.mark.django_db
CALL: dict[str, Any] = {
    "cost_type": "llm_api",
    "entity_type": "agent",
    "entity_id": "a",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 1200,
    "output_tokens": 300,
}


@pytest.fixture(autouse=True)
def _prices(db: None) -> Iterator[None]:
    build_price_book()
    yield
    pricebook.forget()


@pytest.fixture
def caller() -> Caller:
    """Return a caller after whose first request everything that is kept in memory is there."""
    caller = Caller()
    assert caller.send("costs", CALL, Idempotency_Key="first").status == 201
    return caller


def statements(caller: Caller, path: str, body: Any = None, **headers: str) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = caller.get(path) if body is None else caller.send(path, body, **headers)
    assert answer.status < 300, answer.body
    queries = [query["sql"] for query in captured.captured_queries]
    # Whether prices have changed is asked once a second, whatever is requested.
    return [sql for sql in queries if not sql.startswith(("SAVEPOINT", "RELEASE")) and "priceepoch" not in sql]


def test_record_cost__known_entity__takes_few_statements(caller: Caller) -> None:
    # Entity, key, event, budgets; SQLite looks the key up first and writes the two rollups as well.
    expected = {"postgresql": 4, "sqlite": 7}[connection.vendor]

    assert len(statements(caller, "costs", CALL, Idempotency_Key="second")) == expected


def test_record_cost__under_a_hard_budget__takes_three_more(caller: Caller) -> None:
    terms = {"name": "b", "amount": "100", "period": "monthly", "entity_type": "agent", "entity_id": "a"}
    before = len(statements(caller, "costs", CALL, Idempotency_Key="second"))
    caller.send("budgets", terms | {"mode": "hard"})

    assert len(statements(caller, "costs", CALL, Idempotency_Key="third")) <= before + 3


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        # The entity, the sums, when the rollup was folded.
        ("costs/agent/a", 3),
        ("costs/agent/a/timeseries?grain=day", 3),
        ("costs/agent/a/breakdown?by=model", 2),
        ("costs?limit=100", 1),
        ("costs?entity_type=agent&entity_id=a&limit=100", 2),
        ("prices?limit=100", 2),
    ],
)
def test_reading__number_of_statements__does_not_grow_with_what_is_read(
    caller: Caller, path: str, expected: int
) -> None:
    few = len(statements(caller, path))
    caller.send("costs:batch", [CALL | {"model": f"gpt-{number}"} for number in range(60)])

    assert (few, len(statements(caller, path))) == (expected, expected)


def test_list_budgets__number_of_statements__does_not_grow_with_budgets(caller: Caller) -> None:
    terms = {"name": "b", "amount": "100", "period": "monthly", "entity_type": "agent", "entity_id": "a"}
    caller.send("budgets", terms)
    few = len(statements(caller, "budgets"))
    for _ in range(5):
        caller.send("budgets", terms)

    assert len(statements(caller, "budgets")) == few
