"""Alerts and silences over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.choices import AlertState
from alerts.models import Alert, Silence
from alerts.tests.routing_case import alert, report, send
from core.models import AuditEntry
from core.tests.api import bearer, new_key

pytestmark = pytest.mark.django_db
BASE = "/api/v1/alerts"


@pytest.fixture
def ask() -> Any:
    key = new_key("alerts:read", "alerts:write", "alerts:admin")

    def request(method: str, path: str, body: object = None, **headers: str) -> Any:
        options = {"content_type": "application/json", "headers": {**bearer(key), **headers}}
        return getattr(Client(), method)(f"{BASE}/{path}", *([body] if body is not None else []), **options)

    return request


def test_instances__filtered_by_matchers__newest_first(ask: Any) -> None:
    # given
    now = timezone.now()
    send(now, report("Disk", at=now, host="a"), report("Disk", at=now, host="b"), report("Cpu", at=now))
    # when
    found = ask("get", 'instances?filter=alertname="Disk",host=~"b|c"&severity=high').json()
    # then
    assert [(item["name"], item["labels"]["host"]) for item in found["items"]] == [("Disk", "b")]
    assert found["next"] is None


def test_instances__matcher_that_is_none__422_with_pointer(ask: Any) -> None:
    # when
    refused = ask("get", "instances?filter=nonsense")
    # then
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/filter"


def test_instance__acknowledged__owner_reason_and_end_on_record(ask: Any) -> None:
    # given
    now = timezone.now()
    send(now, report(at=now))
    path = f"instances/{alert().pk}/ack"
    # when
    done = ask("post", path, {"reason": "on it", "seconds": 3600, "owner": "maria"})
    shown = ask("get", f"instances/{alert().pk}").json()
    # then
    assert done.status_code == 200
    assert (shown["state"], shown["acknowledged_by"]) == ("acknowledged", "maria")
    assert [event["kind"] for event in shown["events"]] == ["firing", "acknowledged"]
    assert shown["events"][1]["data"]["reason"] == "on it"
    assert AuditEntry.objects.get(action="alert.acknowledged").reason == "on it"


def test_instance__unacknowledged_when_it_is_not__409_and_nothing_changed(ask: Any) -> None:
    # given
    now = timezone.now()
    send(now, report(at=now))
    # when
    refused = ask("post", f"instances/{alert().pk}/unack", {"reason": "mistake"})
    # then
    assert refused.status_code == 409
    assert alert().seq == 1


def test_instances__resolved_in_bulk__each_says_what_happened(ask: Any) -> None:
    # given
    now = timezone.now()
    send(now, report("A", at=now), report("B", at=now))
    send(now, report("B", at=now, active=False))
    one, two = alert(name="A"), alert(name="B")
    unknown = "00000000-0000-7000-8000-000000000000"
    # when
    done = ask("post", "instances/resolve", {"ids": [str(two.pk), str(one.pk), unknown], "reason": "over"})
    # then
    assert done.json()["results"] == [[str(two.pk), "skipped"], [str(one.pk), "changed"], [unknown, "unknown"]]
    assert not Alert.objects.exclude(state=AlertState.RESOLVED).exists()


def test_silence__made_previewed_changed_ended__as_asked(ask: Any) -> None:
    # given
    now = timezone.now()
    send(now, report("Disk", at=now), report("Cpu", at=now))
    matchers = [{"name": "alertname", "op": "=", "value": "Disk"}]
    body = {"matchers": matchers, "ends_at": (now + timedelta(hours=2)).isoformat(), "comment": "repair"}
    # when
    preview = ask("post", "silences/preview", {"matchers": matchers}).json()
    made = ask("post", "silences", body).json()
    changed = ask("put", f"silences/{made['id']}", {**body, "comment": "longer repair"}).json()
    ended = ask("delete", f"silences/{made['id']}")
    # then
    assert (preview["count"], preview["alerts"][0]["name"]) == (1, "Disk")
    assert (made["state"], changed["id"], changed["comment"]) == ("active", made["id"], "longer repair")
    assert ended.status_code == 204
    assert ask("get", "silences").json()["items"] == []
    assert ask("get", f"silences/{made['id']}").json()["state"] == "expired"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"comment": " "}, "/comment"),
        ({"ends_at": "2020-01-01T00:00:00Z", "starts_at": "2019-01-01T00:00:00Z"}, "/ends_at"),
        ({"matchers": [{"name": "a", "op": "=~", "value": ".*"}]}, "/matchers"),
        ({"matchers": [{"name": "a", "op": "=~", "value": "(?=x)"}]}, "/matchers/0/value"),
        ({"recurrence": "FREQ=WEEKLY"}, "/recurs_until"),
        ({"recurrence": "FREQ=SECONDLY;COUNT=5"}, "/recurrence"),
        ({"time_zone": "Mars/Base"}, "/time_zone"),
    ],
)
def test_silence__senseless__refused_with_a_pointer(ask: Any, change: dict[str, Any], pointer: str) -> None:
    # given
    good = {
        "matchers": [{"name": "alertname", "op": "=", "value": "Disk"}],
        "ends_at": (timezone.now() + timedelta(hours=2)).isoformat(),
        "comment": "repair",
    }
    # when
    refused = ask("post", "silences", {**good, **change})
    # then
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]
    assert not Silence.objects.exists()


def test_silence__recurring__answers_with_the_span_that_comes_next(ask: Any) -> None:
    # given
    start = datetime(2027, 3, 21, 0, 0, tzinfo=UTC)
    body = {
        "matchers": [{"name": "alertname", "op": "=", "value": "Disk"}],
        "starts_at": start.isoformat(),
        "ends_at": (start + timedelta(hours=4)).isoformat(),
        "recurrence": "FREQ=WEEKLY;COUNT=3",
        "time_zone": "Europe/Paris",
        "comment": "Sundays at one",
    }
    # when
    made = ask("post", "silences", body).json()
    # then: the third is after the clocks went forward
    assert (made["state"], made["span_starts_at"]) == ("pending", "2027-03-21T00:00:00Z")
    assert made["over_at"] == "2027-04-04T03:00:00Z"
