"""Channels and messages over HTTP: made, tried, changed; secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client

from alerts.channels import secrets_of
from alerts.models import Channel, Notification
from alerts.services.outbox import enqueue
from alerts.tests import services_of_others as services
from alerts.tests.delivering import channel, outgoing
from core.models import AuditEntry, IdempotencyRecord
from core.tests.api import bearer, new_key
from core.tests.listeners import Reply
from core.tests.people import administrator, person, signed_in

BASE = "/api/v1/alerts/"
SECRET = "whsec_" + "A" * 43 + "="
pytestmark = pytest.mark.django_db(transaction=True)


class Caller:
    """Calls the API with one key."""

    def __init__(self, *scopes: str) -> None:
        self.headers = bearer(new_key(*(scopes or ("alerts:read", "alerts:write", "alerts:admin"))))

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = json.dumps(body).encode() if body is not None else b""
        answer = Client().generic(
            method, BASE + path, content, content_type="application/json", headers={**self.headers, **headers}
        )
        return answer.status_code, json.loads(answer.content) if answer.content else None


@pytest.fixture
def slack(settings: Any) -> Iterator[services.Slack]:
    service = services.Slack()
    with services.serving(settings, service):
        yield service


def slack_channel(caller: Caller, service: services.Slack, **changes: Any) -> Any:
    secrets = {"secrets": {"url": f"{service.url}/services/very-secret"}}
    status, body = caller("POST", "channels", {"name": "slack", "kind": "slack", **secrets, **changes})
    assert status == 201, body
    return body


def test_channel__made__keeps_its_secret_encrypted_and_to_itself(slack: services.Slack) -> None:
    caller = Caller()

    made = slack_channel(caller, slack, failover=None)

    row = Channel.objects.get(name="slack")
    listed = caller("GET", "channels?kind=slack")[1]["items"]
    assert made["secrets_set"] == ["url"]
    assert listed == [made] == [caller("GET", f"channels/{made['id']}")[1]]
    assert "very-secret" not in json.dumps(listed) + row.secret + str(list(AuditEntry.objects.values()))
    assert secrets_of(row) == {"url": f"{slack.url}/services/very-secret"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"secrets": {}}, "/secrets/url"),
        ({"secrets": {"url": "ftp://x"}}, "/secrets/url"),
        ({"secrets": {"url": "https://x.example", "other": "1"}}, "/secrets/other"),
        ({"config": {"url": "https://x.example"}}, "/config/url"),
        ({"kind": "pagerduty", "secrets": {"routing_key": "short"}}, "/secrets/routing_key"),
        ({"kind": "email", "secrets": {}}, "/config/addresses"),
        ({"kind": "email", "secrets": {}, "config": {"addresses": ["nobody"]}}, "/config/addresses"),
        ({"kind": "email", "secrets": {}, "config": {"role": "nothing"}}, "/config/role"),
        ({"kind": "email", "secrets": {}, "config": {"role": "operations", "port": 0}}, "/config/port"),
        ({"kind": "email", "secrets": {}, "config": {"role": "operations", "security": "x"}}, "/config/security"),
        ({"kind": "webhook", "secrets": {}, "config": {"url": "https://x.example"}}, "/secrets/secrets"),
        ({"kind": "webhook", "secrets": {"secrets": ["whsec_x"]}, "config": {"url": "https://x"}}, "/secrets/secrets"),
        ({"failover": str(uuid4())}, "/failover"),
        ({"name": " "}, "/name"),
    ],
)
def test_channel__that_cannot_work__is_refused_at_the_field(changes: dict[str, Any], pointer: str) -> None:
    before = Channel.objects.count()
    wanted = {"name": "new", "kind": "slack", "secrets": {"url": "https://x.example"}, **changes}

    status, problem = Caller()("POST", "channels", wanted)

    assert status == 422, problem
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert Channel.objects.count() == before


def test_channel__made_twice_under_one_key__is_one_and_its_secret_is_in_no_record(slack: services.Slack) -> None:
    caller = Caller()
    wanted = {"name": "w", "kind": "webhook", "config": {"url": slack.url}, "secrets": {"secrets": [SECRET]}}

    answers = [caller("POST", "channels", wanted, **{"Idempotency-Key": "k"}) for _ in range(2)]

    assert answers[0] == answers[1]
    assert Channel.objects.filter(kind="webhook").count() == 1
    assert SECRET not in str(list(IdempotencyRecord.objects.values()))


def test_channel__of_a_name_that_is_taken__is_refused(slack: services.Slack) -> None:
    caller = Caller()
    slack_channel(caller, slack)

    status, problem = caller("POST", "channels", {"name": "slack", "kind": "log"})

    assert (status, problem["errors"][0]["pointer"]) == (422, "/name")


def test_apprise__by_a_key_of_whatever_scope__is_forbidden() -> None:
    status, problem = Caller()("POST", "channels", {"name": "a", "kind": "apprise", "secrets": {"url": "json://x"}})

    assert (status, problem["detail"].split(":")[0]) == (403, "Apprise reaches private addresses")


def test_apprise__by_a_superuser_without_the_library__says_what_to_install() -> None:
    client = signed_in(administrator())
    wanted = {"name": "a", "kind": "apprise", "secrets": {"url": "json://x"}}

    answer = client.post(f"{BASE}channels", json.dumps(wanted), content_type="application/json")

    assert answer.status_code == 422
    assert "pip install apprise" in answer.content.decode()


def test_channel__patched__changes_what_is_named_and_keeps_the_secret(slack: services.Slack) -> None:
    caller = Caller()
    made = slack_channel(caller, slack)

    status, body = caller("PATCH", f"channels/{made['id']}", {"name": "other", "rate_per_minute": 5})

    assert (status, body["name"], body["rate_per_minute"], body["secrets_set"]) == (200, "other", 5, ["url"])
    assert secrets_of(Channel.objects.get(pk=made["id"]))["url"].endswith("very-secret")


def test_channel__switched_off_and_on__asks_why(slack: services.Slack) -> None:
    caller = Caller()
    path = f"channels/{slack_channel(caller, slack)['id']}"

    answers = [
        caller("PATCH", path, {"enabled": False}),
        caller("PATCH", path, {"enabled": False, "reason": "moving"}),
        caller("PATCH", path, {"enabled": False, "reason": "again"}),
        caller("PATCH", path, {"enabled": True, "reason": "moved"}),
    ]

    assert [status for status, _ in answers] == [422, 200, 409, 200]
    assert [answers[1][1]["disabled_reason"], answers[3][1]["disabled_reason"]] == ["moving", ""]


def test_channel__deleted__is_gone_unless_messages_wait(slack: services.Slack, now: datetime) -> None:
    caller = Caller()
    made = slack_channel(caller, slack)
    (waiting,) = enqueue([outgoing(now, Channel.objects.get(pk=made["id"]))], now=now)

    refused = caller("DELETE", f"channels/{made['id']}")
    caller("POST", f"notifications/{waiting.pk}/cancel", {"reason": "not needed"})
    done = caller("DELETE", f"channels/{made['id']}")

    assert (refused[0], done[0]) == (409, 204)
    assert caller("GET", f"channels/{made['id']}")[0] == 404


def test_channel__tested__answers_with_what_came_of_it(slack: services.Slack) -> None:
    caller = Caller()
    made = slack_channel(caller, slack)

    good = caller("POST", f"channels/{made['id']}/test")
    slack.queued = [Reply(503, b"down")]
    bad = caller("POST", f"channels/{made['id']}/test")

    assert (good[0], good[1]["delivered"], good[1]["status_code"], good[1]["answer"]) == (200, True, 200, "ok")
    assert (bad[1]["delivered"], bad[1]["error"], bad[1]["answer"]) == (False, "answered 503", "down")
    assert [row.status for row in Notification.objects.order_by("id")] == ["sent", "dead"]
    assert "Test of the channel" in slack.accepted[0]["text"]


def test_notifications__listed__by_state_with_their_attempts(slack: services.Slack) -> None:
    caller = Caller()
    made = slack_channel(caller, slack)
    slack.queued = [Reply(400, b"invalid_payload")]
    caller("POST", f"channels/{made['id']}/test")

    (dead,) = caller("GET", "notifications?status=dead")[1]["items"]
    detail = caller("GET", f"notifications/{dead['id']}")[1]

    assert caller("GET", "notifications?status=sent")[1]["items"] == []
    assert (dead["channel"], dead["attempts"], dead["last_error"]) == (made["id"], 1, "answered 400")
    assert [(attempt["number"], attempt["answer"]) for attempt in detail["tries"]] == [(1, "invalid_payload")]


def test_notification__dead__is_sent_again_under_its_own_id(slack: services.Slack, now: datetime) -> None:
    caller = Caller()
    to = Channel.objects.get(pk=slack_channel(caller, slack)["id"])
    (row,) = enqueue([outgoing(now, to)], now=now)
    Notification.objects.filter(pk=row.pk).update(status="dead", attempts=8)

    status, body = caller("POST", f"notifications/{row.pk}/resend", {"reason": "the service is back"})

    fresh = Notification.objects.get(pk=row.pk)
    assert (status, body["id"], body["status"]) == (200, str(row.pk), "pending")
    assert (fresh.attempts, fresh.attempts_before) == (8, 8)
    assert AuditEntry.objects.get(action="notification.resent").reason == "the service is back"


def test_notification__delivered_or_over__is_not_sent_again(now: datetime) -> None:
    # given one that was delivered, and a dead one whose end was told since
    to, caller = channel(now), Caller()
    rows = enqueue([outgoing(now, to, "sent"), outgoing(now, to, "old", order_key="g")], now=now)
    rows += enqueue([outgoing(now, to, "end", order_key="g", closes=True)], now=now)
    Notification.objects.filter(dedup_key__in=["sent", "end"]).update(status="sent")
    Notification.objects.filter(dedup_key="old").update(status="dead")

    answers = [caller("POST", f"notifications/{row.pk}/resend", {"reason": "try"})[0] for row in rows[:2]]

    assert answers == [409, 409]
    assert list(Notification.objects.order_by("id").values_list("status", flat=True)) == ["sent", "dead", "sent"]


def test_channels__without_the_scope__are_closed(slack: services.Slack) -> None:
    made = slack_channel(Caller(), slack)
    reader = Caller("alerts:read", "alerts:write")

    answers = [
        reader("POST", "channels", {"name": "x", "kind": "log"})[0],
        reader("PATCH", f"channels/{made['id']}", {"name": "x"})[0],
        reader("DELETE", f"channels/{made['id']}")[0],
        reader("POST", f"channels/{made['id']}/test")[0],
        Caller("costs:read")("GET", "channels")[0],
    ]

    assert answers == [403, 403, 403, 403, 403]
    assert slack.accepted == []


def test_channels__to_a_person_without_the_permission__are_closed() -> None:
    client = signed_in(person("finn", roles=("finance",)))

    assert client.get(f"{BASE}channels").status_code == 403
