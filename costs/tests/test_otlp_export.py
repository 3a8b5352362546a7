"""OTLP/HTTP from outside: a real OpenTelemetry exporter, and bodies by hand in both encodings."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from costs import pricebook
from costs.models import CostEvent, Entity, EventKey, IngestReject
from costs.tests.api_client import BASE, Answer, Caller
from costs.tests.api_prices import build_price_book

PATH = "otlp/v1/traces"
PROTOBUF = "application/x-protobuf"
CHAT: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 300,
    "gen_ai.agent.id": "researcher",
}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "web_search", "gen_ai.agent.id": "researcher"}


@pytest.fixture(autouse=True)
def _prices(request: pytest.FixtureRequest) -> Iterator[None]:
    request.getfixturevalue("transactional_db" if "live_server" in request.fixturenames else "db")
    build_price_book()
    yield
    pricebook.forget()


def finished_spans() -> list[ReadableSpan]:
    """Return what an agent leaves behind: its own span around a model call, a tool call and a web request."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": "support"}))
    provider.add_span_processor(SimpleSpanProcessor(memory))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("invoke_agent", attributes=CHAT | {"gen_ai.operation.name": "invoke_agent"}):
        for name, attributes in (("chat gpt-4o-mini", CHAT), ("execute_tool", TOOL), ("GET /", {"http.method": "GET"})):
            with tracer.start_as_current_span(name, attributes=attributes):
                pass
    provider.shutdown()
    return list(memory.get_finished_spans())


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip, Compression.Deflate])
def test_real_exporter__spans_of_an_agent__are_recorded_once(
    live_server: LiveServer, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As the guide says: the exporter adds /v1/traces to the address itself.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{live_server.url}{BASE}otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer {Caller(['costs:write']).key.secret}")
    exporter = OTLPSpanExporter(compression=compression)
    spans = finished_spans()

    results = [exporter.export(spans), exporter.export(spans), exporter.export(spans[:2])]
    exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's

    assert results == [SpanExportResult.SUCCESS] * 3
    events = {event.cost_type: event for event in CostEvent.objects.select_related("entity")}
    assert (set(events), CostEvent.objects.count()) == ({"llm_api", "tool_usage"}, 2)
    assert (events["llm_api"].amount, events["llm_api"].price_status) == (Decimal("0.00036"), "priced")
    assert events["llm_api"].tags == {"service": "support"}
    assert (events["tool_usage"].model, events["tool_usage"].price_status) == ("web_search", "unpriced")
    assert {str(event.entity) for event in events.values()} == {"agent:researcher"}


def span(attributes: dict[str, Any], number: int = 1, **changes: Any) -> dict[str, Any]:
    ended = int((timezone.now() - timedelta(minutes=1)).timestamp()) * 10**9
    values = [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}
        for key, value in attributes.items()
    ]
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(ended - 10**9),
        "endTimeUnixNano": str(ended),
        "attributes": values,
    } | changes


def export(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": list(spans)}]}]}


def send(body: Any, caller: Caller | None = None, **headers: str) -> Answer:
    return (caller or Caller()).send(PATH, body, **headers)


def nothing_recorded() -> bool:
    return not any(model.objects.exists() for model in (CostEvent, EventKey, Entity))


def test_json__chat_span__is_recorded_and_answered_in_json() -> None:
    answer = send(export(span(CHAT)))

    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, {}, "application/json")
    event = CostEvent.objects.get()
    assert (event.source, event.idempotency_key) == ("otlp", f"{1:032x}:{1:016x}")
    assert (event.trace_id, event.span_id) == (f"{1:032x}", f"{1:016x}")


def test_span__from_two_collectors_with_different_keys__is_recorded_once() -> None:
    body = export(span(CHAT))

    assert [send(body).status for _ in range(2)] == [200, 200]
    assert CostEvent.objects.count() == 1


def test_export__good_bad_and_other_spans__says_how_many_were_rejected_and_why() -> None:
    bad = span(CHAT | {"gen_ai.usage.input_tokens": -1}, 2)

    answer = send(export(span(CHAT), bad, span({"http.method": "GET"}, 3)))

    partial = answer.body["partialSuccess"]
    assert (answer.status, partial["rejectedSpans"]) == (200, "1")
    assert partial["errorMessage"] == (
        "1 recorded, 0 duplicate, 1 rejected, 0 conflict, 1 without a cost: "
        "1 × gen_ai.usage.input_tokens: '-1' is not a number of tokens"
    )
    assert CostEvent.objects.count() == 1
    assert IngestReject.objects.get().payload["spanId"] == f"{2:016x}"


def test_export__same_span_with_other_content__is_a_conflict_and_keeps_the_first() -> None:
    send(export(span(CHAT)))

    answer = send(export(span(CHAT | {"gen_ai.usage.output_tokens": 999})))

    assert answer.body["partialSuccess"]["rejectedSpans"] == "1"
    assert CostEvent.objects.get().amount == Decimal("0.00036")


def test_export__model_without_a_price__is_recorded_unpriced() -> None:
    answer = send(export(span(CHAT | {"gen_ai.request.model": "unheard-of"})))

    assert (answer.body, CostEvent.objects.get().amount) == ({}, None)


def test_export__cost_charged_by_the_provider__is_the_amount() -> None:
    charged = span(CHAT | {"gen_ai.usage.cost.currency": "USD"})
    charged["attributes"].append({"key": "gen_ai.usage.cost.amount", "value": {"doubleValue": 0.1}})

    send(export(charged))

    event = CostEvent.objects.get()
    assert (event.amount, event.price_status, event.list_amount) == (Decimal("0.1"), "reported", Decimal("0.00036"))


def test_export__key_bound_to_an_entity__charges_that_entity() -> None:
    send(export(span(CHAT)), Caller(entity=("workflow", "w-1")))

    assert str(CostEvent.objects.select_related("entity").get().entity) == "workflow:w-1"


def test_export__order_of_attributes__is_configurable(settings: Settings) -> None:
    settings.OTLP_ENTITY_ATTRIBUTES = ["enduser.id=user", "gen_ai.agent.id"]

    send(export(span(CHAT | {"enduser.id": "u-1"})))

    assert str(CostEvent.objects.select_related("entity").get().entity) == "user:u-1"


def test_export__more_spans_than_a_batch__is_recorded_whole(settings: Settings) -> None:
    settings.MAX_BATCH_ITEMS = 2

    assert send(export(*(span(CHAT, number) for number in range(1, 6)))).body == {}
    assert CostEvent.objects.count() == 5


def test_protobuf__nothing_to_record__is_a_success_without_content() -> None:
    answer = send(ExportTraceServiceRequest().SerializeToString(), content_type=PROTOBUF)

    assert (answer.status, answer.headers["Content-Type"], answer.headers.content) == (200, PROTOBUF, b"")


def test_protobuf__rejected_span__is_a_partial_success_in_protobuf() -> None:
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add().scope_spans.add().spans.add()
    one.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"

    answer = send(request.SerializeToString(), content_type=PROTOBUF, Accept=PROTOBUF)

    parsed = ExportTraceServiceResponse.FromString(answer.headers.content)
    assert (answer.status, parsed.partial_success.rejected_spans) == (200, 1)
    assert nothing_recorded()


MALFORMED = {
    "not JSON": (b"{", "application/json", 400, 3),
    "not an export": (b'{"resourceSpans": 7}', "application/json", 400, 3),
    "NaN": (b'{"resourceSpans": NaN}', "application/json", 400, 3),
    "nested too deep": (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "application/json", 400, 3),
    "not protobuf": (b"not protobuf", PROTOBUF, 400, 3),
    "other type": (b"{}", "text/plain", 415, 3),
    "too large": (b" " * 20_000_000, "application/json", 413, 8),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_export__malformed__answers_a_status_in_the_same_encoding(name: str) -> None:
    body, content_type, status, code = MALFORMED[name]

    answer = send(body, content_type=content_type)

    assert answer.status == status
    if content_type == "application/json":
        found = (answer.body["code"], bool(answer.body["message"]))
    else:
        parsed = Status.FromString(answer.headers.content)
        found = (parsed.code, bool(parsed.message))
    assert (found, nothing_recorded()) == ((code, True), True)


def test_export__packed_body_that_does_not_unpack__is_400() -> None:
    assert send(b"not gzip", Content_Encoding="gzip").status == 400
    assert send(gzip.compress(json.dumps(export(span(CHAT))).encode()), Content_Encoding="gzip").status == 200


def test_export__key_without_the_scope__is_403_as_a_status() -> None:
    answer = send(export(span(CHAT)), Caller(["costs:read"]))

    assert (answer.status, answer.body["code"]) == (403, 7)
    assert nothing_recorded()


def test_span__that_names_a_reservation_of_its_sender__settles_it() -> None:
    caller, other = Caller(), Caller()
    wanted = {"entity_type": "agent", "entity_id": "researcher", "cost_type": "llm_api", "amount": "1"}
    reservation = caller.send("reservations", wanted).body["reservation_id"]
    body = export(span(CHAT | {"agent_factory.reservation_id": reservation}))

    refused = send(body, other)
    taken = send(body, caller)

    assert (refused.body["partialSuccess"]["rejectedSpans"], taken.body) == ("1", {})
    assert caller.get(f"reservations/{reservation}").body["actual"] == "0.00036"


@contextmanager
def database_away() -> Iterator[None]:
    """Fail every statement as a lost connection does."""

    def fail(*_: Any) -> None:
        raise OperationalError("the connection is lost")

    with connection.execute_wrapper(fail):
        yield


def test_export__database_away__is_503_so_that_the_exporter_tries_again() -> None:
    caller = Caller()
    send(export(), caller)

    with database_away():
        answer = send(export(span(CHAT)), caller)

    assert (answer.status, answer.body["code"]) == (503, 14)
    assert int(answer.headers["Retry-After"]) > 0
    assert nothing_recorded()
    assert send(export(span(CHAT)), caller).status == 200


def test_export__too_many_requests__says_when_to_try_again(settings: Settings) -> None:
    settings.API_RATE_LIMIT_PER_MINUTE = 1
    caller = Caller()

    answers = [send(export(), caller) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 429]
    assert int(answers[1].headers["Retry-After"]) > 0
    assert answers[1].body["code"] == 8
