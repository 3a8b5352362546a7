"""Rules, heartbeats and runbooks over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Alert, AlertRule, Heartbeat
from alerts.services import evaluation
from alerts.tests.ruling import NAME, Told, alone, offered
from core.models import AuditEntry
from core.tests.api import bearer, new_key

pytestmark = pytest.mark.django_db
BASE = "/api/v1/alerts/"
PARAMETERS = {"metric": NAME, "comparison": ">", "threshold": "10", "window_seconds": 60}
RULE = {"name": "Too much", "kind": "threshold", "parameters": PARAMETERS, "severity": "high"}


class Api:
    """Calls the API with one key."""

    def __init__(self, *scopes: str) -> None:
        self._headers = bearer(new_key(*(scopes or ("alerts:read", "alerts:write", "alerts:admin"))))
        self._client = Client()

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        given = {**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self._client.generic(method, BASE + path, content, content_type="application/json", headers=given)


@pytest.fixture
def told() -> Iterator[Told]:
    with offered(Told()) as metric:
        alone()
        yield metric


def _made(api: Api, **values: object) -> dict[str, Any]:
    response = api("POST", "rules", {**RULE, **values})
    assert response.status_code == 201, response.content
    made: dict[str, Any] = response.json()
    return made


def _errors(response: Any) -> dict[str, str]:
    return {error["pointer"]: error["code"] for error in response.json()["errors"]}


def test_rule__made__is_stored_with_all_its_parameters_and_audited(told: Told) -> None:
    made = _made(Api())

    rule = AlertRule.objects.get(pk=made["id"])
    assert (made["slug"], rule.parameters["aggregate"], rule.parameters["threshold"]) == ("too-much", "sum", "10")
    assert AuditEntry.objects.get(action="alert_rule.created").subject_id == made["id"]


def test_rule__made_twice_under_one_idempotency_key__is_one(told: Told) -> None:
    api = Api()

    first, second = (api("POST", "rules", RULE, Idempotency_Key="k-1") for _ in range(2))

    assert (first.json(), second["Idempotent-Replayed"]) == (second.json(), "true")
    assert AlertRule.objects.count() == 1


@pytest.mark.parametrize(
    ("parameters", "pointer", "code"),
    [
        ({**PARAMETERS, "metric": "test.valu"}, "/parameters/metric", "not_found"),
        ({**PARAMETERS, "labels": {"model": "x"}}, "/parameters/labels/model", "not_a_choice"),
        ({**PARAMETERS, "by": ["model"]}, "/parameters/by/0", "not_a_choice"),
        ({**PARAMETERS, "comparison": "=>"}, "/parameters/comparison", "not_a_choice"),
        ({**PARAMETERS, "threshold": "much"}, "/parameters/threshold", "wrong_format"),
        ({**PARAMETERS, "window_seconds": 1}, "/parameters/window_seconds", "min_value"),
        ({**PARAMETERS, "treshold": 1}, "/parameters/treshold", "unknown_field"),
        ({"metric": NAME}, "/parameters/threshold", "required"),
    ],
)
def test_rule__impossible_parameters__are_named_and_nothing_is_made(
    told: Told, parameters: dict[str, object], pointer: str, code: str
) -> None:
    response = Api()("POST", "rules", {**RULE, "parameters": parameters})

    assert (response.status_code, _errors(response)) == (422, {pointer: code})
    assert AlertRule.objects.count() == 0


def test_rule__burn_rate_that_can_never_fire__is_refused(told: Told) -> None:
    parameters = {"bad": NAME, "total": NAME, "objective": "0.9"}

    response = Api()("POST", "rules", {**RULE, "kind": "burn_rate", "parameters": parameters})

    assert _errors(response) == {"/parameters/pairs/0/factor": "max_value"}
    assert "the burn rate is 10" in response.json()["detail"]


def test_rule__change_of_a_metric_without_a_past__is_refused() -> None:
    with offered(Told(kind="state")):
        response = Api()("POST", "rules", {**RULE, "kind": "change", "parameters": {"metric": NAME, "threshold": 1}})

    assert _errors(response) == {"/parameters/metric": "invalid"}


def test_rule__changed_under_an_old_revision__is_refused(told: Told) -> None:
    api = Api()
    made = _made(api)
    address = f"rules/{made['id']}"
    assert api("PATCH", address, {"for_seconds": 60, "revision": 1}).json()["revision"] == 2

    response = api("PATCH", address, {"for_seconds": 90, "revision": 1})

    assert (response.status_code, AlertRule.objects.get().for_seconds) == (409, 60)


def test_rule__tested__says_what_it_finds_and_tells_nobody(told: Told) -> None:
    api = Api()
    made = _made(api)
    told.say(one=11, two=3)

    found = api("POST", f"rules/{made['id']}/test", {}).json()
    stricter = api("POST", f"rules/{made['id']}/test", {"parameters": {**PARAMETERS, "threshold": 1}}).json()

    assert [(one["labels"], one["value"], one["active"]) for one in found["found"]] == [
        ({"agent": "one"}, "11", True),
        ({"agent": "two"}, "3", False),
    ]
    assert (stricter["active_count"], Alert.objects.count()) == (2, 0)


def test_rule__backtested__says_how_often_it_would_have_fired(told: Told) -> None:
    api = Api()
    made = _made(api)

    found = api("POST", f"rules/{made['id']}/backtest", {"days": 7}).json()

    assert (found["fired_count"], found["resolution_seconds"]) == (0, 300)
    assert found["summary"] == "would not have fired in the last 7 days."


def test_rule__backtest_takes_too_long__becomes_a_job(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    api = Api()
    made = _made(api)
    monkeypatch.setattr("alerts.api.rule_views.BACKTEST_SECONDS", -1.0)

    started = api("POST", f"rules/{made['id']}/backtest", {})
    refused = api("POST", f"rules/{made['id']}/backtest", {"parameters": {**PARAMETERS, "threshold": 1}})

    assert (started.status_code, started.json()["status"]) == (202, "started")
    assert (refused.status_code, refused.json()["type"].endswith(":too_long")) == (422, True)


def test_rule__deleted__resolves_its_alerts(told: Told) -> None:
    api = Api()
    made = _made(api)
    told.say(one=11)
    evaluation.run(timezone.now())

    assert api("DELETE", f"rules/{made['id']}").status_code == 204

    assert Alert.objects.get().state == "resolved"


def test_rule__key_may_only_read__cannot_make_one(told: Told) -> None:
    response = Api("alerts:read")("POST", "rules", RULE)

    assert (response.status_code, AlertRule.objects.count()) == (403, 0)


def test_heartbeat__beats__is_counted_and_missed_when_it_stops() -> None:
    alone()
    api = Api()
    api("POST", "heartbeats", {"name": "nightly"})
    parameters = {"heartbeats": ["nightly"], "silent_seconds": 600}
    _made(api, name="Nightly import", kind="heartbeat", parameters=parameters)
    now = timezone.now()
    evaluation.run(now)
    assert Alert.objects.count() == 0

    beaten = Api("alerts:write")("POST", "heartbeats/nightly").json()
    evaluation.run(now + timedelta(minutes=30))

    assert (beaten["beats"], Heartbeat.objects.get().beats) == (1, 1)
    assert Alert.objects.get().labels["heartbeat"] == "nightly"


def test_heartbeat__nobody_made_it__is_404() -> None:
    assert Api()("POST", "heartbeats/unknown").status_code == 404


def test_runbook__changed__has_its_next_version(told: Told) -> None:
    api = Api()
    api("POST", "runbooks", {"title": "Pump is dry", "text": "# Look", "checklist": ["Open the tap"]})

    changed = api("PATCH", "runbooks/pump-is-dry", {"checklist": ["Open the tap", " Wait "]}).json()

    assert (changed["version"], changed["text"], changed["checklist"]) == (2, "# Look", ["Open the tap", "Wait"])
    assert api("PATCH", "runbooks/pump-is-dry", {"text": "x", "version": 1}).status_code == 409


def test_runbook__named_by_a_rule__goes_with_its_alerts(told: Told) -> None:
    api = Api()
    api("POST", "runbooks", {"title": "Pump is dry"})
    _made(api, runbook="pump-is-dry", annotations={"say": "{{ value }} of {{ labels.agent }}"})
    told.say(one=11)

    evaluation.run(timezone.now())

    annotations = Alert.objects.get().annotations
    assert annotations["say"] == "11 of one"
    assert annotations["runbook_url"].startswith("/admin/alerts/runbook/")
