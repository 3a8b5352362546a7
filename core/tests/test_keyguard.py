"""Keys under guard: suspended ones open nothing, and admin scopes take a second person."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from core import apikeys, approvals, keyguard
from core.apikeys import KeyRefused, authenticate, create_key, rotate_key
from core.errors import Conflict, Invalid
from core.models import ApiKey, Approval, AuditEntry
from core.tests.approving import WHY, as_user
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db
GUARDED = "alerts:admin"
ADD = "/admin/core/apikey/add/"


@pytest.fixture(autouse=True)
def guarded(settings: Any) -> None:
    settings.ADMIN_KEYS_NEED_APPROVAL = True
    apikeys.forget_cached_keys()


def _make(owner: Any, now: datetime, *scopes: str, reason: str = WHY) -> keyguard.MadeKey:
    with as_user(owner):
        return keyguard.make_key("agent", scopes=scopes, owner=owner, reason=reason, now=now)


def _officer(name: str) -> Any:
    return person(name, roles=("security_admin",))


def _approve(approval: Approval, now: datetime, name: str = "otto") -> Approval:
    second = _officer(name)
    with as_user(second):
        approvals.approve(approval.pk, by=second, now=now)
    approvals.carry_out(approval.pk, clock=lambda: now)
    approval.refresh_from_db()
    return approval


def test_make__with_admin_scopes__works_without_them_until_somebody_else_approves(now: datetime) -> None:
    made = _make(_officer("maria"), now, "costs:read", GUARDED)
    before = authenticate(made.made.secret, now).scopes
    assert made.approval is not None

    done = _approve(made.approval, now)

    assert before == {"costs:read"}
    assert done.status == "done", done.error
    assert authenticate(made.made.secret, now).scopes == {"costs:read", GUARDED}
    entry = AuditEntry.objects.get(action="api_key.scopes_granted")
    assert (entry.actor_label, entry.before["scopes"]) == ("maria", ["costs:read"])
    assert entry.reason.endswith("(approved by otto)")


def test_make__with_admin_scopes_alone__is_a_key_that_may_nothing_yet(now: datetime) -> None:
    made = _make(_officer("maria"), now, GUARDED)

    assert authenticate(made.made.secret, now).scopes == frozenset()
    assert made.approval is not None
    assert "“agent”" in made.approval.title


def test_make__without_a_reason__makes_nothing(now: datetime) -> None:
    with pytest.raises(Invalid, match="say what alerts:admin is for"):
        _make(_officer("maria"), now, GUARDED, reason=" ")
    assert not ApiKey.objects.exists()


def test_make__without_admin_scopes_or_where_it_is_off__asks_nobody(now: datetime, settings: Any) -> None:
    maria = _officer("maria")

    assert _make(maria, now, "costs:read", reason="").approval is None
    settings.ADMIN_KEYS_NEED_APPROVAL = False
    assert _make(maria, now, GUARDED, reason="").made.key.scopes == [GUARDED]
    assert not Approval.objects.exists()


def test_grant__key_revoked_meanwhile__fails_and_gives_nothing(now: datetime) -> None:
    made = _make(_officer("maria"), now, GUARDED)
    assert made.approval is not None
    apikeys.revoke_key(made.made.key, now=now, reason="lost")

    done = _approve(made.approval, now)

    assert (done.status, ApiKey.objects.get().scopes) == ("failed", [])
    assert "does not work any more" in done.error


def test_grant__key_rotated_meanwhile__reaches_both(now: datetime) -> None:
    made = _make(_officer("maria"), now, "costs:read", GUARDED)
    assert made.approval is not None
    rotate_key(made.made.key, now=now)

    _approve(made.approval, now)

    assert [key.scopes for key in ApiKey.objects.all()] == [[GUARDED, "costs:read"]] * 2


def test_page__asks_for_a_reason_and_says_what_waits() -> None:
    client = signed_in(_officer("maria"))

    refused = client.post(ADD, {"name": "Rules", "scopes": [GUARDED]}).content.decode()
    page = client.post(ADD, {"name": "Rules", "scopes": [GUARDED], "reason": WHY}).content.decode()

    assert "say what alerts:admin is for" in refused
    assert "waits for somebody else" in page or "waits for somebody else" in client.get("/admin/").content.decode()
    assert Approval.objects.get().requester_label == "maria"


def test_suspend__stops_the_client_at_once_and_resume_lets_it_work(now: datetime) -> None:
    first = create_key("agent", scopes=["costs:read"], now=now)
    second = rotate_key(first.key, now=now)
    authenticate(second.secret, now)

    count = keyguard.suspend_key(second.key, now=now, reason="it loops")

    for made in (first, second):
        with pytest.raises(KeyRefused, match="is suspended") as refused:
            authenticate(made.secret, now)
        assert refused.value.code == "suspended"
    assert (count, keyguard.suspend_key(second.key, now=now, reason="again")) == (2, 0)
    assert keyguard.resume_key(first.key, now=now, reason="mended") == 2
    assert authenticate(second.secret, now).name == "agent"


def test_rotate__suspended__is_refused(now: datetime) -> None:
    made = create_key("agent", scopes=["costs:read"], now=now)
    keyguard.suspend_key(made.key, now=now, reason="it loops")
    made.key.refresh_from_db()

    with pytest.raises(Conflict):
        rotate_key(made.key, now=now)
    assert ApiKey.objects.count() == 1


def test_page__of_a_key__suspends_and_resumes() -> None:
    key = create_key("agent", scopes=["costs:read"], now=timezone.now()).key
    client = signed_in(_officer("maria"))
    form = {"_form_submitted": "on", "reason": "it loops"}

    client.post(f"/admin/core/apikey/{key.pk}/suspend/", form)
    key.refresh_from_db()
    assert key.suspended_reason == "it loops"
    assert "suspended" in client.get(f"/admin/core/apikey/{key.pk}/change/").content.decode()
    client.post(f"/admin/core/apikey/{key.pk}/resume/", form)
    key.refresh_from_db()

    assert key.suspended_at is None
