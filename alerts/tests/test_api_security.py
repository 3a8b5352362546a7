"""Security events, detection and automation rules over the API."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.api.security_views import AUTOMATION, DETECTION
from alerts.models import AutomationRule, DetectionRule
from alerts.tests.guarding import HOME, told
from alerts.tests.test_automation import alert
from core.apikeys import create_key
from core.models import AuditEntry
from core.tests.api import bearer, new_key
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db
BASE = "/api/v1/alerts"


def _send(method: str, path: str, body: Any = None, *, key: Any = None, client: Client | None = None) -> Any:
    headers = bearer(key) if key else {}
    data = {"data": json.dumps(body), "content_type": "application/json"} if body is not None else {}
    return getattr(client or Client(), method)(f"{BASE}/{path}", headers=headers, **data)


@pytest.fixture
def reader() -> Any:
    return new_key("security:read")


@pytest.fixture
def officer() -> Any:
    """A key of somebody who may change keys and rules."""
    owner = person("sam", roles=("security_admin", "operations"))
    return create_key("rules", scopes=["security:read", "alerts:admin"], now=timezone.now(), owner=owner)


def test_events__filtered__are_those_that_match(reader: Any, now: datetime) -> None:
    told("login", now, outcome="failure")
    event = told("login", now)
    told("logout", now)

    items = _send("get", f"security-events?kind=login&outcome=success&address={HOME}", key=reader).json()["items"]

    assert [item["id"] for item in items] == [event.pk]
    assert (items[0]["actor"], items[0]["network"]) == ("maria", "198.51.100.0/24")
    assert _send("get", f"security-events/{event.pk}", key=reader).json()["kind"] == "login"
    assert _send("get", "security-events?since=2026-03-19", key=reader).status_code == 200
    assert _send("get", "security-events?user=maria", key=reader).status_code == 400


def test_events__by_a_bound_key__are_403(now: datetime) -> None:
    key = new_key("security:read", entity=("agent", "a"))

    assert _send("get", "security-events", key=key).status_code == 403


def test_detection_rule__made_changed_and_deleted__is_audited(officer: Any) -> None:
    made = _send("post", "detection-rules", DETECTION, key=officer)
    changed = _send("patch", "detection-rules/many-exports", {"severity": "low"}, key=officer)

    assert (made.status_code, made["Location"]) == (201, "http://testserver/api/v1/alerts/detection-rules/many-exports")
    assert changed.json()["severity"] == "low"
    assert changed.json()["parameters"]["threshold"] == 5
    assert _send("delete", "detection-rules/many-exports", key=officer).status_code == 204
    actions = AuditEntry.objects.filter(subject_type="alerts.detectionrule").order_by("pk")
    assert [entry.action for entry in actions] == [f"detectionrule.{verb}" for verb in ("added", "changed", "deleted")]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"kind": "value_count"}, 422),
        ({"parameters": {"steps": []}}, 422),
        ({"parameters": {"steps": [{"kinds": ["login"]}], "windows": 5}}, 400),
        ({"kind": "guess"}, 422),
    ],
)
def test_detection_rule__senseless__is_refused(officer: Any, change: dict[str, Any], status: int) -> None:
    assert _send("post", "detection-rules", {**DETECTION, **change}, key=officer).status_code == status
    assert not DetectionRule.objects.filter(slug="many-exports").exists()


def test_detection_rule__built_in__is_switched_off_and_not_deleted(officer: Any) -> None:
    assert _send("delete", "detection-rules/mass-export", key=officer).status_code == 409
    off = _send("patch", "detection-rules/mass-export", {"enabled": False}, key=officer)

    assert (off.json()["enabled"], off.json()["is_default"]) == (False, True)


def test_automation_rule__made__is_a_dry_run_and_can_be_tried(officer: Any, now: datetime) -> None:
    made = _send("post", "automation-rules", AUTOMATION, key=officer).json()
    key = create_key("agent", scopes=["costs:read"], now=now).key
    alert(now, "key-spend-jump", api_key=key.prefix)
    alert(now, "key-spend-jump")

    tried = _send("post", f"automation-rules/{made['rule_id']}/test", key=officer).json()

    assert (made["dry_run"], made["created_by"]) == (True, str(officer.key))
    assert tried["matching"] == 2
    assert {item["would"] or item["refused"] for item in tried["trials"]} == {
        f"would suspend {key}",
        "the alert has no label api_key",
    }
    changed = _send("patch", f"automation-rules/{made['rule_id']}", {"dry_run": False}, key=officer)
    assert changed.json()["dry_run"] is False
    assert _send("get", "automation-runs?outcome=done", key=officer).json()["items"] == []
    assert _send("delete", f"automation-rules/{made['rule_id']}", key=officer).status_code == 204


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"action": "core.explode"}, "/action"),
        ({"arguments": {}}, "/arguments/key"),
        ({"arguments": {"key": "x", "lock": "y"}}, "/arguments/lock"),
        ({"matchers": [{"name": "a", "op": "=~", "value": "("}]}, "/matchers/0/value"),
    ],
)
def test_automation_rule__senseless__is_422_with_the_place(officer: Any, change: dict[str, Any], pointer: str) -> None:
    answer = _send("post", "automation-rules", {**AUTOMATION, **change}, key=officer)

    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert not AutomationRule.objects.exists()
    if pointer == "/action":
        assert "core.suspend_key" in answer.json()["detail"]


def test_automation_rule__by_somebody_who_may_not_do_it_by_hand__is_403() -> None:
    owner = person("ops", roles=("operations",))
    key = create_key("rules", scopes=["alerts:admin"], now=timezone.now(), owner=owner)

    answers = [
        _send("post", "automation-rules", AUTOMATION, key=key),
        _send("post", "automation-rules", AUTOMATION, key=new_key("alerts:admin")),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "core.change_apikey" in answers[0].json()["detail"]
    assert not AutomationRule.objects.exists()


@pytest.mark.parametrize(("job", "status"), [("core.export_list", 201), ("costs.reprice", 403), ("no.such", 422)])
def test_automation_rule__that_starts_a_job__takes_who_may_start_it(job: str, status: int) -> None:
    owner = person("ops", roles=("operations",))
    key = create_key("rules", scopes=["alerts:admin"], now=timezone.now(), owner=owner)
    body = {**AUTOMATION, "action": "core.start_job", "arguments": {"job": job}}

    assert _send("post", "automation-rules", body, key=key).status_code == status


def test_events__of_a_person__need_the_role() -> None:
    assert _send("get", "security-events", client=signed_in(person("au", roles=("auditor",)))).status_code == 200
    assert _send("get", "security-events", client=signed_in(person("fi", roles=("finance",)))).status_code == 403
