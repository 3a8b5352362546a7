"""An agent fails over HTTP: its budget burns, somebody is mailed, an incident opens, all can see it; and it ends."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from alerts import sweeps
from alerts.models import Incident
from core.tests.api import bearer, new_key
from slas.services.evaluating import evaluate

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """What everybody takes for the present: three hours ago, and moved on by the test."""

    def __init__(self) -> None:
        self.now = timezone.now().replace(second=0, microsecond=0) - timedelta(hours=3)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture
def agent(clock: Clock) -> Client:
    return Client(headers=bearer(new_key("slas:read", "slas:write", "slas:admin")))


@pytest.fixture
def objective(agent: Client) -> dict[str, Any]:
    """Make a service with an indicator, an objective of 99 % and a public page; returns their ids."""
    _send(agent, "services", {"slug": "answers", "name": "Answers"})
    sli = _send(agent, "slis", {"service": "answers", "slug": "success", "name": "Success", "kind": "ratio"})["sli_id"]
    target = {"service": "answers", "slug": "success", "name": "Answers succeed", "target": "0.99", "sli_id": sli}
    slo = _send(agent, "slos", {**target, "window_days": 30, "alerting": {"guard": "none"}})["slo_id"]
    line = {"slug": "answers", "name": "Answers", "objective": {"service": "answers", "objective": "success"}}
    page = _send(agent, "status-pages", {"slug": "public", "title": "Status", "components": [line]})
    published = agent.patch(
        f"/api/v1/slas/status-pages/{page['page_id']}", json.dumps({"published": True}), content_type="application/json"
    )
    assert published.status_code == 200, published.content
    return {"sli": sli, "slo": slo}


def _send(agent: Client, path: str, body: Any) -> Any:
    answer = agent.post(f"/api/v1/slas/{path}", json.dumps(body), content_type="application/json")
    assert answer.status_code in {200, 201}, answer.content
    return answer.json()


def _work(agent: Client, sli: str, clock: Clock, minutes: int, *, good: bool) -> None:
    """Send ten calls a minute and run the schedule."""
    for _ in range(minutes):
        _send(agent, f"slis/{sli}/events", [{"at": clock.now.isoformat(), "good": good}] * 10)
        clock.now += timedelta(minutes=1)
        evaluate(clock.now)
        for name in sweeps.SWEEPS:
            sweeps.run(name, clock.now)


def _mails() -> list[str]:
    return [str(message.subject) for message in mail.outbox if "Answers" in message.subject]


def _public() -> str:
    """Return what anybody sees of the component."""
    cache.clear()
    (component,) = Client().get("/status/public/status.json").json()["components"]
    return str(component["state"])


def test_objective__agent_fails_over_http__pages_shows_and_recovers(
    agent: Client, objective: dict[str, Any], clock: Clock
) -> None:
    operator = User.objects.create_user("olga", email="olga@example.com", is_staff=True)
    operator.groups.add(Group.objects.get(name="operations"))
    # Given ten minutes of good work, then a quarter of an hour in which every call fails
    _work(agent, objective["sli"], clock, 10, good=True)
    assert (_mails(), _public()) == ([], "operational")
    _work(agent, objective["sli"], clock, 15, good=False)

    # Then the budget burns, one mail was sent, and one incident is open
    status = agent.get(f"/api/v1/slas/slos/{objective['slo']}/status").json()
    assert status["state"] in {"burning", "exhausted"}, status
    assert len([subject for subject in _mails() if subject.startswith("[FIRING]")]) == 1, _mails()
    incident = Incident.objects.get(labels__slo="success")
    assert (incident.status, _public()) == ("open", "major")

    # And when it works again for an hour and a half, all of it is over by itself
    _work(agent, objective["sli"], clock, 90, good=True)
    incident.refresh_from_db()
    assert (incident.status, _public()) == ("resolved", "operational")
    assert _mails()[-1].startswith("[RESOLVED]")
