"""The forensic view: both records on one line of time, for people, keys and addresses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import SecurityEvent
from alerts.tests.guarding import ABROAD, HOME, told
from core import audit
from core.apikeys import create_key, rotate_key
from core.context import Actor, Context, acting
from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
PAGE = "/admin/alerts/forensics/"


@pytest.fixture
def client() -> Client:
    return signed_in(person("sam", roles=("security_admin",)))


def _acted(user: Any, action: str, minutes: int, *, subject: tuple[str, str] = ("costs.budget", "b1")) -> None:
    actor = Actor("user", str(user.pk), user.get_username())
    with acting(Context(actor=actor, channel="admin", address=HOME, request_id="req-1", reason="because")):
        audit.record(action, subject, now=timezone.now() - timedelta(minutes=minutes))


def _lines(client: Client, **asked: str) -> list[str]:
    context = client.get(PAGE, asked).context
    return [line.what for line, _ in context["lines"]]


@pytest.fixture
def maria() -> Any:
    user = person("maria")
    told("login", timezone.now() - timedelta(minutes=30), who="maria", outcome="failure")
    SecurityEvent.objects.filter(actor_label="maria")
    _acted(user, "budget.raised", 20)
    _acted(user, "budget.lowered", 10)
    _acted(person("paul"), "user.changed", 5, subject=("auth.user", str(user.pk)))
    return user


def test_person__by_name_or_id__has_both_records_in_order(client: Client, maria: Any) -> None:
    now = timezone.now()
    with acting(Context(actor=Actor("user", str(maria.pk), "maria"), address=ABROAD)):
        from core.security import record_security_event

        record_security_event("login", now=now - timedelta(minutes=15))

    by_name, by_id = _lines(client, user="maria"), _lines(client, user=str(maria.pk))

    assert by_name == by_id == ["budget.lowered", "login", "budget.raised"]
    assert _lines(client, user="maria", about="on")[0] == "user.changed"
    assert _lines(client, user="maria", word="budget.") == ["budget.lowered", "budget.raised"]


def test_key__with_its_rotations__has_uses_changes_and_spend(client: Client) -> None:
    now = timezone.now()
    first = create_key("agent", scopes=["costs:write"], now=now - timedelta(hours=1))
    second = rotate_key(first.key, now=now - timedelta(minutes=30))
    with acting(Context(actor=Actor("api_key", str(first.key.pk), str(first.key)), channel="api")):
        audit.record("budget.raised", ("costs.budget", "b1"), now=now - timedelta(minutes=40))
    told("api_key.used", now - timedelta(minutes=5), key=second.key.prefix)

    page = client.get(PAGE, {"api_key": first.key.prefix})

    assert [line.what for line, _ in page.context["lines"]] == ["api_key.used", "budget.raised"]
    assert [figure.label for figure in page.context["figures"]][-1] == "Recorded costs"
    assert Decimal(page.context["figures"][-1].value.split()[0]) == 0
    assert "api_key.rotated" in _lines(client, api_key=str(first.key.pk), about="on")


def test_address__has_its_events_and_what_was_audited_in_their_requests(client: Client, maria: Any) -> None:
    told("login", timezone.now(), who="olga", address=ABROAD)

    assert sorted(_lines(client, address=HOME)) == ["budget.lowered", "budget.raised", "login", "user.changed"]
    assert sorted(set(_lines(client, address="203.0.113.0/24"))) == [
        "budget.lowered",
        "budget.raised",
        "login",
        "user.changed",
    ]


@pytest.mark.parametrize("asked", [{"address": "nowhere"}, {"api_key": "af_nothing"}])
def test_page__senseless_question__says_what_is_wrong(client: Client, asked: dict[str, str]) -> None:
    page = client.get(PAGE, asked)

    assert page.status_code == 200
    assert 'role="alert"' in page.content.decode()


def test_page__outside_the_window__is_empty_and_says_so(client: Client, maria: Any) -> None:
    page = client.get(PAGE, {"user": "maria", "from": "2020-01-01", "to": "2020-01-31"})

    assert "Nothing in this window" in page.content.decode()


def test_export__csv_and_xlsx__have_every_line_and_are_audited(client: Client, maria: Any) -> None:
    answer = client.post(f"{PAGE}export/csv/?user=maria&period=7d")
    body = b"".join(answer.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]

    assert body.splitlines()[0].startswith("at,record,what")
    assert "budget.lowered" in body
    assert client.post(f"{PAGE}export/xlsx/?user=maria&period=7d").content[:2] == b"PK"
    assert AuditEntry.objects.filter(action="forensics.exported").count() == 2
    assert SecurityEvent.objects.filter(kind="data.exported").count() == 2


@pytest.mark.parametrize("role", ["finance", "researcher", "privacy_officer"])
def test_page__for_a_role_without_the_right__is_403(role: str) -> None:
    client = signed_in(person("nora", roles=(role,)))

    assert client.get(PAGE).status_code == 403
    assert client.post(f"{PAGE}export/csv/?user=nora").status_code == 403


@pytest.mark.parametrize("role", ["security_admin", "operations", "auditor", "compliance_officer"])
def test_page__for_the_roles_that_look_into_things__opens(role: str) -> None:
    assert signed_in(person("nora", roles=(role,))).get(PAGE).status_code == 200


def test_links__from_an_entry_a_key_and_a_person__lead_here(maria: Any) -> None:
    root = signed_in(administrator())
    key = create_key("agent", scopes=["costs:write"], now=timezone.now()).key
    entry = AuditEntry.objects.get(action="budget.raised")

    page = root.get(f"/admin/core/auditentry/{entry.pk}/change/").content.decode()

    assert f"{PAGE}?user={maria.pk}&amp;period=7d" in page
    assert root.get(f"/admin/core/apikey/{key.pk}/doings/")["Location"] == f"{PAGE}?api_key={key.prefix}&period=7d"
    assert root.get(f"/admin/auth/user/{maria.pk}/doings/")["Location"] == f"{PAGE}?user={maria.pk}&period=7d"
