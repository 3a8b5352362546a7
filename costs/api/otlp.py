"""OTLP/HTTP traces: the address that any OpenTelemetry exporter can be pointed at."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpResponse
from django.utils import timezone
from prometheus_client import Counter as Metric
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from core.api.authentication import caller
from core.api.body import read_body, require_content_type
from core.api.problems import Problem
from core.api.rendering import JsonNegotiation
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError
from costs.inputs import CostItem, Rejected, Sender, Verdict, VerdictStatus
from costs.models import Reservation
from costs.otlp import answers
from costs.otlp.mapping import EntityRules, entity_order, read_spans, wanted
from costs.otlp.spans import READERS, MalformedExportError
from costs.services.ingest import record_costs

CONTENT_TYPES = (answers.PROTOBUF, answers.JSON)
SENDER = Sender(source="otlp")
REASONS_SHOWN = 3
KINDS: tuple[VerdictStatus, ...] = ("recorded", "duplicate", "rejected", "conflict")
PASSED_ON = ("Retry-After", "WWW-Authenticate", "Allow", "Accept", "Accept-Encoding")

spans_total = Metric("costs_otlp_spans", "Spans received, by what became of them.", ("verdict",))


class AnyNegotiation(JsonNegotiation):
    """Answers in the encoding of the request, whatever the exporter says it accepts."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> tuple[Any, str]:
        """Take the first, which only renders problems."""
        renderer: BaseRenderer = renderers[0]
        return renderer, renderer.media_type


class OtlpTraces(ApiView):
    """Traces of OpenTelemetry: model and tool calls become costs, everything else passes by."""

    required_scopes = {"POST": "costs:write"}
    content_negotiation_class = AnyNegotiation
    error_types = CONTENT_TYPES

    @operation(
        "export_traces",
        "Receive OpenTelemetry traces",
        body={answers.PROTOBUF: bytes, answers.JSON: dict[str, Any]},
        answers={200: {answers.PROTOBUF: bytes, answers.JSON: dict[str, Any]}},
        tag="traces",
    )
    def post(self, request: Request) -> HttpResponse:
        """An OTLP `ExportTraceServiceRequest`, protobuf or JSON, also compressed; the answer is in the same encoding.

        A span is recorded once, however often and by however many collectors it is sent: its trace and span id are its
        idempotency key. Spans that cost something and cannot be recorded are counted in `partial_success`.
        """
        encoding = require_content_type(request, CONTENT_TYPES)
        rules = EntityRules(entity_order(settings.OTLP_ENTITY_ATTRIBUTES), bound=caller(request).entity)
        body = read_body(request, content_types=CONTENT_TYPES)
        try:
            spans = READERS[encoding](body, wanted(rules))
        except MalformedExportError as malformed:
            raise Problem(400, str(malformed), code="malformed") from malformed
        reading = read_spans(spans, rules)
        items = _without_foreign_reservations(reading.items, caller(request).family)
        return _answered(encoding, _recorded(items), reading.ignored)

    def handle_exception(self, exc: Exception) -> HttpResponse | Response:  # type: ignore[override]  # never a Response here
        """Turn the problem into the Status message that exporters expect, with the same status and headers."""
        problem = super().handle_exception(exc)
        return _status(self.request, problem)


def _without_foreign_reservations(items: list[CostItem | Rejected], client: UUID) -> list[CostItem | Rejected]:
    """Reject what would settle a reservation of another client: spans of all clients have one namespace of keys."""
    named = {item.reservation_id for item in items if isinstance(item, CostItem) and item.reservation_id}
    if not named:
        return items
    own = set(Reservation.objects.filter(id__in=named, client=client).values_list("id", flat=True))
    foreign = named - own
    return [_foreign(item) if isinstance(item, CostItem) and item.reservation_id in foreign else item for item in items]


def _foreign(item: CostItem) -> Rejected:
    error = FieldError("/agent_factory.reservation_id", "not_found", "there is no such reservation")
    return Rejected(payload=msgspec.to_builtins(item), errors=(error,))


def _recorded(items: list[CostItem | Rejected]) -> list[Verdict]:
    """Record in transactions of at most MAX_BATCH_ITEMS; an export cut short is sent again and repeats nothing."""
    most, now = settings.MAX_BATCH_ITEMS, timezone.now()
    parts = (items[start : start + most] for start in range(0, len(items), most))
    return [verdict for part in parts for verdict in record_costs(part, sender=SENDER, now=now)]


def _answered(encoding: str, verdicts: list[Verdict], ignored: int) -> HttpResponse:
    counts = Counter(verdict.status for verdict in verdicts)
    spans_total.labels("ignored").inc(ignored)
    for name, count in counts.items():
        spans_total.labels(name).inc(count)
    rejected = counts["rejected"] + counts["conflict"]
    body = answers.exported(encoding, rejected=rejected, message=_message(verdicts, counts, ignored))
    return HttpResponse(body, content_type=encoding)


def _message(verdicts: list[Verdict], counts: Counter[VerdictStatus], ignored: int) -> str:
    reasons = Counter(_reason(verdict) for verdict in verdicts if verdict.status in {"rejected", "conflict"})
    shown = "; ".join(f"{count} × {reason}" for reason, count in reasons.most_common(REASONS_SHOWN))
    numbers = ", ".join(f"{counts[name]} {name}" for name in KINDS)
    return f"{numbers}, {ignored} without a cost: {shown}"[:1000]


def _reason(verdict: Verdict) -> str:
    if verdict.status == "conflict":
        return "this span was recorded before with another content"
    return "; ".join(f"{error.pointer.lstrip('/')}: {error.detail}" for error in verdict.errors)


def _status(request: Request, problem: Any) -> HttpResponse:
    encoding = answers.JSON if request.content_type == answers.JSON else answers.PROTOBUF
    detail = json.loads(problem.content).get("detail", "")
    body = answers.status(encoding, http_status=problem.status_code, message=detail)
    headers = {name: problem[name] for name in PASSED_ON if name in problem}
    response = HttpResponse(body, content_type=encoding, status=problem.status_code, headers=headers)
    response.keeps_its_form = True  # type: ignore[attr-defined]  # not a problem document: read by the middleware
    return response
