"""Every error below /api/ is a problem document, whoever made it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from django.conf import settings
from django.test import Client, override_settings

from core.logs import formatter
from core.tests.api import bearer, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.urls("core.tests.api")]
PROBLEM = "application/problem+json"


@pytest.fixture
def quiet() -> Client:
    """A client that answers a fault as a server would, instead of raising it."""
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("invalid", 422, "nonsense"),
        ("missing", 404, "not_found"),
        ("conflict", 409, "conflict"),
        ("forbidden", 403, "forbidden"),
        ("over-limit", 402, "budget_exceeded"),
        ("problem", 418, "teapot"),
        ("not-found", 404, "not_found"),
        ("denied", 403, "forbidden"),
        ("suspicious", 400, "bad_request"),
        ("fault", 500, "internal_error"),
        ("programming", 500, "internal_error"),
    ],
)
def test_exception__any_kind__is_a_problem_document(quiet: Client, kind: str, status: int, code: str) -> None:
    response = quiet.get(f"/api/v1/faults/{kind}", headers=bearer(new_key()))

    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    document = response.json()
    assert (document["status"], document["type"]) == (status, f"urn:agent-factory:problem:{code}")
    assert document["instance"] == f"/api/v1/faults/{kind}"
    assert {"title", "detail"} < set(document)
    assert b"internal words" not in response.content


def test_exception__unexpected__carries_the_request_id_and_is_logged_with_its_stack(
    quiet: Client, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {**bearer(new_key()), "X-Request-ID": "caller-4711"}

    response = quiet.get("/api/v1/faults/fault", headers=headers)

    assert response.json()["correlation_id"] == response["X-Request-ID"] == "caller-4711"
    lines = [formatter("json").format(record) for record in caplog.records if record.levelname == "ERROR"]
    assert len(lines) == 1
    line = json.loads(lines[0])
    assert line["request_id"] == "caller-4711"
    assert line["exception"].endswith("RuntimeError: internal words")


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/nothing", "/api/v1/nothing/", "/api/v2/things", "/api/%ff"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_address__not_served__is_404_without_redirect(client: Client, path: str, method: str, debug: bool) -> None:
    with override_settings(DEBUG=debug):
        response = getattr(client, method)(path)

    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM)


def test_method__not_served__is_405_with_allow(client: Client) -> None:
    response = client.delete("/api/v1/things", headers=bearer(new_key()))

    assert (response.status_code, response["Content-Type"]) == (405, PROBLEM)
    assert response["Allow"] == "GET, POST, HEAD, OPTIONS"


@pytest.mark.parametrize("debug", [False, True])
def test_host__unknown__is_400(client: Client, debug: bool) -> None:
    with override_settings(DEBUG=debug, ALLOWED_HOSTS=["right.example"], SECURE_SSL_REDIRECT=True):
        response = client.get("/api/v1/things", headers={"Host": "wrong.example", **bearer(new_key())})

    assert (response.status_code, response["Content-Type"]) == (400, PROBLEM)
    assert b"wrong.example" not in response.content


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("application/json", 200),
        ("text/html, */*;q=0.1", 200),
        ("application/*", 200),
        ("text/html", 406),
        ("application/json;q=0", 406),
    ],
)
def test_accept__excludes_json__is_406(client: Client, accept: str, status: int) -> None:
    response = client.get("/api/v1/things", headers={"Accept": accept, **bearer(new_key())})

    assert response.status_code == status
    assert response["Content-Type"] == (PROBLEM if status == 406 else "application/json")


@pytest.mark.parametrize("path", ["/api/v1/things", "/api/v1/things/"])
def test_trailing_slash__post__is_served_without_redirect(client: Client, path: str) -> None:
    response = client.post(path, b'{"title": "a"}', "application/json", headers=bearer(new_key()))

    assert response.status_code == 201


def test_page__not_found__stays_a_page(client: Client) -> None:
    response = client.get("/nothing")

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/html")


UNREACHABLE = """
import json, django
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
answer = client.get("/api/v1/whoami", headers={"Authorization": "Bearer af_abcdefgh_" + "x" * 43})
page = client.get("/admin/", headers={"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"})
alive = client.get("/healthz")
ready = client.get("/readyz")
print(json.dumps([answer.status_code, dict(answer.headers), answer.json(), page.status_code,
                  alive.status_code, ready.status_code, ready.json()]))
"""


@pytest.mark.processes
@pytest.mark.parametrize("url", ["postgres://nobody@127.0.0.1:9/none", "sqlite:////nonexistent/folder/db.sqlite3"])
def test_database__unreachable__is_503_that_can_be_retried(url: str, tmp_path: Any) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": url,
        "DATABASE_POOL_TIMEOUT_SECONDS": "1",
        "DATA_DIR": str(tmp_path),
        "ALLOWED_HOSTS": "testserver",
        "ENV_FILE": os.devnull,
    }
    command = [sys.executable, "-c", UNREACHABLE]
    done = subprocess.run(
        command, env=environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120, check=False
    )

    assert done.returncode == 0, done.stderr
    status, headers, document, page, alive, ready, checks = json.loads(done.stdout.splitlines()[-1])
    assert (status, headers["Content-Type"], headers["Retry-After"]) == (503, PROBLEM, "5")
    assert document["type"] == "urn:agent-factory:problem:database_unavailable"
    assert (page, alive, ready) == (503, 200, 503)
    assert {check["name"]: check["status"] for check in checks["checks"]}["database"] == "failed"
