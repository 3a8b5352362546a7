"""Reading of OTLP bodies: what the protobuf and JSON encodings of one export say is the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

from costs.otlp import answers
from costs.otlp.spans import MalformedExportError, Span, read_json, read_protobuf

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
EXPECTED = Span(
    trace_id=TRACE,
    span_id=SPAN,
    name="chat",
    kind=3,
    start_ns=1_764_000_000_000_000_001,
    end_ns=1_764_000_001_000_000_002,
    failed=True,
    attributes={"text": "a", "whole": 2**53 + 1, "real": 0.1, "truth": True},
    resource={"service": "s"},
)


def everything_but_noise(key: str) -> bool:
    return key != "noise"


def binary() -> bytes:
    export = ExportTraceServiceRequest()
    resource_spans = export.resource_spans.add()
    resource_spans.resource.attributes.append(KeyValue(key="service", value=AnyValue(string_value="s")))
    span = resource_spans.scope_spans.add().spans.add()
    span.trace_id, span.span_id = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    span.name, span.kind, span.status.code = "chat", 3, 2
    span.start_time_unix_nano, span.end_time_unix_nano = EXPECTED.start_ns, EXPECTED.end_ns
    values = {
        "text": AnyValue(string_value="a"),
        "whole": AnyValue(int_value=2**53 + 1),
        "real": AnyValue(double_value=0.1),
        "truth": AnyValue(bool_value=True),
        "noise": AnyValue(string_value="n"),
        "list": AnyValue(array_value=ArrayValue(values=[AnyValue(int_value=1)])),
        "nothing": AnyValue(),
    }
    span.attributes.extend(KeyValue(key=key, value=value) for key, value in values.items())
    body: bytes = export.SerializeToString()
    return body


def text(**changes: Any) -> bytes:
    span: dict[str, Any] = {
        "traceId": TRACE.upper(),
        "spanId": SPAN.upper(),
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(EXPECTED.start_ns),
        "endTimeUnixNano": EXPECTED.end_ns,
        "status": {"code": 2, "message": "no"},
        "somethingNew": {"deeply": [{"nested": 1}]},
        "attributes": [
            {"key": "text", "value": {"stringValue": "a"}},
            {"key": "whole", "value": {"intValue": str(2**53 + 1)}},
            {"key": "real", "value": {"doubleValue": 0.1}},
            {"key": "truth", "value": {"boolValue": True}},
            {"key": "noise", "value": {"stringValue": "n"}},
            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": 1}]}}},
            {"key": "nothing", "value": {}},
        ],
    }
    resource = {"attributes": [{"key": "service", "value": {"stringValue": "s"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span | changes]}]}]}).encode()


def test_protobuf__keeps_ids_times_status_and_scalar_attributes() -> None:
    assert read_protobuf(binary(), everything_but_noise) == [EXPECTED]


def test_json__says_the_same_as_protobuf() -> None:
    assert read_json(text(), everything_but_noise) == [EXPECTED]


def test_json__enum_names_instead_of_numbers__are_understood() -> None:
    [span] = read_json(text(kind="SPAN_KIND_SERVER", status={"code": "STATUS_CODE_ERROR"}), everything_but_noise)

    assert (span.kind, span.failed) == (2, True)


@pytest.mark.parametrize("body", [b"{}", b'{"resourceSpans":null}', b'{"resourceSpans":[{"scopeSpans":[{}]}]}'])
def test_json__nothing_in_it__is_no_span(body: bytes) -> None:
    assert read_json(body, everything_but_noise) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"resourceSpans": 1}',
        b'{"resourceSpans": NaN}',
        b"\xff\xfe",
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        text(startTimeUnixNano="soon"),
        text(attributes=[{"key": "a", "value": {"intValue": "1.5"}}]),
        text(attributes=[{"key": "a", "value": {"doubleValue": "much"}}]),
    ],
)
def test_json__not_an_export__is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedExportError):
        read_json(body, everything_but_noise)


@pytest.mark.parametrize("body", [b"not protobuf", binary()[:-3], b"{}"])
def test_protobuf__not_an_export__is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedExportError):
        read_protobuf(body, everything_but_noise)


def test_answer__partial_success__says_the_same_in_both_encodings() -> None:
    parsed = ExportTraceServiceResponse.FromString(answers.exported(answers.PROTOBUF, rejected=2, message="why"))

    assert (parsed.partial_success.rejected_spans, parsed.partial_success.error_message) == (2, "why")
    assert json.loads(answers.exported(answers.JSON, rejected=2, message="why")) == {
        "partialSuccess": {"rejectedSpans": "2", "errorMessage": "why"}
    }


def test_answer__all_recorded__has_no_partial_success() -> None:
    assert answers.exported(answers.PROTOBUF) == b""
    assert answers.exported(answers.JSON) == b"{}"


@pytest.mark.parametrize(
    ("http_status", "code"), [(400, 3), (401, 16), (403, 7), (413, 8), (429, 8), (503, 14), (500, 13)]
)
def test_answer__error__is_a_status_message(http_status: int, code: int) -> None:
    message = "é" * 100

    parsed = Status.FromString(answers.status(answers.PROTOBUF, http_status=http_status, message=message))

    assert (parsed.code, parsed.message) == (code, message)
    assert json.loads(answers.status(answers.JSON, http_status=http_status, message=message)) == {
        "code": code,
        "message": message,
    }
