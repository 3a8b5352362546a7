"""OpenSLO v1 over HTTP: all objectives out, and documents in."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.body import read_body
from core.api.idempotency import idempotent
from core.api.parameters import query
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import WholeFleetView
from core.errors import Missing
from slas.models import Service
from slas.services import exchange

YAML = "application/yaml"
TYPES = (YAML, "text/yaml", "application/x-yaml", "application/json")
TAG = "openslo"


class ExportQuery(msgspec.Struct, kw_only=True):
    """Of which service; all unless given."""

    service: Annotated[str, Meta(max_length=100)] = ""


class ImportQuery(msgspec.Struct, kw_only=True):
    """With 1, nothing is written and the answer says what would be."""

    dry_run: Literal["0", "1"] = "0"


class ExchangeStep(msgspec.Struct, kw_only=True):
    """What became of one row."""

    kind: Literal["service", "sli", "slo"]
    name: str
    outcome: Literal["created", "changed", "unchanged"]
    fields: list[str]


class ExchangeState(msgspec.Struct, kw_only=True):
    """Every step of an import; warnings name what could not be taken over, and where."""

    dry_run: bool
    steps: list[ExchangeStep]
    warnings: list[str]


class OpenSloView(WholeFleetView):
    """Objectives as OpenSLO v1 documents."""

    required_scopes = {"GET": "slas:read", "POST": "slas:admin"}

    @operation("export_openslo", "Export OpenSLO", query=ExportQuery, answers={200: {YAML: bytes}}, problems=(404,),
               tag=TAG)  # fmt: skip
    def get(self, request: Request) -> HttpResponse:
        """Services and their objectives; composites, which version 1 has no words for, are left out."""
        service = query(request, ExportQuery).service
        if service and not Service.objects.filter(slug=service).exists():
            raise Missing(f"there is no service {service!r}")
        return HttpResponse(exchange.give_out(service), content_type=f"{YAML}; charset=utf-8")

    @operation("import_openslo", "Import OpenSLO", body=dict.fromkeys(TYPES, bytes), query=ImportQuery,
               answers={200: ExchangeState}, problems=(409,), idempotent=True, tag=TAG)  # fmt: skip
    def post(self, request: Request) -> HttpResponse:
        """Take in documents, all or none; what is there under the same names is changed in place."""
        dry_run = query(request, ImportQuery).dry_run == "1"
        try:
            text = read_body(request, content_types=TYPES).decode()
        except UnicodeDecodeError as error:
            raise Problem(400, "the body is not UTF-8", code="malformed") from error
        if dry_run:
            return answer(_state(exchange.take_in(text, dry_run=True, now=timezone.now()), dry_run=True))
        return idempotent(
            request, lambda now: answer(_state(exchange.take_in(text, dry_run=False, now=now), dry_run=False))
        )


def _state(done: exchange.Exchange, *, dry_run: bool) -> ExchangeState:
    steps = [
        ExchangeStep(kind=step.kind, name=step.name, outcome=step.outcome, fields=list(step.fields))  # type: ignore[arg-type]  # one of the three
        for step in done.steps
    ]
    return ExchangeState(dry_run=dry_run, steps=steps, warnings=list(done.warnings))
