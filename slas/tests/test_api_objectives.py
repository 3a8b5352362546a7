"""Objectives over HTTP: made, fed, asked, changed, refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from core.tests.api import bearer, new_key
from slas.models import Sli, SliBucket, SloRevision

pytestmark = pytest.mark.django_db
URL = "/api/v1/slas"


@pytest.fixture
def api() -> Any:
    client, headers = Client(), bearer(new_key("slas:read", "slas:write", "slas:admin"))

    def call(method: str, path: str, body: Any = None, **more: str) -> Any:
        data = None if body is None else json.dumps(body)
        return getattr(client, method)(f"{URL}{path}", data, "application/json", headers={**headers, **more})

    return call


def made(api: Any, **changes: Any) -> tuple[str, str]:
    """Make a service, an indicator and an objective; return the keys of the last two."""
    assert api("post", "/services", {"slug": "answers", "name": "Answers"}).status_code == 201
    sli = api("post", "/slis", {"service": "answers", "slug": "ok", "name": "Success", "kind": "ratio"}).json()
    body = {"service": "answers", "slug": "ok", "name": "Success", "target": "0.99", "sli_id": sli["sli_id"], **changes}
    return sli["sli_id"], api("post", "/slos", body).json()["slo_id"]


def events(good: int, bad: int, minutes_ago: int = 2) -> list[dict[str, Any]]:
    at = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()
    return [{"at": at, "good": number < good} for number in range(good + bad)]


def test_slo__before_any_event__has_no_data_and_no_figure(api: Any) -> None:
    _, slo = made(api)

    found = api("get", f"/slos/{slo}/status").json()

    assert found["state"] == "no_data"
    assert [found[name] for name in ("sli", "consumed", "remaining", "budget")] == [None] * 4


def test_events__sent_twice_under_one_key__count_once_and_burn(api: Any) -> None:
    sli, slo = made(api)
    batch = events(95, 5)

    answers = [api("post", f"/slis/{sli}/events", {"events": batch}, **{"Idempotency-Key": "b1"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1].headers["Idempotent-Replayed"] == "true"
    found = api("get", f"/slos/{slo}/status").json()
    assert (found["state"], found["good"], found["total"]) == ("exhausted", 95, 100)
    assert (found["sli"], found["consumed"], found["remaining"], found["budget"]) == ("0.95", "5", "-4", "1")
    burn = api("get", f"/slos/{slo}/burn").json()
    assert {rate["burn_rate"] for rate in burn["rates"]} == {"5"}
    assert [(pair["factor"], pair["firing"]) for pair in burn["pairs"]] == [
        ("14.4", False), ("6", False), ("3", True), ("1", False),
    ]  # fmt: skip


def test_events__some_bad_some_late__are_named_one_by_one(api: Any) -> None:
    sli, _ = made(api)
    late = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    batch = [
        *events(1, 0),
        {"at": late, "good": True},
        {"at": "noon", "good": True},
        {"at": late},
        {"at": late, "x": 1},
    ]

    answer = api("post", f"/slis/{sli}/events", batch)

    assert answer.status_code == 207
    body = answer.json()
    assert (body["recorded"], body["late"], body["rejected"]) == (1, 2, 2)
    assert [item["status"] for item in body["items"]] == ["recorded", "late", "rejected", "late", "rejected"]
    assert Sli.objects.get(pk=sli).late_dropped == 2


def test_events__more_than_10000__are_refused_whole(api: Any) -> None:
    sli, _ = made(api)

    answer = api("post", f"/slis/{sli}/events", [{"at": "2026-01-01T00:00:00Z", "good": True}] * 10_001)

    assert answer.status_code == 413
    assert not SliBucket.objects.exists()


def test_ready_sums__count_as_that_many_events(api: Any) -> None:
    sli, slo = made(api)
    at = (datetime.now(UTC) - timedelta(minutes=2)).isoformat()

    answer = api(
        "post", f"/slis/{sli}/events", [{"at": at, "good": 990, "total": 1000}, {"at": at, "good": 3, "total": 2}]
    )

    assert [item["status"] for item in answer.json()["items"]] == ["recorded", "rejected"]
    assert api("get", f"/slos/{slo}/status").json()["total"] == 1000


def test_slo__with_a_new_target__gets_a_revision(api: Any) -> None:
    _, slo = made(api)

    answer = api("patch", f"/slos/{slo}", {"target": "0.999", "reason": "we can do better"})

    assert (answer.status_code, answer.json()["revision"], answer.json()["target"]) == (200, 2, "0.999")
    assert [row.terms["target"] for row in SloRevision.objects.filter(slo__id=slo).order_by("number")] == [
        "0.99", "0.999",
    ]  # fmt: skip


def test_slo__whose_factor_can_never_fire__is_refused_with_the_reason(api: Any) -> None:
    made(api)
    sli = Sli.objects.get()
    pairs = {"pairs": [{"long_minutes": 60, "factor": "14.4"}]}
    body = {"service": "answers", "slug": "x", "name": "X", "target": "0.9", "sli_id": str(sli.pk), "alerting": pairs}

    answer = api("post", "/slos", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/alerting/pairs/0"
    assert "take at most 8" in answer.json()["detail"]


def test_templates__for_a_service__make_all_seven_or_none(api: Any) -> None:
    service = api("post", "/services", {"slug": "agent", "name": "Agent"}).json()["service_id"]
    keys = [item["key"] for item in api("get", "/templates").json()["templates"]]

    answer = api("post", f"/services/{service}/templates", {"templates": keys, "targets": {"latency": "0.99"}})

    assert answer.status_code == 201
    targets = {slo["slug"]: slo["target"] for slo in answer.json()["slos"]}
    assert len(targets) == 7
    assert (targets["latency"], targets["task-success"]) == ("0.99", "0.95")
    again = api("post", f"/services/{service}/templates", {"templates": ["latency"]})
    assert (again.status_code, Sli.objects.count()) == (409, 7)


def test_freezes__before_a_deployment__say_whether_it_may_go_ahead(api: Any) -> None:
    steps = [{"consumed_from": "1", "action": "freeze", "message": "Only fixes"}]
    assert api("post", "/policies", {"slug": "strict", "name": "Strict", "steps": steps}).status_code == 201
    sli, slo = made(api, policy="strict")
    before = api("get", "/freezes?service=answers").json()

    api("post", f"/slis/{sli}/events", events(90, 10))
    api("patch", f"/slos/{slo}", {"name": "Success!"})

    assert before == {"frozen": False, "approval_required": False, "freezes": []}
    found = api("get", "/freezes?service=answers").json()
    assert found["frozen"] is True
    assert [(item["slo"], item["consumed"], item["message"]) for item in found["freezes"]] == [
        ("ok", "10", "Only fixes")
    ]
    assert api("get", "/freezes?service=another").json()["frozen"] is False


def test_exclusion__of_the_past__waits_for_a_second_person(api: Any) -> None:
    made(api)
    begin = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=2)
    body = {"starts_at": begin.isoformat(), "ends_at": (begin + timedelta(hours=1)).isoformat(),
            "category": "planned", "reason": "database move", "service": "answers"}  # fmt: skip

    answer = api("post", "/exclusions", body)

    assert answer.status_code == 201
    assert (answer.json()["in_force"], answer.json()["approved_by"]) == (False, "")


def test_exclusion__with_seconds__is_refused(api: Any) -> None:
    made(api)
    begin = datetime.now(UTC) + timedelta(days=1)
    body = {"starts_at": begin.replace(second=7).isoformat(), "ends_at": (begin + timedelta(hours=1)).isoformat(),
            "category": "planned", "reason": "x"}  # fmt: skip

    answer = api("post", "/exclusions", body)

    assert answer.status_code == 422
    assert "whole_minutes" in {error["code"] for error in answer.json()["errors"]}
