"""Prices and estimates over HTTP: exact, by the model that is named or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from costs import pricebook
from costs.models import CostEvent, Reservation
from costs.tests.api_client import Answer, Caller
from costs.tests.api_prices import build_price_book

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _prices(db: None) -> Iterator[None]:
    build_price_book()
    yield
    pricebook.forget()


def estimate(caller: Caller | None = None, **call: Any) -> Answer:
    base = {"entity_type": "agent", "entity_id": "a", "model": "gpt-4o-mini"}
    return (caller or Caller()).send("costs/estimate", base | call)


def test_estimate__exact_counts__is_priced_to_the_last_digit_and_records_nothing() -> None:
    answer = estimate(input_tokens=1200, output_tokens=300)

    assert answer.status == 200
    assert (answer.body["estimated_cost"], answer.body["currency"]) == ("0.00036", "USD")
    assert (answer.body["tokens"], answer.body["model"], answer.body["sku"]) == (
        1500,
        "gpt-4o-mini",
        "openai/gpt-4o-mini",
    )
    assert answer.body["breakdown"] == {"input_tokens": "0.00018", "output_tokens": "0.00018"}
    assert answer.body["split"]["source"] == "given"
    assert (CostEvent.objects.count(), Reservation.objects.count()) == (0, 0)


def test_estimate__cached_input__costs_its_own_price() -> None:
    answer = estimate(model="claude-test", input_tokens=1_000_000, cache_read_tokens=900_000, output_tokens=0)

    assert answer.body["estimated_cost"] == "0.57"


def test_estimate__tokens_alone_without_history__are_split_three_to_one() -> None:
    answer = estimate(tokens=4000)

    assert answer.body["split"] == {
        "source": "default",
        "input_tokens": 3000,
        "output_tokens": 1000,
        "input_share": "0.75",
        "event_count": 0,
    }
    assert answer.body["estimated_cost"] == "0.00105"


def test_estimate__tokens_alone__are_split_as_this_entity_used_this_model() -> None:
    caller = Caller()
    recently = (timezone.now() - timedelta(days=2)).isoformat()
    usage = {"cost_type": "llm_api", "entity_type": "agent", "provider": "openai", "occurred_at": recently}
    for entity, model, given, made in (
        ("a", "gpt-4o-mini", 800, 200),
        ("a", "gpt-4o-mini-2024-07-18", 100, 900),
        ("a", "claude-test", 0, 5000),
        ("b", "gpt-4o-mini", 0, 9000),
    ):
        item = usage | {"entity_id": entity, "model": model, "input_tokens": given, "output_tokens": made}
        assert caller.send("costs", item).status == 201

    split = estimate(caller, tokens=1001).body["split"]

    assert (split["source"], split["event_count"], split["input_share"]) == ("history", 2, "0.45")
    assert (split["input_tokens"], split["output_tokens"]) == (450, 551)


@pytest.mark.parametrize("model", ["gpt-4o-minni", "gpt-5-imaginary", "totally-else"])
def test_estimate__unknown_model__is_422_and_names_the_nearest(model: str) -> None:
    answer = estimate(model=model, tokens=10)

    assert (answer.status, answer.body["type"]) == (422, "urn:agent-factory:problem:unknown_model")
    assert answer.body["errors"][0]["pointer"] == "/model"
    if model == "gpt-4o-minni":
        assert answer.body["nearest"][0] == "openai/gpt-4o-mini"
        assert "openai/gpt-4o-mini" in answer.body["detail"]


@pytest.mark.parametrize(
    ("call", "status", "pointer"),
    [
        ({}, 422, "/tokens"),
        ({"tokens": 10, "input_tokens": 5}, 422, "/tokens"),
        ({"tokens": -1}, 422, "/tokens"),
        ({"tokens": 1.5}, 400, "/tokens"),
        ({"tokens": 10**30}, 422, "/tokens"),
        ({"input_tokens": 5, "cache_read_tokens": 6}, 422, ""),
        ({"tokens": 10, "service_tier": "flex"}, 422, "/model"),
        ({"tokens": 10, "tokenz": 1}, 400, "/tokenz"),
        ({"tokens": 10, "at": "2026-01-01T00:00:00"}, 422, "/at"),
    ],
)
def test_estimate__senseless__is_named(call: dict[str, Any], status: int, pointer: str) -> None:
    answer = estimate(**call)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (status, [pointer])


def test_estimate__at_an_earlier_time__uses_the_price_of_then() -> None:
    assert estimate(input_tokens=1_000_000, at="2025-06-30T23:59:59Z").body["estimated_cost"] == "0.3"
    assert estimate(input_tokens=1_000_000, at="2025-07-01T00:00:00Z").body["estimated_cost"] == "0.15"


def test_estimate__key_bound_to_another_entity__is_403() -> None:
    assert estimate(Caller(entity=("agent", "b")), tokens=10).status == 403


def test_resolve__name_with_a_date__says_what_it_means_and_costs() -> None:
    answer = Caller().get("prices/resolve", provider="openai", model="gpt-4o-mini-2024-07-18", at="2026-11-20")

    assert answer.status == 200
    assert (answer.body["sku"], answer.body["matched_by"]) == ("openai/gpt-4o-mini", "snapshot")
    assert (answer.body["valid_from"], answer.body["valid_to"]) == ("2025-07-01T00:00:00Z", None)
    prices = {meter["meter"]: (meter["unit_price"], meter["per"]) for meter in answer.body["meters"]}
    assert prices == {"input_tokens": ("0.15", 1_000_000), "output_tokens": ("0.6", 1_000_000)}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": "nothing-like-it"}, 422),
        ({"model": "gpt-4o-mini", "tier": "batch"}, 422),
        ({}, 400),
        ({"model": "gpt-4o-mini", "when": "2026-01-01"}, 400),
    ],
)
def test_resolve__no_price__is_a_problem(query: dict[str, str], status: int) -> None:
    assert Caller().get("prices/resolve", **query).status == status


def test_list__prices_in_force__holds_one_version_of_each() -> None:
    answer = Caller().get("prices", at="2026-11-20", limit=10)

    found = {item["model"]: item["meters"] for item in answer.body["items"]}
    assert set(found) == {"gpt-4o-mini", "claude-test"}
    assert {meter["meter"]: meter["unit_price"] for meter in found["gpt-4o-mini"]}["input_tokens"] == "0.15"


def test_list__one_model__holds_its_history() -> None:
    answer = Caller().get("prices", provider="openai", model="gpt-4o-mini")

    assert [item["valid_to"] for item in answer.body["items"]] == [None, "2025-07-01T00:00:00Z"]
