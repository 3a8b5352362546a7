"""Answers in the encoding of the request, as OTLP/HTTP demands: export responses and `google.rpc.Status` errors."""

from __future__ import annotations

import msgspec

PROTOBUF = "application/x-protobuf"
JSON = "application/json"

# google.rpc.Code by HTTP status; exporters decide on the HTTP status, people read the code.
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 409: 10, 413: 8, 415: 3, 422: 3, 429: 8, 503: 14}
_INTERNAL = 13


def exported(encoding: str, *, rejected: int = 0, message: str = "") -> bytes:
    """Return a successful answer; with rejected spans, a partial success that says how many and why."""
    if encoding == JSON:
        # 64-bit integers are text in protobuf's JSON.
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": message}} if rejected else {}
        return msgspec.json.encode(partial)
    # Here, for only who sends traces in protobuf needs its messages.
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages

    response = messages.ExportTraceServiceResponse()
    if rejected:
        partial_success = messages.ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
        response.partial_success.CopyFrom(partial_success)
    encoded: bytes = response.SerializeToString()
    return encoded


def status(encoding: str, *, http_status: int, message: str) -> bytes:
    """Return an error as `google.rpc.Status`: its code and a message for whoever reads the exporter's log."""
    code = _CODES.get(http_status, _INTERNAL)
    if encoding == JSON:
        return msgspec.json.encode({"code": code, "message": message})
    text = message.encode()
    # Status has two fields of ours: int32 code = 1 and string message = 2.
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
