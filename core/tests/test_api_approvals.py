"""Approvals over the API: a person decides; a key reads and takes its own back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core import approvals
from core.apikeys import create_key
from core.context import Actor, Context, acting
from core.models import Approval
from core.ports.approvals import approval_kinds
from core.tests.api import bearer
from core.tests.approving import ASK, DECIDE, WHY, Acts, asked, maria
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db
ALL = "/api/v1/approvals"
VIEW = "core.view_approval"


@pytest.fixture(autouse=True)
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    acts = Acts()
    monkeypatch.setitem(approval_kinds._items, "test.paint", acts.kind())
    return acts


@pytest.fixture
def approval() -> Approval:
    return asked(maria(), timezone.now())


@pytest.fixture
def otto() -> Client:
    return signed_in(person("otto", permissions=(ASK, DECIDE, VIEW)))


def _post(client: Client, approval: Approval, act: str, **headers: Any) -> Any:
    body = {"reason": "go on", "digest": approval.digest} if act != "withdraw" else {}
    address = f"{ALL}/{approval.pk}/{act}"
    return client.post(address, json.dumps(body), content_type="application/json", **headers)


def _key(owner: Any = None, entity: tuple[str, str] | None = None) -> Any:
    scopes = ["approvals:read", "approvals:write"]
    return create_key("agent", scopes=scopes, now=timezone.now(), owner=owner, entity=entity)


def _asked_by(key: Any) -> Approval:
    with acting(Context(actor=Actor("api_key", str(key.key.pk), str(key.key)), channel="api")):
        return approvals.request_approval("test.paint", {"what": "it"}, reason=WHY, now=timezone.now())


def test_list__by_a_person__has_what_they_may_decide(approval: Approval, otto: Client) -> None:
    items = otto.get(f"{ALL}?status=waiting").json()["items"]

    assert [item["approval_id"] for item in items] == [str(approval.pk)]
    assert items[0]["description"] == ["Paint the fence red", "It cannot be undone"]
    assert items[0]["arguments"] == {"what": "the fence", "coats": 2}
    assert otto.get(f"{ALL}?status=done").json()["items"] == []
    assert otto.get(f"{ALL}?state=done").status_code == 400


def test_list__by_somebody_else__is_empty(approval: Approval) -> None:
    client = signed_in(person("paul", permissions=(VIEW,)))

    assert client.get(ALL).json()["items"] == []
    assert client.get(f"{ALL}/{approval.pk}").status_code == 404


def test_approve__by_a_second_person__is_approved(approval: Approval, otto: Client) -> None:
    answer = _post(otto, approval, "approve")

    assert (answer.status_code, answer.json()["status"], answer.json()["decided_by"]) == (200, "approved", "otto")
    again = _post(otto, approval, "approve")
    assert (again.status_code, again.json()["type"]) == (409, "urn:agent-factory:problem:approval_decided")


def test_approve__by_who_asked__is_403(otto: Client) -> None:
    from django.contrib.auth.models import User

    own = asked(User.objects.get(username="otto"), timezone.now())

    answer = _post(otto, own, "approve")

    own.refresh_from_db()
    assert (answer.status_code, own.status) == (403, "waiting")
    assert "second person" in answer.json()["detail"]


@pytest.mark.parametrize("act", ["approve", "refuse"])
def test_decide__by_a_key__is_403_whoever_made_it(approval: Approval, act: str) -> None:
    key = _key(owner=person("otto", permissions=(ASK, DECIDE, VIEW)))

    answer = _post(Client(), approval, act, headers=bearer(key))

    approval.refresh_from_db()
    assert (answer.status_code, approval.status) == (403, "waiting")
    assert answer.json()["type"] == "urn:agent-factory:problem:person_required"


def test_refuse__by_a_second_person__ends_it(approval: Approval, otto: Client) -> None:
    answer = _post(otto, approval, "refuse")

    assert (answer.json()["status"], answer.json()["decision_reason"]) == ("refused", "go on")


def test_withdraw__by_the_key_that_asked__and_by_no_other() -> None:
    key, other = _key(), _key()
    own = _asked_by(key)

    assert _post(Client(), own, "withdraw", headers=bearer(other)).status_code == 403
    assert _post(Client(), own, "withdraw", headers=bearer(key)).json()["status"] == "withdrawn"


def test_list__by_a_bound_key__has_its_own_requests_only(approval: Approval) -> None:
    key = _key(entity=("agent", "painter"))
    own = _asked_by(key)

    items = Client().get(ALL, headers=bearer(key)).json()["items"]

    assert [item["approval_id"] for item in items] == [str(own.pk)]
    assert len(Client().get(ALL, headers=bearer(_key())).json()["items"]) == 2
