"""Incidents over the API: opened once, moved by state, their parts, figures."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.models import Incident, Runbook
from alerts.services import incidents
from alerts.tests.incident_case import alert, manual, pageable
from core.tests.api import bearer, new_key

pytestmark = pytest.mark.django_db
BASE = "/api/v1/alerts/incidents"


@pytest.fixture
def headers() -> dict[str, str]:
    return bearer(new_key("incidents:read", "incidents:write"))


def _post(client: Client, path: str, body: dict[str, Any], headers: dict[str, str], **more: str) -> Any:
    return client.post(f"{BASE}{path}", body, content_type="application/json", headers={**headers, **more})


def test_open__with_a_key_sent_twice__is_one_incident(client: Client, headers: dict[str, str]) -> None:
    body = {"title": "Login is down", "severity": "critical", "labels": {"entity_type": "agent", "entity_id": "a"}}
    again = {"Idempotency-Key": "k1"}

    first = _post(client, "", body, headers, **again)
    second = _post(client, "", body, headers, **again)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] == second.json()["id"]
    assert first["Location"].endswith(f"{BASE}/{first.json()['id']}")
    assert Incident.objects.count() == 1


def test_open__unknown_runbook_and_severity__are_named(client: Client, headers: dict[str, str]) -> None:
    unknown = _post(client, "", {"title": "x", "severity": "high", "runbook": "nope"}, headers)
    wrong = _post(client, "", {"title": "x", "severity": "awful"}, headers)

    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/runbook")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/severity")
    assert not Incident.objects.exists()


def test_list__open_ones_by_pages__newest_first(client: Client, headers: dict[str, str], now: datetime) -> None:
    made = [manual(now) for _ in range(3)]
    incidents.resolve(made[0].pk, now=now)

    first = client.get(f"{BASE}?state=open&limit=1", headers=headers).json()
    second = client.get(first["next"], headers=headers).json()

    assert [item["id"] for item in first["items"] + second["items"]] == [str(made[2].pk), str(made[1].pk)]
    assert second["next"] is None


def test_list__unknown_parameter__is_refused(client: Client, headers: dict[str, str]) -> None:
    assert client.get(f"{BASE}?serverity=high", headers=headers).status_code == 400


def test_acknowledge__for_minutes__then_a_second_state_is_a_conflict(client: Client, headers: dict[str, str]) -> None:
    incident = manual(timezone.now())

    taken = _post(client, f"/{incident.pk}/ack", {"minutes": 30, "reason": "on it"}, headers).json()
    resolved = _post(client, f"/{incident.pk}/resolve", {}, headers)
    late = _post(client, f"/{incident.pk}/ack", {}, headers)

    lasts = datetime.fromisoformat(taken["acknowledged_until"]) - datetime.fromisoformat(taken["acknowledged_at"])
    assert (taken["status"], taken["acknowledged_by"][:8]) == ("acknowledged", "test key")
    assert lasts == timedelta(minutes=30)
    assert resolved.json()["status"] == "resolved"
    assert (late.status_code, late.json()["type"].rsplit(":", 1)[-1]) == (409, "state")


@pytest.mark.parametrize(
    ("acts", "status"),
    [(["ack", "unack"], "open"), (["mitigate"], "mitigated"), (["resolve", "close"], "closed"),
     (["resolve", "reopen"], "open")],
)  # fmt: skip
def test_state__each_act__moves_it(client: Client, headers: dict[str, str], acts: list[str], status: str) -> None:
    incident = manual(timezone.now())

    answers = [_post(client, f"/{incident.pk}/{act}", {"reason": "because"}, headers) for act in acts]

    assert [answer.status_code for answer in answers] == [200] * len(acts)
    assert answers[-1].json()["status"] == status
    assert incident.timeline.last().text == "because"  # type: ignore[union-attr]  # there is a line


def test_change__title_and_runbook__brings_the_checklist(client: Client, headers: dict[str, str]) -> None:
    now = timezone.now()
    incident = manual(now)
    Runbook.objects.create(slug="login", title="Login", checklist=["look"], updated_at=now)

    changed = client.patch(
        f"{BASE}/{incident.pk}", {"title": "Slow", "runbook": "login"}, content_type="application/json", headers=headers
    )
    ticked = client.put(
        f"{BASE}/{incident.pk}/checklist/1", {"done": True}, content_type="application/json", headers=headers
    )

    shown = client.get(f"{BASE}/{incident.pk}/checklist", headers=headers).json()
    assert (changed.json()["title"], changed.json()["runbook"]) == ("Slow", "login")
    assert ticked.json()["done"] is True
    assert [(step["text"], step["done"]) for step in shown["items"]] == [("look", True)]


def test_timeline__note__comes_after_the_opening(client: Client, headers: dict[str, str]) -> None:
    incident = manual(timezone.now())

    added = _post(client, f"/{incident.pk}/timeline", {"text": "restarted"}, headers)

    lines = client.get(f"{BASE}/{incident.pk}/timeline", headers=headers).json()["items"]
    assert added.status_code == 201
    assert [(line["kind"], line["text"]) for line in lines] == [("opened", "Login is down"), ("note", "restarted")]
    assert lines[1]["actor"].startswith("test key")


def test_roles__given_and_taken__are_listed(client: Client, headers: dict[str, str]) -> None:
    incident = manual(timezone.now())
    pageable("ada")

    given = _post(client, f"/{incident.pk}/roles", {"user": "ada", "role": "commander"}, headers).json()
    listed = client.get(f"{BASE}/{incident.pk}/roles", headers=headers).json()["items"]
    taken = client.delete(f"{BASE}/{incident.pk}/roles/{given['id']}", headers=headers)

    assert [(role["user"], role["role"]) for role in listed] == [("ada", "commander")]
    assert taken.status_code == 204
    assert not incident.assignments.exists()


def test_postmortem__of_an_old_revision__is_a_conflict(client: Client, headers: dict[str, str]) -> None:
    incident = manual(timezone.now())
    address = f"{BASE}/{incident.pk}/postmortem"

    def write(text: str, revision: int) -> Any:
        body = {"summary": text, "revision": revision}
        return client.put(address, body, content_type="application/json", headers=headers)

    empty = client.get(address, headers=headers).json()
    first, second, stale = write("a", 0), write("b", 2), write("c", 2)

    assert empty["revision"] == 0
    assert [answer.status_code for answer in (first, second, stale)] == [200, 200, 409]
    assert client.get(address, headers=headers).json()["summary"] == "b"


def test_action_items__added_and_done__are_listed(client: Client, headers: dict[str, str]) -> None:
    incident = manual(timezone.now())
    pageable("ada")
    body = {"title": "limit", "owner": "ada", "due_date": "2026-12-01"}

    item = _post(client, f"/{incident.pk}/action-items", body, headers).json()
    address = f"{BASE}/{incident.pk}/action-items/{item['id']}"
    client.patch(address, {"done": True, "owner": ""}, content_type="application/json", headers=headers)

    (shown,) = client.get(f"{BASE}/{incident.pk}/action-items", headers=headers).json()["items"]
    assert (shown["title"], shown["owner"], shown["due_date"]) == ("limit", "", "2026-12-01")
    assert shown["done_at"] is not None


def test_alerts_and_merge__go_to_the_other(client: Client, headers: dict[str, str]) -> None:
    now = timezone.now()
    source, target, found = manual(now), manual(now), alert(now)

    linked = _post(client, f"/{source.pk}/alerts", {"alerts": [str(found.pk)]}, headers).json()
    merged = _post(client, f"/{source.pk}/merge", {"into": str(target.pk)}, headers)

    assert linked == {"linked": 1}
    assert merged.json()["id"] == str(target.pk)
    assert list(target.alerts.all()) == [found]


def test_statistics__two_months__have_exact_means(client: Client, headers: dict[str, str]) -> None:
    for month, minutes in ((1, 10), (1, 20), (2, 30)):
        opened_at = datetime.fromisoformat(f"2026-0{month}-10T12:00:00+00:00")
        incident = manual(opened_at, severity="high")
        incidents.acknowledge(incident.pk, now=opened_at + timedelta(minutes=minutes))
        incidents.resolve(incident.pk, now=opened_at + timedelta(minutes=2 * minutes))
    merged = manual(datetime.fromisoformat("2026-01-11T12:00:00+00:00"))
    Incident.objects.filter(pk=merged.pk).update(merged_into=incident)

    shown = client.get(f"{BASE}/statistics?start=2026-01-01&end=2026-03-01", headers=headers).json()["items"]

    assert [(row["month"], row["severity"], row["incident_count"], row["mtta_seconds"], row["mttr_seconds"])
            for row in shown] == [
        ("2026-01", "", 2, 900.0, 1800.0), ("2026-01", "high", 2, 900.0, 1800.0),
        ("2026-02", "", 1, 1800.0, 3600.0), ("2026-02", "high", 1, 1800.0, 3600.0),
    ]  # fmt: skip


def test_incident__that_is_not_there__is_404(client: Client, headers: dict[str, str]) -> None:
    missing = uuid.uuid4()

    assert client.get(f"{BASE}/{missing}", headers=headers).status_code == 404
    assert _post(client, f"/{missing}/ack", {}, headers).status_code == 404
    assert _post(client, f"/{missing}/timeline", {"text": "x"}, headers).status_code == 404


def test_key__bound_to_an_agent__sees_no_incident(client: Client) -> None:
    bound = bearer(new_key("incidents:read", entity=("agent", "a")))

    assert client.get(BASE, headers=bound).status_code == 403


def test_key__that_only_reads__changes_nothing(client: Client) -> None:
    incident = manual(timezone.now())

    refused = _post(client, f"/{incident.pk}/ack", {}, bearer(new_key("incidents:read")))

    incident.refresh_from_db()
    assert refused.status_code == 403
    assert incident.status == "open"


def test_cost__minutes_and_entity__without_spend_are_unknown_not_zero(client: Client, headers: dict[str, str]) -> None:
    now = timezone.now()
    incident = manual(
        now, started_at=now - timedelta(minutes=90), labels={"entity_type": "agent", "entity_id": "nobody"}
    )

    cost = client.get(f"{BASE}/{incident.pk}", headers=headers).json()["cost"]

    assert (cost["minutes"], cost["entity_id"], cost["spend"]) == (90, "nobody", None)
