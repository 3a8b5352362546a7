"""The request's context: its id, its actor, its line in the log."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from core.context import Context, current
from core.logs import formatter
from core.middleware import RequestContextMiddleware
from core.tests.api import bearer, new_key


@pytest.mark.parametrize("given", ["req-12345678", "4bf92f3577b34da6a3ce929d0e0e4736", "a.b:c_d-e"])
def test_request_id__sane__is_kept(client: Client, given: str) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "12345678 9", "<script>alert()", "ab\tcdefgh", "ééééééééé"])
def test_request_id__insane__is_replaced(client: Client, given: str) -> None:
    made = client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"]

    assert UUID(made).version == 7


def test_context__request__is_set_and_gone_afterwards() -> None:
    seen: list[Context] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(current())
        return HttpResponse()

    request = RequestFactory().get("/api/v1/x", headers={"X-Request-ID": "req-12345678"})
    RequestContextMiddleware(view)(request)

    assert (seen[0].channel, seen[0].request_id, seen[0].actor.label) == ("api", "req-12345678", "anonymous")
    assert current() == Context()


def _lines(caplog: pytest.LogCaptureFixture, logger: str) -> list[dict[str, Any]]:
    records = [record for record in caplog.records if record.name == logger]
    return [json.loads(formatter("json").format(record)) for record in records]


@pytest.mark.django_db
def test_log__api_request__is_one_line_with_the_key_and_without_its_secret(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    key = new_key()

    client.get("/api/v1/whoami?token=abc", headers={**bearer(key), "X-Request-ID": "req-12345678"})

    (line,) = _lines(caplog, "access")
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/whoami", 200)
    assert (line["request_id"], line["channel"]) == ("req-12345678", "api")
    assert line["actor"] == f"test key ({key.key.prefix})"
    assert line["duration_ms"] > 0
    assert key.secret not in caplog.text
    assert len(caplog.records) == 1


@pytest.mark.django_db
def test_log__page_of_a_signed_in_person__names_the_person(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    client.force_login(User.objects.create_user("maria"))

    client.get("/accounts/email/")

    (line,) = _lines(caplog, "access")
    assert (line["actor"], line["channel"]) == ("maria", "admin")


def test_log__refused_request__is_one_line(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    client.get("/api/v1/nothing")

    assert [line["status"] for line in _lines(caplog, "access")] == [404]
    assert len(caplog.records) == 1
