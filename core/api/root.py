"""The addresses of the API itself: its root, who the caller is, its document, and the page to try it."""

from __future__ import annotations

import functools
from datetime import datetime
from typing import Any

import msgspec
from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.problems import Problem, problem_response
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ANY, ApiView


class ApiEntity(msgspec.Struct):
    """The entity a key is bound to."""

    type: str
    id: str


class Whoami(msgspec.Struct, kw_only=True):
    """The caller as the API sees it, and what it needs to know of the organisation."""

    kind: str
    name: str
    prefix: str | None
    scopes: list[str]
    entity: ApiEntity | None
    expires_at: datetime | None
    organisation: str
    currency: str
    time_zone: str


class ApiRoot(msgspec.Struct, kw_only=True):
    """Where things are."""

    version: str
    documentation: str
    schema: str
    resources: dict[str, str]


class RootView(ApiView):
    """The entrance."""

    required_scopes = {"GET": ANY}

    @operation("get_root", "List the resources", answers={200: ApiRoot}, tag="api")
    def get(self, request: Request) -> HttpResponse:
        """Name the resources of this API and where their description is."""
        return answer(
            ApiRoot(
                version=settings.VERSION,
                documentation=request.build_absolute_uri("/api/docs"),
                schema=request.build_absolute_uri("/api/v1/openapi.json"),
                resources={name: request.build_absolute_uri(path) for name, path in _resources().items()},
            )
        )


class WhoamiView(ApiView):
    """Who asks."""

    required_scopes = {"GET": ANY}

    @operation("whoami", "Show the caller", answers={200: Whoami}, tag="api")
    def get(self, request: Request) -> HttpResponse:
        """Answer the key (or person) behind this request: its scopes, binding and expiry. Good to test a key with."""
        identity = caller(request)
        return answer(
            Whoami(
                kind=identity.actor.kind,
                name=identity.name,
                prefix=getattr(identity, "prefix", None),
                scopes=sorted(identity.scopes),
                entity=ApiEntity(*identity.entity) if identity.entity else None,
                expires_at=identity.expires_at,
                organisation=settings.ORGANISATION_NAME,
                currency=settings.BASE_CURRENCY,
                time_zone=settings.ORGANISATION_TIME_ZONE,
            )
        )


class OpenApiView(ApiView):
    """The description of the API for programs."""

    required_scopes = {"GET": ANY}

    @operation("get_openapi", "Get the OpenAPI document", answers={200: dict[str, Any]}, tag="api")
    def get(self, request: Request) -> HttpResponse:
        """Answer the OpenAPI document of this version, the same that is committed as docs/openapi.yaml."""
        return answer(openapi_document())


@functools.cache
def openapi_document() -> dict[str, Any]:
    """Return the OpenAPI document of this process."""
    from drf_spectacular.generators import SchemaGenerator  # for who asks for the document, and nobody else

    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return document


@functools.cache
def _resources() -> dict[str, str]:
    """Return the addresses without parameters that can be read, by operation."""
    found = {}
    for path in openapi_document()["paths"]:
        if "{" not in path:
            found[path.removeprefix("/api/v1").strip("/") or "root"] = path
    return found


@staff_member_required
@ensure_csrf_cookie
def docs(request: HttpRequest) -> HttpResponse:
    """Show the page on which the API can be read and tried, by the session of a signed-in person."""
    return render(request, "core/api_docs.html", {"schema_path": "/api/v1/openapi.json"})


@csrf_exempt
def nothing_here(request: HttpRequest, **_: Any) -> HttpResponse:
    """Answer 404 for every address below /api/ that is not served."""
    return problem_response(Problem(404, "this address is not served; /api/v1 lists those that are"), request.path)
