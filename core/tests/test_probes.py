"""Alive, ready, metrics: what machines ask, and what they are told."""

from __future__ import annotations

import re
import threading
import time
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from core import metrics_export
from core.health import findings, is_ready
from core.ports import Registry
from core.ports.gauges import Gauge
from core.ports.health import HealthCheck, HealthResult
from core.ports.metrics import Sample
from core.tests.api import bearer, new_key

AWAY = "203.0.113.9"
OK = HealthResult("ok", "fine")


def _check(name: str, run: Any, *, critical: bool = True) -> HealthCheck:
    return HealthCheck(name, "a check", run, critical)


def _fail() -> HealthResult:
    raise RuntimeError("the pump is dry")


def test_alive__asked__answers_without_the_database(client: Client) -> None:
    # pytest-django refuses every query here: the test asks for no database.
    response = client.get("/healthz", REMOTE_ADDR=AWAY)

    assert (response.status_code, response.json()["status"]) == (200, "alive")
    assert "no-cache" in response["Cache-Control"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe__asked_by_address__answers_whatever_the_hosts_are(client: Client, settings: Any, path: str) -> None:
    settings.ALLOWED_HOSTS = ["factory.example"]
    settings.SECURE_SSL_REDIRECT = True

    assert client.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/accounts/login/", headers={"Host": "10.0.0.7:8000"}).status_code == 400


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_probe__post__is_405(client: Client, path: str) -> None:
    assert client.post(path).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_ready__healthy__names_every_check(client: Client) -> None:
    response = client.get("/readyz")

    assert response.status_code == 200
    checks = {check["name"]: check for check in response.json()["checks"]}
    assert {"database", "migrations", "cache", "disk"} <= set(checks)
    assert (checks["database"]["status"], checks["migrations"]["status"]) == ("ok", "ok")
    assert checks["database"]["detail"]


@pytest.mark.django_db(transaction=True)
def test_ready__migration_not_applied__is_503_and_names_it(client: Client) -> None:
    row = MigrationRecorder.Migration.objects.get(app="core", name="0001_initial")
    row.delete()

    response = client.get("/readyz")
    MigrationRecorder.Migration.objects.create(app=row.app, name=row.name, applied=row.applied)

    checks = {check["name"]: check for check in response.json()["checks"]}
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert checks["migrations"]["detail"] == "not applied: core.0001_initial"
    assert checks["migrations"]["cure"] == "run manage.py migrate"
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db(transaction=True)
def test_ready__details__are_for_staff_this_machine_and_token_holders(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = "scrape-me-please"
    staff = Client()
    staff.force_login(User.objects.create_user("ops", is_staff=True))
    person = Client()
    person.force_login(User.objects.create_user("maria"))

    def shows_details(asking: Client, **extra: Any) -> bool:
        return "detail" in asking.get("/readyz", **extra).json()["checks"][0]

    assert not shows_details(client, REMOTE_ADDR=AWAY)
    assert not shows_details(person, REMOTE_ADDR=AWAY)
    assert not shows_details(client, headers={"X-Forwarded-For": "127.0.0.1"})
    assert not shows_details(client, REMOTE_ADDR=AWAY, headers={"Authorization": "Bearer wrong"})
    assert shows_details(staff, REMOTE_ADDR=AWAY)
    assert shows_details(client, REMOTE_ADDR="::1")
    assert shows_details(client, REMOTE_ADDR=AWAY, headers={"Authorization": "Bearer scrape-me-please"})


def test_findings__check_that_raises__is_failed_with_its_words() -> None:
    (found,) = findings([_check("pump", _fail)])

    assert (found.status, found.detail) == ("failed", "RuntimeError: the pump is dry")
    assert not is_ready([found])


def test_findings__only_critical_failures__take_the_process_out_of_service() -> None:
    failed, warned = HealthResult("failed", "no"), HealthResult("warning", "soon")

    assert is_ready(findings([_check("a", lambda: OK), _check("b", lambda: failed, critical=False)]))
    assert is_ready(findings([_check("c", lambda: warned)]))
    assert not is_ready(findings([_check("d", lambda: OK), _check("e", lambda: failed)]))


def test_findings__check_that_hangs__is_given_up_and_not_started_twice() -> None:
    release, started = threading.Event(), []

    def hang() -> HealthResult:
        started.append(1)
        release.wait(20)
        return OK

    checks = [_check("hanging", hang), _check("quick", lambda: OK)]
    begun = time.monotonic()
    first = findings(checks, seconds=0.2)
    second = findings(checks, seconds=0.2)
    spent = time.monotonic() - begun
    release.set()

    assert [found.status for found in first + second] == ["failed", "ok", "failed", "ok"]
    assert first[0].detail == "no answer within 0.2 seconds"
    assert (len(started), spent < 5) == (1, True)


@pytest.mark.django_db
def test_metrics__requests__are_counted_by_route_and_status(client: Client) -> None:
    labels = 'method="GET",route="api-whoami",status="401"'
    before = _value(client, labels)

    client.get("/api/v1/whoami")
    client.get("/api/v1/whoami/")

    assert _value(client, labels) == before + 2
    text = client.get("/metrics").content.decode()
    assert 'http_request_duration_seconds_bucket{le="0.1",method="GET",route="api-whoami"}' in text
    assert "process_resident_memory_bytes" in text


def _value(client: Client, labels: str) -> float:
    text = client.get("/metrics").content.decode()
    found = re.search(rf"^http_requests_total{{{re.escape(labels)}}} (\S+)$", text, re.MULTILINE)
    return float(found.group(1)) if found else 0.0


@pytest.mark.django_db
def test_metrics__paths_and_methods_of_strangers__make_no_series(client: Client) -> None:
    for number in range(3):
        client.get(f"/api/v1/stranger-{number}")
        client.generic(f"VERB{number}", "/nothing")

    text = client.get("/metrics").content.decode()
    assert "stranger" not in text
    assert "VERB" not in text


@pytest.mark.parametrize(
    ("extra", "status"),
    [
        ({"REMOTE_ADDR": "127.0.0.1"}, 200),
        ({"REMOTE_ADDR": AWAY}, 401),
        ({"REMOTE_ADDR": AWAY, "HTTP_AUTHORIZATION": "Bearer scrape-me-please"}, 200),
        ({"REMOTE_ADDR": AWAY, "HTTP_AUTHORIZATION": "Bearer "}, 401),
        ({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, 401),
    ],
)
def test_metrics__who_asks__must_be_here_or_hold_the_token(
    client: Client, settings: Any, extra: dict[str, Any], status: int
) -> None:
    settings.METRICS_TOKEN = "scrape-me-please"

    assert client.get("/metrics", **extra).status_code == status


def test_metrics__no_token_set__opens_to_nobody_from_outside(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = ""

    assert client.get("/metrics", REMOTE_ADDR=AWAY, headers={"Authorization": "Bearer "}).status_code == 401


@pytest.mark.django_db
def test_metrics__api_key__is_not_the_token(client: Client) -> None:
    assert client.get("/metrics", REMOTE_ADDR=AWAY, headers=bearer(new_key())).status_code == 401


def test_gauges__one_fails__the_others_are_shown(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: Registry[Gauge] = Registry("gauges", key=lambda gauge: gauge.name)
    offered.register(Gauge("tank_level", "Level.", ("tank",), lambda _: [Sample({"tank": "a"}, Decimal("1.5"))]))
    offered.register(Gauge("pump_state", "State.", (), lambda _: [Sample({}, Decimal(_fail().detail))]))
    monkeypatch.setattr(metrics_export, "gauges", offered)

    text = client.get("/metrics").content.decode()

    assert 'tank_level{tank="a"} 1.5' in text
    assert 'agent_factory_gauge_failed{gauge="pump_state"} 1.0' in text
    assert 'agent_factory_gauge_failed{gauge="tank_level"} 0.0' in text
