"""Schedules, policies, contact methods and calendars over the API."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from icalendar import Calendar

from alerts.models import CalendarFeed, ContactMethod, EscalationPolicy, OnCallSchedule
from alerts.tests.incident_case import channel, pageable, policy, schedule
from core.apikeys import create_key
from core.tests.api import bearer, new_key
from core.tests.people import person

pytestmark = pytest.mark.django_db
BASE = "/api/v1/alerts"
BERLIN = {"slug": "berlin", "name": "Berlin", "time_zone": "Europe/Berlin"}


@pytest.fixture
def headers() -> dict[str, str]:
    return bearer(new_key("alerts:read", "alerts:write", "alerts:admin", "incidents:read"))


def _send(client: Client, method: str, path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    return client.generic(method, f"{BASE}{path}", json.dumps(body), content_type="application/json", headers=headers)


def _rotation(*members: str) -> dict[str, Any]:
    return {"name": "main", "kind": "daily", "starts_at": "2026-03-02T09:00:00+01:00", "members": list(members)}


def test_schedule__made_read_changed_deleted(client: Client, headers: dict[str, str]) -> None:
    pageable("ada")
    pageable("grace")
    span = {"from": "Mon 09:00", "to": "Fri 17:00"}
    body = {**BERLIN, "rotations": [{**_rotation("ada", "grace"), "restrictions": [span]}]}

    made = _send(client, "POST", "/schedules", body, headers)
    address = f"/schedules/{made.json()['id']}"
    changed = _send(client, "PATCH", address, {"rotations": [_rotation("grace")]}, headers)
    gone = _send(client, "DELETE", address, {}, headers)

    assert made.status_code == 201
    assert made.json()["rotations"][0]["restrictions"] == [span]
    assert [rotation["members"] for rotation in changed.json()["rotations"]] == [["grace"]]
    assert gone.status_code == 204
    assert not OnCallSchedule.objects.filter(slug="berlin").exists()


def test_schedule__unknown_member__is_named_at_its_place(client: Client, headers: dict[str, str]) -> None:
    refused = _send(client, "POST", "/schedules", {**BERLIN, "rotations": [_rotation("nobody")]}, headers)

    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/rotations/0/members/0")


def test_oncall_and_final__over_the_spring_change__agree(client: Client, headers: dict[str, str]) -> None:
    pageable("ada")
    pageable("grace")
    made = _send(client, "POST", "/schedules", {**BERLIN, "rotations": [_rotation("ada", "grace")]}, headers).json()
    address = f"{BASE}/schedules/{made['id']}"

    final = client.get(f"{address}/final?start=2026-03-28&end=2026-03-30", headers=headers).json()
    at = client.get(f"{address}/oncall?at=2026-03-29T07:00:00Z", headers=headers).json()

    assert [(item["start"], item["user"]) for item in final["items"]] == [
        ("2026-03-27T23:00:00Z", "grace"), ("2026-03-28T08:00:00Z", "ada"), ("2026-03-29T07:00:00Z", "grace"),
    ]  # fmt: skip
    assert final["complaints"] == []
    assert at["user"] == "grace"


@pytest.mark.parametrize("span", ["start=2026-03-02&end=2026-03-01", "start=2026-01-01&end=2028-01-01"])
def test_final__senseless_span__is_422(client: Client, headers: dict[str, str], span: str, now: datetime) -> None:
    found = schedule(now, pageable("ada"))

    assert client.get(f"{BASE}/schedules/{found.pk}/final?{span}", headers=headers).status_code == 422


def test_override__given_listed_and_taken_back(client: Client, headers: dict[str, str]) -> None:
    now = timezone.now()
    found = schedule(now, pageable("ada"))
    pageable("eve")
    body = {
        "user": "eve", "starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=1)).isoformat(), "reason": "x",
    }  # fmt: skip

    made = _send(client, "POST", f"/schedules/{found.pk}/overrides", body, headers).json()
    at = client.get(f"{BASE}/schedules/{found.pk}/oncall", headers=headers).json()
    listed = client.get(f"{BASE}/schedules/{found.pk}/overrides", headers=headers).json()["items"]
    gone = _send(client, "DELETE", f"/schedules/{found.pk}/overrides/{made['id']}", {}, headers)

    assert (at["user"], at["source"]) == ("eve", "override")
    assert [item["id"] for item in listed] == [made["id"]]
    assert gone.status_code == 204
    assert client.get(f"{BASE}/schedules/{found.pk}/oncall", headers=headers).json()["user"] == "ada"


def test_fairness__of_two_days__adds_up(client: Client, headers: dict[str, str], now: datetime) -> None:
    found = schedule(now, pageable("ada"), pageable("grace"))

    shown = client.get(f"{BASE}/schedules/{found.pk}/fairness?start=2026-03-20&end=2026-03-22", headers=headers).json()[
        "items"
    ]

    assert sum(item["hours"] for item in shown) == 48
    assert {item["user"] for item in shown} == {"ada", "grace"}


def test_calendar__of_a_schedule__has_a_turn_of_each_day(client: Client, headers: dict[str, str]) -> None:
    found = schedule(timezone.now(), pageable("ada"), pageable("grace"))

    answer = client.get(f"{BASE}/schedules/{found.pk}/ical", headers=headers)

    events = Calendar.from_ical(answer.content).walk("VEVENT")
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert {str(event["summary"]) for event in events} == {"ada on call: Operations", "grace on call: Operations"}
    assert len({str(event["uid"]) for event in events}) == len(events) > 100


def test_feed__secret_address__needs_no_session_and_ends_with_the_next(client: Client) -> None:
    ada = pageable("ada")
    schedule(timezone.now(), ada, pageable("grace"))
    own = bearer(create_key("ada's", scopes=["alerts:read"], now=timezone.now(), owner=ada))

    first = _send(client, "POST", "/calendar-feeds", {}, own).json()["address"]
    read = Client().get(first)
    second = _send(client, "POST", "/calendar-feeds", {}, own).json()["address"]

    names = {str(event["summary"]) for event in Calendar.from_ical(read.content).walk("VEVENT")}
    assert names == {"ada on call: Operations"}
    assert first.rsplit("=", 1)[1] not in CalendarFeed.objects.get().digest
    assert [Client().get(address).status_code for address in (first, second)] == [404, 200]


def test_feed__of_an_inactive_account__opens_nothing(client: Client) -> None:
    ada = pageable("ada")
    own = bearer(create_key("ada's", scopes=["alerts:read"], now=timezone.now(), owner=ada))
    address = _send(client, "POST", "/calendar-feeds", {}, own).json()["address"]

    User.objects.filter(pk=ada.pk).update(is_active=False)

    assert Client().get(address).status_code == 404


def test_policy__made_replaced_and_deleted(client: Client, headers: dict[str, str], now: datetime) -> None:
    pageable("ada")
    channel(now, "chat")
    steps = [{"user": "ada", "wait_minutes": 3}, {"channel": "chat"}]

    made = _send(client, "POST", "/escalation-policies", {"name": "P", "steps": steps, "is_default": True}, headers)
    address = f"/escalation-policies/{made.json()['id']}"
    changed = _send(client, "PUT", address, {"name": "P", "steps": steps[1:], "repeats": 2}, headers)

    assert made.status_code == 201
    assert EscalationPolicy.objects.filter(is_default=True).count() == 0
    assert (changed.json()["repeats"], [step["channel"] for step in changed.json()["steps"]]) == (2, ["chat"])
    assert _send(client, "DELETE", address, {}, headers).status_code == 204


@pytest.mark.parametrize("step", [{}, {"user": "ada", "channel": "chat"}, {"user": "nobody"}])
def test_policy__step_that_tells_nobody_or_two__is_422(
    client: Client, headers: dict[str, str], step: dict[str, str]
) -> None:
    pageable("ada")

    refused = _send(client, "POST", "/escalation-policies", {"name": "P", "steps": [step]}, headers)

    assert refused.status_code == 422
    assert not EscalationPolicy.objects.filter(name="P").exists()


def test_schedule__in_a_policy__cannot_be_deleted(client: Client, headers: dict[str, str], now: datetime) -> None:
    found = schedule(now, pageable("ada"))
    policy(found)

    assert _send(client, "DELETE", f"/schedules/{found.pk}", {}, headers).status_code == 409


def test_contact_methods__are_ones_own(client: Client) -> None:
    ada, other = person("ada"), pageable("grace")
    own = bearer(create_key("ada's", scopes=["alerts:read"], now=timezone.now(), owner=ada))

    made = _send(client, "POST", "/contact-methods", {"address": "a@example.org", "delay_minutes": 5}, own)
    foreign = ContactMethod.objects.get(user=other)
    touched = _send(client, "PATCH", f"/contact-methods/{foreign.pk}", {"enabled": False}, own)
    listed = client.get(f"{BASE}/contact-methods", headers=own).json()["items"]

    assert made.status_code == 201
    assert touched.status_code == 404
    assert [item["address"] for item in listed] == ["a@example.org"]


def test_contact_method__that_cannot_be_reached__is_422(client: Client) -> None:
    own = bearer(create_key("ada's", scopes=["alerts:read"], now=timezone.now(), owner=person("ada")))

    wrong = _send(client, "POST", "/contact-methods", {"address": "not an address"}, own)
    plain = _send(client, "POST", "/contact-methods", {"kind": "slack", "address": "http://example.org"}, own)

    assert [answer.json()["errors"][0]["pointer"] for answer in (wrong, plain)] == ["/address", "/address"]
    assert not ContactMethod.objects.exists()


def test_key_without_owner__has_no_contact_methods(client: Client, headers: dict[str, str]) -> None:
    assert client.get(f"{BASE}/contact-methods", headers=headers).status_code == 403
