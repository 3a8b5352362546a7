"""Recording of costs: what is written, what is refused, what comes twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from costs import pricebook
from costs.inputs import CostItem, FieldError, Rejected, Sender, Verdict
from costs.models import CostEvent, Entity, EventKey, IngestReject, UnpricedModel
from costs.services.ingest import record_cost, record_costs
from costs.tests.ledger_case import AT, SENDER, event_of, item, price_models

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_prices_left_over() -> Iterator[None]:
    yield
    pricebook.forget()


def test_record_costs__valid_items__are_written_in_order_with_their_amounts(now: datetime) -> None:
    # given three items
    items = [item(0), item(1), item(2)]

    # when they are recorded
    verdicts = record_costs(items, sender=SENDER, now=now)

    # then each names its record, in the order sent
    assert [verdict.status for verdict in verdicts] == ["recorded"] * 3
    assert [verdict.amount for verdict in verdicts] == [Decimal("0.01"), Decimal("0.02"), Decimal("0.03")]
    stored = {event.id: event for event in CostEvent.objects.select_related("entity")}
    assert [stored[verdict.record_id].amount for verdict in verdicts if verdict.record_id] == [
        Decimal("0.01"),
        Decimal("0.02"),
        Decimal("0.03"),
    ]
    assert [verdict.record_id for verdict in verdicts] == sorted(stored)


def test_record_costs__every_field__comes_back_as_it_was_sent(now: datetime) -> None:
    # given an item that uses every free field, with what COPY and JSON could stumble over
    awkward = 'tab\tline\nback\\slash \\N \\. quote" é 漢 🤖'
    reservation = uuid4()
    sent = item(
        7,
        provider="azure\\openai",
        model="gpt-4o\\mini",
        region="eu-west-1",
        service_tier="batch",
        tags={"team": awkward, "a\\b": ""},
        metadata={"deep": [{"text": awkward}, None, True, 1.5]},
        trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
        span_id="00f067aa0ba902b7",
        session_id="session\\1",
        reservation_id=reservation,
        idempotency_key="back\\slash key",
    )

    # when it is recorded
    verdict = record_costs([sent, item(8)], sender=SENDER, now=now)[0]

    # then every value is what it was
    event = event_of(verdict)
    assert (event.provider, event.model, event.region, event.service_tier) == (
        "azure\\openai",
        "gpt-4o\\mini",
        "eu-west-1",
        "batch",
    )
    assert event.tags == {"team": awkward, "a\\b": ""}
    assert event.metadata == {"deep": [{"text": awkward}, None, True, 1.5]}
    assert (event.trace_id, event.span_id) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert (event.session_id, event.idempotency_key) == ("session\\1", "back\\slash key")
    assert (event.reservation, event.source) == (reservation, SENDER.source)
    assert (event.occurred_at, event.recorded_at) == (AT, now)


@pytest.mark.parametrize(
    ("values", "pointer", "code"),
    [
        ({"amount": Decimal("-0.01")}, "/amount", "min_value"),
        ({"amount": Decimal("NaN")}, "/amount", "invalid"),
        ({"amount": Decimal("sNaN")}, "/amount", "invalid"),
        ({"amount": Decimal("Infinity")}, "/amount", "invalid"),
        ({"amount": Decimal("1e30")}, "/amount", "invalid"),
        ({"amount": Decimal("1e999999")}, "/amount", "invalid"),
        ({"amount": Decimal("0.0000000000001")}, "/amount", "invalid"),
        ({"amount": None}, "/amount", "required"),
        ({"currency": "XYZ"}, "/currency", "unknown_currency"),
        ({"currency": "usd"}, "/currency", "unknown_currency"),
        ({"cost_type": "LLM API"}, "/cost_type", "pattern"),
        ({"entity_type": "Agent"}, "/entity_type", "pattern"),
        ({"entity_id": ""}, "/entity_id", "required"),
        ({"entity_id": "a\tb"}, "/entity_id", "pattern"),
        ({"entity_id": " a"}, "/entity_id", "pattern"),
        ({"entity_id": "a" * 201}, "/entity_id", "max_length"),
        ({"provider": "open\nai"}, "/provider", "pattern"),
        ({"model": "m" * 161}, "/model", "max_length"),
        ({"service_tier": "fastest"}, "/service_tier", "not_a_choice"),
        ({"session_id": "a\0b"}, "/session_id", "pattern"),
        ({"session_id": "lone \ud800"}, "/session_id", "pattern"),
        ({"idempotency_key": "k" * 201}, "/idempotency_key", "max_length"),
        ({"trace_id": "t" * 33}, "/trace_id", "max_length"),
        ({"tags": {"a": "\0"}}, "/tags", "pattern"),
        ({"tags": {"a": "b" * 257}}, "/tags/a", "max_length"),
        ({"tags": {f"t{n}": "" for n in range(51)}}, "/tags", "max_length"),
        ({"metadata": {"a": ["\0"]}}, "/metadata", "pattern"),
        ({"metadata": {"a": "x" * 20_000}}, "/metadata", "max_length"),
        ({"metadata": {"a": object()}}, "/metadata", "not_json"),
        ({"quantities": {"calls": Decimal("-1")}}, "/quantities/calls", "min_value"),
        ({"quantities": {"calls": Decimal("NaN")}}, "/quantities/calls", "invalid"),
        ({"quantities": {"calls": Decimal("1e60")}}, "/quantities/calls", "invalid"),
        ({"input_tokens": 5, "cache_read_tokens": 6}, "/input_tokens", "unfit"),
        ({"occurred_at": AT.replace(tzinfo=None)}, "/occurred_at", "offset_missing"),
        ({"occurred_at": AT + timedelta(hours=2)}, "/occurred_at", "in_the_future"),
        ({"occurred_at": AT - timedelta(days=401)}, "/occurred_at", "too_old"),
    ],
)
def test_record_costs__senseless_value__is_rejected_and_the_others_recorded(
    values: dict[str, Any], pointer: str, code: str, now: datetime
) -> None:
    verdicts = record_costs([item(1), item(2, **values), item(3)], sender=SENDER, now=now)

    assert [verdict.status for verdict in verdicts] == ["recorded", "rejected", "recorded"]
    assert [(error.pointer, error.code) for error in verdicts[1].errors] == [(pointer, code)]
    assert CostEvent.objects.count() == 2
    assert IngestReject.objects.get().reasons[0]["code"] == code


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=5)])
def test_record_cost__within_five_minutes_of_the_future__is_recorded(later: timedelta, now: datetime) -> None:
    assert record_cost(item(1, occurred_at=now + later), sender=SENDER, now=now).status == "recorded"


def test_record_cost__just_past_five_minutes__is_rejected(now: datetime) -> None:
    at = now + timedelta(minutes=5, microseconds=1)

    assert record_cost(item(1, occurred_at=at), sender=SENDER, now=now).errors[0].code == "in_the_future"


def test_record_cost__rejected__leaves_nothing_behind(now: datetime) -> None:
    verdict = record_cost(item(1, amount=Decimal(-1)), sender=SENDER, now=now)

    assert verdict.status == "rejected"
    assert not CostEvent.objects.exists()
    assert not IngestReject.objects.exists()
    assert not Entity.objects.exists()


def test_record_cost__largest_and_smallest_amount__are_exact(now: datetime) -> None:
    amounts = [Decimal("99999999999999999999999999.999999999999"), Decimal("0.000000000001")]

    for number, amount in enumerate(amounts):
        record_cost(item(number, amount=amount), sender=SENDER, now=now)

    assert list(CostEvent.objects.order_by("id").values_list("amount", flat=True)) == amounts


def test_record_cost__same_key_and_content__answers_as_the_first_time(now: datetime) -> None:
    first = record_cost(item(1), sender=SENDER, now=now)

    again = record_cost(item(1), sender=SENDER, now=now + timedelta(minutes=1))

    assert again == Verdict("duplicate", first.record_id, Decimal("0.02"), "USD", "reported")
    assert CostEvent.objects.count() == 1


@pytest.mark.parametrize(
    "values",
    [
        {"amount": Decimal("0.0200")},
        {"amount": Decimal("2E-2")},
        {"currency": "USD"},
        {"occurred_at": AT.astimezone(timezone(timedelta(hours=2)))},
    ],
)
def test_record_cost__same_content_written_differently__is_a_duplicate(values: dict[str, Any], now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)

    assert record_cost(item(1, **values), sender=SENDER, now=now).status == "duplicate"


def test_record_cost__tags_in_another_order__is_a_duplicate(now: datetime) -> None:
    record_cost(item(1, tags={"a": "1", "b": "2"}), sender=SENDER, now=now)

    assert record_cost(item(1, tags={"b": "2", "a": "1"}), sender=SENDER, now=now).status == "duplicate"


def test_record_cost__without_instant__repeats_later_as_a_duplicate(now: datetime) -> None:
    record_cost(item(1, occurred_at=None), sender=SENDER, now=now)

    later = record_cost(item(1, occurred_at=None), sender=SENDER, now=now + timedelta(hours=3))

    assert later.status == "duplicate"
    assert CostEvent.objects.get().occurred_at == now


def test_record_cost__same_key_and_other_content__is_a_conflict_kept_for_review(now: datetime) -> None:
    first = record_cost(item(1), sender=SENDER, now=now)

    verdict = record_cost(item(1, amount=Decimal(9)), sender=SENDER, now=now)

    assert (verdict.status, verdict.record_id) == ("conflict", first.record_id)
    assert CostEvent.objects.get().amount == Decimal("0.02")
    assert IngestReject.objects.values_list("kind", flat=True).get() == "conflict"


def test_record_cost__same_key_of_another_sender__is_another_cost(now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)

    assert record_cost(item(1), sender=Sender(source="otlp"), now=now).status == "recorded"
    assert CostEvent.objects.count() == 2


def test_record_cost__without_key__is_recorded_each_time(now: datetime) -> None:
    for _ in range(2):
        assert record_cost(item(1, idempotency_key=None), sender=SENDER, now=now).status == "recorded"

    assert CostEvent.objects.count() == 2
    assert not EventKey.objects.exists()


def test_record_costs__repeats_within_a_batch__are_judged_by_the_first(now: datetime) -> None:
    batch = [item(1), item(1), item(1, amount=Decimal(5)), item(2)]

    verdicts = record_costs(batch, sender=SENDER, now=now)

    assert [verdict.status for verdict in verdicts] == ["recorded", "duplicate", "conflict", "recorded"]
    assert len({verdict.record_id for verdict in verdicts[:3]}) == 1
    assert CostEvent.objects.count() == 2


def test_record_costs__repeat_in_a_batch_equal_to_what_is_stored__is_a_duplicate(now: datetime) -> None:
    # given a stored content, and a batch whose first item under its key differs from it
    stored = record_cost(item(1), sender=SENDER, now=now)

    verdicts = record_costs([item(1, amount=Decimal(5)), item(1), item(3)], sender=SENDER, now=now)

    assert [verdict.status for verdict in verdicts] == ["conflict", "duplicate", "recorded"]
    assert {verdict.record_id for verdict in verdicts[:2]} == {stored.record_id}


def test_record_costs__some_keys_known__records_the_rest_and_names_the_known(now: datetime) -> None:
    first = record_costs([item(n) for n in range(10)], sender=SENDER, now=now)

    verdicts = record_costs([item(n) for n in range(5, 15)], sender=SENDER, now=now)

    assert [verdict.status for verdict in verdicts] == ["duplicate"] * 5 + ["recorded"] * 5
    assert [verdict.record_id for verdict in verdicts[:5]] == [verdict.record_id for verdict in first[5:]]
    assert CostEvent.objects.count() == 15
    # A sender known to repeat keys takes the careful way the next time.
    assert {v.status for v in record_costs([item(n) for n in range(15)], sender=SENDER, now=now)} == {"duplicate"}
    assert CostEvent.objects.count() == 15


def test_record_costs__all_or_nothing_with_a_bad_item__changes_nothing(now: datetime) -> None:
    batch = [item(1), item(2, amount=Decimal(-1))]

    verdicts = record_costs(batch, sender=SENDER, now=now, all_or_nothing=True)

    assert [verdict.errors[0].code for verdict in verdicts] == ["batch_refused", "min_value"]
    assert not CostEvent.objects.exists()
    assert not EventKey.objects.exists()
    assert not IngestReject.objects.exists()


def test_record_costs__all_or_nothing_with_a_conflict__changes_nothing(now: datetime) -> None:
    record_cost(item(1), sender=SENDER, now=now)

    verdicts = record_costs([item(2), item(1, amount=Decimal(7))], sender=SENDER, now=now, all_or_nothing=True)

    assert [verdict.status for verdict in verdicts] == ["rejected", "conflict"]
    assert CostEvent.objects.count() == 1
    assert EventKey.objects.count() == 1
    assert not IngestReject.objects.exists()


def test_record_costs__undecodable_item__is_kept_with_its_reasons(now: datetime) -> None:
    broken = Rejected(payload={"amount": "x", "note": "a\0b"}, errors=(FieldError("/amount", "invalid", "no number"),))

    verdicts = record_costs([broken, item(1)], sender=SENDER, now=now)

    assert [verdict.status for verdict in verdicts] == ["rejected", "recorded"]
    kept = IngestReject.objects.get()
    assert kept.payload == {"amount": "x", "note": "a\ufffdb"}
    assert kept.reasons == [{"pointer": "/amount", "code": "invalid", "detail": "no number"}]


def test_record_costs__empty_batch__is_nothing(now: datetime) -> None:
    assert record_costs([], sender=SENDER, now=now) == []


def test_record_cost__known_model__is_priced_at_the_time_it_occurred(now: datetime) -> None:
    price_models()
    call = _call("gpt-4o-mini", occurred_at=AT)

    verdict = record_cost(call, sender=SENDER, now=now)

    # 1,000 × 0.30 + 500 × 1.20 per million, the prices before July
    assert (verdict.amount, verdict.price_status) == (Decimal("0.0009"), "priced")
    event = CostEvent.objects.get()
    assert event.price_version is not None
    assert event.breakdown == {"input_tokens": "0.0003", "output_tokens": "0.0006"}
    assert (event.quantities, event.input_tokens, event.output_tokens) == (
        {"input_tokens": 1000, "output_tokens": 500},
        1000,
        500,
    )


def test_record_cost__amount_reported_by_the_sender__is_kept_beside_the_list_price(now: datetime) -> None:
    price_models()

    record_cost(_call("gpt-4o-mini", amount=Decimal("0.0008")), sender=SENDER, now=now)

    event = CostEvent.objects.get()
    assert (event.amount, event.list_amount, event.price_status) == (Decimal("0.0008"), Decimal("0.0009"), "reported")


def test_record_cost__unknown_model__has_no_amount_and_is_queued(now: datetime) -> None:
    price_models()

    verdicts = record_costs([_call("gpt-9"), _call("gpt-9"), _call("gpt-4o-mini")], sender=SENDER, now=now)

    assert [(verdict.amount, verdict.price_status) for verdict in verdicts[:2]] == [(None, "unpriced")] * 2
    queued = UnpricedModel.objects.get()
    assert (queued.provider, queued.model, queued.event_count) == ("openai", "gpt-9", 2)
    assert CostEvent.objects.filter(unpriced_count=1, amount=None, base_amount=None).count() == 2


def test_record_cost__resolved_model_comes_unpriced_again__is_open_again(now: datetime) -> None:
    record_cost(_call("gpt-9"), sender=SENDER, now=now)
    UnpricedModel.objects.update(status="resolved")

    record_cost(_call("gpt-9"), sender=SENDER, now=now)

    assert UnpricedModel.objects.values_list("status", "event_count").get() == ("open", 2)


def test_record_costs__more_items__need_no_more_queries(now: datetime) -> None:
    # Entities and memories are there before the counting begins.
    record_costs([item(n) for n in range(5)], sender=SENDER, now=now)

    small = _queries([item(100 + n) for n in range(10)], now)
    large = _queries([item(1000 + n) for n in range(1000)], now)

    assert large == small


def test_record_costs__more_duplicates__need_no_more_queries(now: datetime) -> None:
    record_costs([item(n) for n in range(1000)], sender=SENDER, now=now)
    record_costs([item(n) for n in range(2)], sender=SENDER, now=now)

    assert _queries([item(n) for n in range(1000)], now) == _queries([item(n) for n in range(10)], now)


def _call(model: str, **values: Any) -> CostItem:
    usual: dict[str, Any] = {
        "cost_type": "llm_api",
        "amount": None,
        "provider": "openai",
        "model": model,
        "input_tokens": 1000,
        "output_tokens": 500,
        "idempotency_key": None,
    }
    return item(1, **(usual | values))


def _queries(items: list[CostItem], now: datetime) -> int:
    with CaptureQueriesContext(connection) as captured:
        record_costs(items, sender=SENDER, now=now)
    return len(captured)


@pytest.mark.django_db(transaction=True)
def test_record_costs__keys_taken_in_a_transaction_of_its_own__begins_again_and_loses_nothing(now: datetime) -> None:
    # given two recorded costs, by a sender who never repeated a key before
    sender = Sender(source=f"key:{uuid4().hex}")
    first = record_costs([item(idempotency_key="a"), item(idempotency_key="b")], sender=sender, now=now)

    # when a batch names one of them again, beside a new one, with nothing around its transaction
    again = record_costs([item(idempotency_key="c"), item(idempotency_key="b")], sender=sender, now=now)

    # then the new one is recorded, and the other answers with what is there
    assert [verdict.status for verdict in again] == ["recorded", "duplicate"]
    assert again[1].record_id == first[1].record_id
    assert {event.id for event in CostEvent.objects.all()} == {
        first[0].record_id,
        first[1].record_id,
        again[0].record_id,
    }
    assert EventKey.objects.count() == 3
