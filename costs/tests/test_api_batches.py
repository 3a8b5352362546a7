"""Many costs in one request: a verdict for each, in order, and no good one lost with a bad one."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from costs.models import CostEvent, Entity, EventKey
from costs.tests.api_client import Answer, Caller

pytestmark = pytest.mark.django_db
ITEM: dict[str, Any] = {
    "cost_type": "compute",
    "amount": "1",
    "entity_type": "agent",
    "entity_id": "a",
    "occurred_at": (timezone.now() - timedelta(days=1)).isoformat(),
}


def items(count: int, **changes: Any) -> list[dict[str, Any]]:
    return [ITEM | {"idempotency_key": f"k-{n}", "amount": f"0.{n + 1}"} | changes for n in range(count)]


def statuses(answer: Answer) -> list[str]:
    return [item["status"] for item in answer.body["items"]]


def lines(values: list[Any]) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else json.dumps(value).encode() for value in values)


BODIES = {
    "array": (json.dumps(items(3)).encode(), "application/json"),
    "object": (json.dumps({"items": items(3)}).encode(), "application/json"),
    "ndjson": (lines(items(3)), "application/x-ndjson"),
    "ndjson with blank lines": (b"\n" + lines(items(3)).replace(b"\n", b"\r\n\r\n") + b"\n\n", "application/x-ndjson"),
}


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("packed", [False, True])
def test_batch__in_each_form__is_recorded_in_order(name: str, packed: bool) -> None:
    body, content_type = BODIES[name]
    headers = {"content_type": content_type} | ({"Content_Encoding": "gzip"} if packed else {})

    answer = Caller().send("costs:batch", gzip.compress(body) if packed else body, **headers)

    assert answer.status == 200
    assert [item["amount"] for item in answer.body["items"]] == ["0.1", "0.2", "0.3"]
    assert {name: answer.body[name] for name in ("recorded", "duplicate", "conflict", "rejected")} == {
        "recorded": 3,
        "duplicate": 0,
        "conflict": 0,
        "rejected": 0,
    }
    assert CostEvent.objects.count() == 3


def test_batch__sent_again__repeats_nothing() -> None:
    caller = Caller()
    first = caller.send("costs:batch", items(3))

    again = caller.send("costs:batch", items(3))

    assert (again.status, statuses(again)) == (200, ["duplicate"] * 3)
    assert [i["record_id"] for i in again.body["items"]] == [i["record_id"] for i in first.body["items"]]
    assert CostEvent.objects.count() == 3


def test_batch__header_key_for_items_without_their_own__makes_it_repeatable_whole() -> None:
    caller = Caller()
    batch = [ITEM, ITEM, ITEM | {"idempotency_key": "mine"}]

    first = caller.send("costs:batch", batch, Idempotency_Key="b-1")
    again = caller.send("costs:batch", batch, Idempotency_Key="b-1")

    assert (statuses(first), statuses(again)) == (["recorded"] * 3, ["duplicate"] * 3)
    assert CostEvent.objects.count() == 3


BAD_ITEMS: dict[str, tuple[Any, str]] = {
    "wrong type": (ITEM | {"input_tokens": "x"}, "/input_tokens"),
    "unknown field": (ITEM | {"amuont": 1}, "/amuont"),
    "missing field": ({"cost_type": "compute"}, "/entity_type"),
    "NaN as text": (ITEM | {"amount": "NaN"}, "/amount"),
    "negative": (ITEM | {"amount": "-1"}, "/amount"),
    "10^30": (ITEM | {"amount": 10**30}, "/amount"),
    "unknown currency": (ITEM | {"currency": "XXQ"}, "/currency"),
    "no offset": (ITEM | {"occurred_at": "2026-11-20T10:00:00"}, "/occurred_at"),
    "NUL": (ITEM | {"entity_id": "a\x00"}, "/entity_id"),
    "NUL in metadata": (ITEM | {"metadata": {"k": "\x00"}}, "/metadata"),
    "not an object": (7, ""),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_batch__one_bad_item__is_named_and_the_others_are_recorded(name: str) -> None:
    bad, pointer = BAD_ITEMS[name]
    good = items(2)

    answer = Caller().send("costs:batch", [good[0], bad, good[1]])

    assert (answer.status, statuses(answer)) == (207, ["recorded", "rejected", "recorded"])
    assert answer.body["items"][1]["errors"][0]["pointer"] == pointer
    assert answer.body["items"][1]["index"] == 1
    assert CostEvent.objects.count() == 2


def test_ndjson__line_that_is_not_json__is_only_that_items_fault() -> None:
    good = items(2)

    answer = Caller().send(
        "costs:batch", lines([good[0], b'{"cost_type": NaN', good[1]]), content_type="application/x-ndjson"
    )

    assert (answer.status, statuses(answer)) == (207, ["recorded", "rejected", "recorded"])
    assert CostEvent.objects.count() == 2


def test_batch__same_key_twice_with_other_content__is_a_conflict_of_the_second() -> None:
    answer = Caller().send(
        "costs:batch", [ITEM | {"idempotency_key": "k"}, ITEM | {"idempotency_key": "k", "amount": "2"}]
    )

    assert (answer.status, statuses(answer)) == (207, ["recorded", "conflict"])
    assert CostEvent.objects.count() == 1


@pytest.mark.parametrize("where", ["body", "query"])
def test_batch__all_or_nothing_with_one_bad_item__records_nothing(where: str) -> None:
    batch = [*items(2), ITEM | {"amount": "-1"}]
    body = {"items": batch, "all_or_nothing": True} if where == "body" else batch

    answer = Caller().send(f"costs:batch{'?all_or_nothing=true' if where == 'query' else ''}", body)

    assert (answer.status, answer.body["type"]) == (422, "urn:agent-factory:problem:batch_refused")
    assert answer.body["items"][2]["errors"][0]["pointer"] == "/amount"
    assert (CostEvent.objects.count(), EventKey.objects.count()) == (0, 0)


def test_batch__all_or_nothing_and_all_good__is_recorded() -> None:
    assert Caller().send("costs:batch", {"items": items(2), "all_or_nothing": True}).status == 200
    assert CostEvent.objects.count() == 2


@pytest.mark.parametrize("form", ["array", "object", "ndjson", "array with a bad item"])
def test_batch__too_many_items__is_413(form: str, settings: Settings) -> None:
    settings.MAX_BATCH_ITEMS = 3
    batch = items(4)
    if form == "array with a bad item":
        batch[0]["input_tokens"] = "x"
    body = lines(batch) if form == "ndjson" else {"items": batch} if form == "object" else batch
    content_type = "application/x-ndjson" if form == "ndjson" else "application/json"

    answer = Caller().send("costs:batch", body, content_type=content_type)

    assert (answer.status, answer.body["max_items"]) == (413, 3)
    assert CostEvent.objects.count() == 0


WHOLE = [b"", b"[", b"7", b'"x"', b"null", b'[{"a":NaN}]', b'{"itmes": []}', b'{"items": 3}', b'{"items": [], "x": 1}']


@pytest.mark.parametrize("body", WHOLE)
def test_batch__body_that_is_no_batch__is_400(body: bytes) -> None:
    answer = Caller().send("costs:batch", body)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert CostEvent.objects.count() == 0


def test_batch__empty__is_answered_with_nothing() -> None:
    answer = Caller().send("costs:batch", [])

    assert (answer.status, answer.body["items"]) == (200, [])


def test_batch__deeply_nested_item__is_refused_and_records_nothing() -> None:
    deep = b'[{"metadata":' + b"[" * 50_000 + b"]" * 50_000 + b"}]"

    assert Caller().send("costs:batch", deep).status == 400
    assert CostEvent.objects.count() == 0


def test_batch__packed_body_that_unpacks_to_more_than_allowed__is_413() -> None:
    answer = Caller().send("costs:batch", gzip.compress(b"[" + b" " * 20_000_000 + b"]"), Content_Encoding="gzip")

    assert answer.status == 413


def test_batch__key_bound_to_an_entity__rejects_the_foreign_items_only() -> None:
    batch = [items(1)[0], ITEM | {"entity_id": "other"}, ITEM | {"entity_type": "team"}]

    answer = Caller(entity=("agent", "a")).send("costs:batch", batch)

    assert (answer.status, statuses(answer)) == (207, ["recorded", "rejected", "rejected"])
    assert answer.body["items"][1]["errors"][0]["code"] == "entity_forbidden"
    assert list(Entity.objects.values_list("entity_id", flat=True)) == ["a"]


def queries_of(caller: Caller, count: int) -> int:
    batch = [ITEM | {"idempotency_key": f"{count}-{n}", "entity_id": f"a-{n % 7}"} for n in range(count)]
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert caller.send("costs:batch", batch).status == 200
    return len(captured)


def test_batch__number_of_queries__does_not_depend_on_its_size() -> None:
    caller = Caller()
    queries_of(caller, 7)

    few, many = queries_of(caller, 10), queries_of(caller, 1000)

    assert few == many
