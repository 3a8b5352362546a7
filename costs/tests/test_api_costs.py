"""Recording one cost over HTTP, and what is refused."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from costs.models import CostEvent, Entity, EventKey, IngestReject
from costs.tests.api_client import Caller, pointers

pytestmark = pytest.mark.django_db
COST: dict[str, Any] = {
    "cost_type": "compute",
    "amount": "0.05",
    "currency": "USD",
    "entity_type": "agent",
    "entity_id": "my-agent",
    "occurred_at": (timezone.now() - timedelta(days=1)).isoformat(),
    "metadata": {"run": "r-17"},
}


def nothing_recorded() -> bool:
    return not any(model.objects.exists() for model in (CostEvent, EventKey, Entity))


def test_cost__with_an_amount__is_recorded_and_answered_as_text() -> None:
    answer = Caller().send("costs", COST)

    event = CostEvent.objects.get()
    assert answer.status == 201
    assert answer.body == {
        "record_id": str(event.id),
        "status": "recorded",
        "amount": "0.05",
        "currency": "USD",
        "price_status": "reported",
    }
    assert (event.amount, event.metadata) == (Decimal("0.05"), {"run": "r-17"})


def test_cost__path_with_a_slash__answers_without_a_redirect() -> None:
    assert Caller().send("costs/", COST).status == 201


@pytest.mark.parametrize("written", ["0.1", "1E-7", "12345678901234567890.000000000001", "1e3", "0.000000000001"])
@pytest.mark.parametrize("quotes", ['"', ""])
def test_cost__amount_as_string_or_number__keeps_every_digit(written: str, quotes: str) -> None:
    body = json.dumps(COST).replace('"0.05"', f"{quotes}{written}{quotes}").encode()

    answer = Caller().send("costs", body)

    assert answer.status == 201
    assert Decimal(answer.body["amount"]) == Decimal(written)
    assert "E" not in answer.body["amount"].upper()
    assert CostEvent.objects.get().amount == Decimal(written)


def test_cost__same_key_and_content__answers_as_the_first_time_and_records_nothing() -> None:
    caller = Caller()

    first = caller.send("costs", COST, Idempotency_Key="k-1")
    again = caller.send("costs", json.dumps(COST, indent=2).encode(), Idempotency_Key="k-1")

    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert CostEvent.objects.count() == 1


def test_cost__same_key_in_the_body_without_a_time__is_one_cost() -> None:
    caller = Caller()
    body = {name: value for name, value in COST.items() if name != "occurred_at"} | {"idempotency_key": "k-1"}

    first, again = caller.send("costs", body), caller.send("costs", body, Idempotency_Key="k-1")

    assert first.body == again.body
    assert CostEvent.objects.count() == 1


def test_cost__same_key_with_other_content__is_a_conflict() -> None:
    caller = Caller()
    caller.send("costs", COST, Idempotency_Key="k-1")

    answer = caller.send("costs", COST | {"amount": "0.06"}, Idempotency_Key="k-1")

    assert (answer.status, answer.body["type"]) == (409, "urn:agent-factory:problem:idempotency_key_reused")
    assert CostEvent.objects.get().amount == Decimal("0.05")


def test_cost__same_key_of_another_client__is_another_cost() -> None:
    for _ in range(2):
        assert Caller().send("costs", COST, Idempotency_Key="k-1").status == 201

    assert CostEvent.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
def test_cost__bad_idempotency_key__is_refused(key: str) -> None:
    assert Caller().send("costs", COST, Idempotency_Key=key).status == 422
    assert nothing_recorded()


def test_cost__different_keys_in_header_and_body__is_refused() -> None:
    answer = Caller().send("costs", COST | {"idempotency_key": "a"}, Idempotency_Key="b")

    assert (answer.status, pointers(answer)) == (422, [("/idempotency_key", "different")])
    assert nothing_recorded()


def body_with(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in (COST | changes).items() if value is not ...}).encode()


NESTED = b'{"cost_type":"compute","amount":"1","entity_type":"a","entity_id":"b","metadata":'
MALFORMED: dict[str, tuple[bytes, int, str]] = {
    "empty": (b"", 400, ""),
    "cut off": (body_with()[:-5], 400, ""),
    "not JSON": (b"amount=1", 400, ""),
    "array": (b"[]", 400, ""),
    "NaN": (body_with().replace(b'"0.05"', b"NaN"), 400, ""),
    "Infinity": (body_with().replace(b'"0.05"', b"Infinity"), 400, ""),
    "bad UTF-8": (body_with().replace(b"my-agent", b"my-\xff\xfe"), 400, ""),
    "lone surrogate": (body_with().replace(b"my-agent", b"\\ud800"), 400, ""),
    "nested too deep": (NESTED + b'{"a":' * 20_000 + b"1" + b"}" * 20_001, 400, ""),
    "unknown field": (body_with(amuont="1"), 400, "/amuont"),
    "required missing": (body_with(entity_id=...), 400, "/entity_id"),
    "wrong type": (body_with(input_tokens="many"), 400, "/input_tokens"),
    "amount is a list": (body_with(amount=[1]), 400, "/amount"),
    "twice": (body_with()[:-1] + b', "amount": "7"}', 400, "/amount"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_cost__malformed_body__is_a_problem_and_records_nothing(name: str) -> None:
    body, status, pointer = MALFORMED[name]

    answer = Caller().send("costs", body)

    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [error["pointer"] for error in answer.body["errors"]] == [pointer]
    assert nothing_recorded()


SENSELESS: dict[str, tuple[bytes, str]] = {
    "NaN as text": (body_with(amount="NaN"), "/amount"),
    "negative": (body_with(amount="-0.01"), "/amount"),
    "10^30": (body_with().replace(b'"0.05"', b"1e30"), "/amount"),
    "10^400": (body_with().replace(b'"0.05"', b"1e400"), "/amount"),
    "10^999999999": (body_with(amount="1e999999999"), "/amount"),
    "13 decimals": (body_with(amount="0.0000000000001"), "/amount"),
    "unknown currency": (body_with(currency="XXQ"), "/currency"),
    "in the future": (body_with(occurred_at=(timezone.now() + timedelta(hours=1)).isoformat()), "/occurred_at"),
    "time without an offset": (body_with(occurred_at="2026-11-20T10:00:00"), "/occurred_at"),
    "cost type that is no word": (body_with(cost_type="Lunch break!"), "/cost_type"),
    "nothing to price": (body_with(amount=...), "/amount"),
    "negative tokens": (body_with(input_tokens=-1), "/input_tokens"),
    "huge id": (body_with(entity_id="x" * 100_000), "/entity_id"),
    "empty id": (body_with(entity_id=""), "/entity_id"),
    "NUL": (body_with(entity_id="a\x00b"), "/entity_id"),
    "NUL in metadata": (body_with(metadata={"a": ["\x00"]}), "/metadata/a/0"),
}


@pytest.mark.parametrize("name", SENSELESS)
def test_cost__senseless_value__is_422_at_its_place_and_records_nothing(name: str) -> None:
    body, pointer = SENSELESS[name]

    answer = Caller().send("costs", body)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (422, [pointer])
    assert nothing_recorded()


def test_cost__several_mistakes__are_all_named() -> None:
    answer = Caller().send("costs", body_with(amount="NaN", occurred_at="2026-11-20T10:00:00"))

    assert sorted(pointers(answer)) == [("/amount", "not_finite"), ("/occurred_at", "offset_missing")]


def test_cost__body_of_20_megabytes__is_413() -> None:
    answer = Caller().send("costs", body_with(metadata={"text": "x" * 20_000_000}))

    assert answer.status == 413
    assert nothing_recorded()


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1"]
)
def test_cost__other_content_type__is_415(content_type: str) -> None:
    assert Caller().send("costs", COST, content_type=content_type).status == 415
    assert nothing_recorded()


def test_cost__key_bound_to_another_entity__is_403() -> None:
    answer = Caller(entity=("agent", "other")).send("costs", COST)

    assert (answer.status, answer.body["type"]) == (403, "urn:agent-factory:problem:entity_forbidden")
    assert nothing_recorded()


def test_cost__key_bound_to_this_entity__is_recorded() -> None:
    assert Caller(entity=("agent", "my-agent")).send("costs", COST).status == 201


def test_cost__unpriced_model__has_no_amount() -> None:
    body = {
        "cost_type": "llm_api",
        "entity_type": "agent",
        "entity_id": "a",
        "provider": "nobody",
        "model": "unheard-of",
        "input_tokens": 10,
        "output_tokens": 1,
    }

    answer = Caller().send("costs", body)

    assert (answer.status, answer.body["amount"], answer.body["price_status"]) == (201, None, "unpriced")
    assert CostEvent.objects.get().amount is None


def test_cost__refused__is_kept_nowhere_but_the_reject_queue() -> None:
    Caller().send("costs", body_with(amount="-1"))

    assert nothing_recorded()
    assert IngestReject.objects.count() <= 1
