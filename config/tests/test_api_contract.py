"""What holds for every address of the API, read from the URLconf and from the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from typing import Any, NamedTuple

import pytest
import yaml
from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from core.api.root import openapi_document
from core.api.views import ApiView
from core.apikeys import create_key
from core.ports.scopes import scopes

DOCUMENT = settings.BASE_DIR / "docs" / "openapi.yaml"
METHODS = ("get", "post", "put", "patch", "delete")
EXAMPLES = {"uuid": "01a1ffff-0000-7000-8000-000000000000", "int": "1", "path": "x", "str": "x", "slug": "x"}
COMMAND = ("spectacular", "--validate", "--fail-on-warn")


def _views(patterns: list[Any] | None = None, prefix: str = "/") -> Iterator[tuple[str, type[ApiView]]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        address = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from _views(pattern.url_patterns, address)
        elif isinstance(pattern, URLPattern):
            view = getattr(pattern.callback, "cls", None)
            if view is not None and issubclass(view, ApiView):
                yield address, view


class Operation(NamedTuple):
    method: str
    address: str
    scope: str
    error_types: tuple[str, ...]


def _operations() -> list[Operation]:
    found = []
    for route, view in _views():
        address = re.sub(r"<(?:(\w+):)?\w+>", lambda match: EXAMPLES[match.group(1) or "str"], route)
        found += [
            Operation(method, address, view.required_scopes[method.upper()], view.error_types)
            for method in METHODS
            if hasattr(view, method)
        ]
    return found


OPERATIONS = [pytest.param(item, id=f"{item.method} {item.address}") for item in _operations()]
SCOPED = [pytest.param(item, id=f"{item.method} {item.address}") for item in _operations() if item.scope]


def _ask(operation: Operation, *, client: Client | None = None, slash: str = "", **extra: Any) -> Any:
    body = {} if operation.method == "get" else {"data": b"{}", "content_type": "application/json"}
    return getattr(client or Client(), operation.method)(operation.address + slash, **body, **extra)


def test_operations__found__are_the_documented_ones() -> None:
    documented = {
        (method, re.sub(r"{\w+}", "{}", path))
        for path, methods in openapi_document()["paths"].items()
        for method in methods
        if method in METHODS
    }
    served = {
        (method, re.sub(r"<[^>]+>", "{}", route))
        for route, view in _views()
        for method in METHODS
        if hasattr(view, method)
    }

    assert served == documented
    assert len(served) >= 3


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_operation__anonymous__is_401(operation: Operation, slash: str) -> None:
    response = _ask(operation, slash=slash)

    assert response.status_code == 401
    assert response["Content-Type"] in operation.error_types
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
@pytest.mark.parametrize("operation", SCOPED)
def test_operation__key_with_every_other_scope__is_403(operation: Operation) -> None:
    others = [known.name for known in scopes if known.name != operation.scope]
    key = create_key("others", scopes=others, now=datetime.now(UTC))

    response = _ask(operation, headers={"Authorization": f"Bearer {key.secret}"})

    assert response.status_code == 403
    assert response["Content-Type"] in operation.error_types
    assert operation.scope in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("operation", SCOPED)
def test_operation__session_without_the_permission__is_403(operation: Operation, client: Client) -> None:
    client.force_login(User.objects.create_user("maria", is_staff=True))

    response = _ask(operation, client=client)

    assert response.status_code == 403
    assert response["Content-Type"] in operation.error_types


@pytest.mark.parametrize("operation", SCOPED)
def test_operation__scope__is_a_known_one(operation: Operation) -> None:
    assert operation.scope in scopes


@pytest.mark.django_db
def test_scope__permission__exists() -> None:
    for scope in scopes:
        app, codename = scope.permission.split(".")
        assert Permission.objects.filter(content_type__app_label=app, codename=codename).exists(), scope


def _generated() -> str:
    out = StringIO()
    call_command(*COMMAND, stdout=out)
    return out.getvalue()


def test_document__generated__validates_without_a_warning_and_is_the_committed_one() -> None:
    generated = _generated()

    assert DOCUMENT.read_text() == generated, f"run: manage.py {' '.join(COMMAND)} --file docs/openapi.yaml"


def test_document__every_operation__has_an_id_a_scope_and_its_problems() -> None:
    document = yaml.safe_load(_generated())
    operations = [
        operation for methods in document["paths"].values() for name, operation in methods.items() if name in METHODS
    ]

    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z][a-z_0-9]+", name) for name in ids)
    for operation in operations:
        assert {"401", "403", "429", "500", "503"} <= set(operation["responses"]), operation["operationId"]
        assert operation["security"] == [{"apiKey": []}, {"session": []}]
        assert operation["summary"]
        assert operation["description"]
        for status, response in operation["responses"].items():
            assert int(status) < 400 or response["content"], operation["operationId"]
    assert document["components"]["securitySchemes"]["apiKey"]["scheme"] == "bearer"


@pytest.mark.django_db
def test_root__key__lists_addresses_that_answer(client: Client) -> None:
    key = create_key("reader", scopes=[scope.name for scope in scopes], now=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {key.secret}"}

    resources = client.get("/api/v1", headers=headers).json()["resources"]

    assert resources["whoami"] == "http://testserver/api/v1/whoami"
    for address in resources.values():
        assert client.get(address, headers=headers).status_code != 404


@pytest.mark.django_db
def test_docs_page__staff__is_shown_without_asking_another_host(client: Client) -> None:
    client.force_login(User.objects.create_user("maria", is_staff=True))

    page = client.get("/api/docs")

    text = page.content.decode()
    assert page.status_code == 200
    assert '<html lang="en">' in text
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', text):
        assert client.get(address).getvalue()
    assert client.get("/api/v1/openapi.json").json()["info"]["title"] == "Agent Factory API"


@pytest.mark.django_db
def test_docs_page__others__are_sent_to_sign_in(client: Client) -> None:
    anonymous = client.get("/api/docs")
    client.force_login(User.objects.create_user("maria"))

    assert anonymous.status_code == client.get("/api/docs").status_code == 302
