"""Callers and addresses for tests of the API's own behaviour, without any app's resources."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404, HttpResponse
from django.urls import include, path
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.decoding import decode
from core.api.idempotency import idempotent
from core.api.moments import Moment
from core.api.pagination import Order, PageQuery, paginate
from core.api.parameters import query
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.views import ANY, ApiView
from core.apikeys import NewKey, create_key
from core.errors import Conflict, Forbidden, Invalid, Missing, OverLimit
from core.models import Job

READ, WRITE = "costs:read", "costs:write"


def new_key(*scopes: str, entity: tuple[str, str] | None = None, expires_in: timedelta | None = None) -> NewKey:
    """Return a key that works now."""
    now = datetime.now(UTC)
    return create_key(
        "test key",
        scopes=scopes or (READ, WRITE),
        now=now,
        entity=entity,
        expires_at=now + expires_in if expires_in else None,
    )


def bearer(key: NewKey | str) -> dict[str, str]:
    """Return the header that presents a key, for the `headers` of the test client."""
    return {"Authorization": f"Bearer {key if isinstance(key, str) else key.secret}"}


class Part(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    weight: Annotated[int, Meta(ge=0)]


class Thing(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    title: Annotated[str, Meta(min_length=1, max_length=20)]
    amount: Annotated[Decimal, Meta(extra={"ge": "0"})] | None = None
    at: datetime | None = None
    count: int = 0
    owner: UUID | None = None
    parts: list[Part] = []
    labels: dict[str, str] = {}
    extra: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if self.title == "forbidden":
            raise ValueError("this title is never used")


class ThingQuery(PageQuery, kw_only=True):
    since: Moment | None = None
    at: datetime | None = None
    kind: list[str] = []
    most: Annotated[int, Meta(ge=1)] = 10


class Things(ApiView):
    required_scopes = {"GET": READ, "POST": WRITE}

    def get(self, request: Request) -> HttpResponse:
        wanted = query(request, ThingQuery)
        rows = Job.objects.filter(kind="thing")
        order = Order("created_at", descending=True)
        return answer(paginate(request, rows, page=wanted, order=order, show=lambda job: job.title))

    def post(self, request: Request) -> HttpResponse:
        thing = decode(request, Thing)
        return idempotent(request, lambda now: self._made(thing, now))

    def _made(self, thing: Thing, now: datetime) -> HttpResponse:
        job = Job.objects.create(kind="thing", title=thing.title, created_at=now)
        if thing.title == "refused":
            raise Conflict("not this one")
        if thing.title == "turned away":
            return answer({"id": str(job.pk)}, 422)
        return answer({"zebra": 1, "id": str(job.pk), "amount": thing.amount}, 201, {"Location": f"/things/{job.pk}"})


class Echo(ApiView):
    required_scopes = {"GET": ANY, "POST": WRITE}

    def get(self, request: Request) -> HttpResponse:
        wanted = query(request, ThingQuery)
        return answer({"since": str(wanted.since), "kind": wanted.kind, "most": wanted.most, "at": wanted.at})

    def post(self, request: Request) -> HttpResponse:
        thing = decode(request, Thing)
        return answer({"title": thing.title, "amount": str(thing.amount)})


class Bound(ApiView):
    required_scopes = {"GET": READ}

    def get(self, request: Request, entity_type: str, entity_id: str) -> HttpResponse:
        caller(request).require_entity(entity_type, entity_id)
        return answer({})


class Everything(ApiView):
    required_scopes = {"GET": READ}

    def get(self, request: Request) -> HttpResponse:
        caller(request).require_unbound()
        return answer({})


FAULTS: dict[str, Exception] = {
    "invalid": Invalid("makes no sense", code="nonsense"),
    "missing": Missing("no such thing"),
    "conflict": Conflict("not in this state"),
    "forbidden": Forbidden("not yours"),
    "over-limit": OverLimit("the budget has no room"),
    "problem": Problem(418, "short and stout", code="teapot", members={"volume": "1 l"}),
    "not-found": Http404("the text of an exception"),
    "denied": PermissionDenied("not you"),
    "suspicious": SuspiciousOperation("internal words"),
    "fault": RuntimeError("internal words"),
    "programming": OperationalError("no such table: internal words"),
}


class Fault(ApiView):
    required_scopes = {"GET": ANY}

    def get(self, request: Request, kind: str) -> HttpResponse:
        if kind == "programming":
            from django.db import connection

            connection.cursor().execute("SELECT * FROM no_such_table")
        raise FAULTS[kind]


urlpatterns = [
    path("api/v1/things", Things.as_view(), name="things"),
    path("api/v1/echo", Echo.as_view(), name="echo"),
    path("api/v1/everything", Everything.as_view(), name="everything"),
    path("api/v1/bound/<str:entity_type>/<path:entity_id>", Bound.as_view(), name="bound"),
    path("api/v1/faults/<str:kind>", Fault.as_view(), name="faults"),
    path("", include("config.urls")),
]
handler500 = "core.api.problems.server_error"
