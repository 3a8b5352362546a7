"""Reads OTLP trace exports, protobuf or JSON, into plain spans with the attributes somebody asked for.

Wire formats: opentelemetry-proto 1.x `ExportTraceServiceRequest`; in JSON, ids are hexadecimal and 64-bit integers
may be text (OTLP specification, "JSON Protobuf Encoding"). Unknown fields are ignored, as that specification demands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import KeyValue

Scalar = str | int | float | bool
Attributes = Mapping[str, Scalar]
Wanted = Callable[[str], bool]

STATUS_ERROR = 2
KIND_SERVER = 2


class MalformedExportError(ValueError):
    """The body is not an OTLP trace export."""


@dataclass(frozen=True, slots=True)
class Span:
    """One finished operation: ids in lower-case hexadecimal, nanoseconds since 1970, only the wanted attributes."""

    trace_id: str
    span_id: str
    name: str
    kind: int
    start_ns: int
    end_ns: int
    failed: bool
    attributes: Attributes
    resource: Attributes


def read_protobuf(body: bytes, wanted: Wanted) -> list[Span]:
    """Return the spans of a binary export; raises MalformedExportError."""
    # Here, for only who sends traces in protobuf needs its messages.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # the library ships no types
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        export = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise MalformedExportError("the body is not a protobuf ExportTraceServiceRequest") from error
    return list(_spans_of_message(export, wanted))


def _spans_of_message(export: ExportTraceServiceRequest, wanted: Wanted) -> Iterator[Span]:
    for resource_spans in export.resource_spans:
        resource = _scalars_of_message(resource_spans.resource.attributes, wanted)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield Span(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    name=span.name,
                    kind=span.kind,
                    start_ns=span.start_time_unix_nano,
                    end_ns=span.end_time_unix_nano,
                    failed=span.status.code == STATUS_ERROR,
                    attributes=_scalars_of_message(span.attributes, wanted),
                    resource=resource,
                )


_SCALARS = frozenset({"string_value", "int_value", "double_value", "bool_value"})


def _scalars_of_message(attributes: Iterable[KeyValue], wanted: Wanted) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for attribute in attributes:
        if wanted(attribute.key):
            kind = attribute.value.WhichOneof("value")
            if kind in _SCALARS:
                found[attribute.key] = getattr(attribute.value, kind)
    return found


# --- JSON ----------------------------------------------------------------------------------------------------------
class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    int_value: int | str | None = None
    double_value: float | int | str | None = None
    bool_value: bool | None = None

    def scalar(self) -> Scalar | None:
        if self.string_value is not None:
            return self.string_value
        if self.int_value is not None:
            return int(self.int_value)
        if self.double_value is not None:
            return float(self.double_value)
        return self.bool_value


class _Attribute(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _Status(msgspec.Struct):
    code: int | str | None = None


class _Span(msgspec.Struct, rename="camel"):
    trace_id: str = ""
    span_id: str = ""
    name: str = ""
    kind: int | str = 0
    start_time_unix_nano: int | str = 0
    end_time_unix_nano: int | str = 0
    status: _Status | None = None
    attributes: list[_Attribute] | None = None


class _ScopeSpans(msgspec.Struct):
    spans: list[_Span] | None = None


class _Resource(msgspec.Struct):
    attributes: list[_Attribute] | None = None


class _ResourceSpans(msgspec.Struct, rename="camel"):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _Export(msgspec.Struct, rename="camel"):
    resource_spans: list[_ResourceSpans] | None = None


_decoder = msgspec.json.Decoder(_Export)


def read_json(body: bytes, wanted: Wanted) -> list[Span]:
    """Return the spans of a JSON export; raises MalformedExportError."""
    try:
        return list(_spans_of_json(_decoder.decode(body), wanted))
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        raise MalformedExportError(f"the body is not a JSON ExportTraceServiceRequest: {error}"[:300]) from error


def _spans_of_json(export: _Export, wanted: Wanted) -> Iterator[Span]:
    for resource_spans in export.resource_spans or ():
        described = resource_spans.resource.attributes if resource_spans.resource else None
        resource = _scalars_of_json(described, wanted)
        for scope_spans in resource_spans.scope_spans or ():
            for span in scope_spans.spans or ():
                yield _plain(span, resource, wanted)


def _plain(span: _Span, resource: Attributes, wanted: Wanted) -> Span:
    return Span(
        trace_id=span.trace_id.lower(),
        span_id=span.span_id.lower(),
        name=span.name,
        kind=_enum(span.kind, {"SPAN_KIND_SERVER": KIND_SERVER}),
        start_ns=int(span.start_time_unix_nano),
        end_ns=int(span.end_time_unix_nano),
        failed=_enum(span.status.code if span.status else None, {"STATUS_CODE_ERROR": STATUS_ERROR}) == STATUS_ERROR,
        attributes=_scalars_of_json(span.attributes, wanted),
        resource=resource,
    )


def _enum(value: int | str | None, names: Mapping[str, int]) -> int:
    # The specification wants numbers; protobuf's own JSON printers write names.
    return value if isinstance(value, int) else names.get(value or "", 0)


def _scalars_of_json(attributes: Iterable[_Attribute] | None, wanted: Wanted) -> dict[str, Scalar]:
    found: dict[str, Scalar] = {}
    for attribute in attributes or ():
        if wanted(attribute.key) and attribute.value is not None:
            scalar = attribute.value.scalar()
            if scalar is not None:
                found[attribute.key] = scalar
    return found


Reader = Callable[[bytes, Wanted], list[Span]]
READERS: Mapping[str, Reader] = {"application/x-protobuf": read_protobuf, "application/json": read_json}
