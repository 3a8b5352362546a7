"""Approvals in the admin: one sees what one may decide, exactly what will happen, and decides with a reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.models import Approval
from core.ports.approvals import approval_kinds
from core.tests.approving import WHY, Acts, asked, maria, otto
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db
INBOX = "/admin/approvals/"
VIEW = "core.view_approval"


@pytest.fixture(autouse=True)
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    acts = Acts()
    monkeypatch.setitem(approval_kinds._items, "test.paint", acts.kind())
    return acts


@pytest.fixture
def approval() -> Approval:
    return asked(_may_look(maria()), timezone.now())


def _may_look(user: Any) -> Any:
    from django.contrib.auth.models import Permission

    user.user_permissions.add(Permission.objects.get(codename="view_approval"))
    return user


def _act(client: Client, approval: Approval, act: str, **values: Any) -> Any:
    return client.post(f"/admin/core/approval/{approval.pk}/{act}/", {"_form_submitted": "on", **values})


def test_inbox__of_who_may_decide__shows_what_who_and_why(approval: Approval) -> None:
    page = signed_in(_may_look(otto())).get(INBOX).content.decode()

    for words in ("For you to decide", "Paint the fence red", "It cannot be undone", "maria", WHY, "Approve …"):
        assert words in page


def test_inbox__of_who_asked__offers_to_withdraw_and_nothing_else(approval: Approval) -> None:
    asker = approval.requested_by
    assert asker is not None
    page = signed_in(asker).get(INBOX).content.decode()

    assert "Nothing waits for you" in page
    assert "Withdraw …" in page
    assert "Approve …" not in page


def test_inbox__of_somebody_else__shows_nothing(approval: Approval) -> None:
    client = signed_in(person("paul", permissions=(VIEW,)))

    assert "Paint the fence red" not in client.get(INBOX).content.decode()
    assert client.get(f"/admin/core/approval/{approval.pk}/change/").status_code == 302
    assert _act(client, approval, "approve", reason="yes").status_code == 404


def test_dialog__of_a_decision__says_what_is_decided_about(approval: Approval) -> None:
    page = signed_in(_may_look(otto())).get(f"/admin/core/approval/{approval.pk}/approve/").content.decode()

    assert f"Paint the fence red\nIt cannot be undone\nmaria asks: “{WHY}”" in page
    assert approval.digest in page


def test_approve__with_a_reason__is_decided_by_this_person(approval: Approval) -> None:
    client = signed_in(_may_look(otto()))

    assert _act(client, approval, "approve", digest=approval.digest).status_code == 200
    answer = _act(client, approval, "approve", reason="go on", digest=approval.digest)

    approval.refresh_from_db()
    assert answer.status_code == 302
    assert (approval.status, approval.decided_by_label, approval.decision_reason) == ("approved", "otto", "go on")


def test_approve__by_who_asked__is_forbidden_also_by_a_forged_post(approval: Approval) -> None:
    asker = approval.requested_by
    assert asker is not None
    from django.contrib.auth.models import Permission

    asker.user_permissions.add(Permission.objects.get(codename="change_job"))
    answer = _act(signed_in(asker), approval, "approve", reason="go on", digest=approval.digest)

    approval.refresh_from_db()
    assert (answer.status_code, approval.status) == (403, "waiting")


def test_approve__expired_meanwhile__says_so_and_changes_nothing(approval: Approval) -> None:
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    answer = _act(signed_in(_may_look(otto())), approval, "approve", reason="go on", digest=approval.digest)

    assert "the request expired at" in answer.content.decode()
    assert Approval.objects.get().status == "waiting"


def test_refuse__and_withdraw__end_it(approval: Approval) -> None:
    asker = approval.requested_by
    assert asker is not None
    other = asked(asker, timezone.now(), what="the gate")

    _act(signed_in(_may_look(otto())), approval, "refuse", reason="too red", digest=approval.digest)
    _act(signed_in(asker), other, "withdraw")

    assert [row.status for row in Approval.objects.order_by("id")] == ["refused", "withdrawn"]


def test_page__of_a_request__offers_only_what_its_state_allows(approval: Approval) -> None:
    client = signed_in(_may_look(otto()))
    address = f"/admin/core/approval/{approval.pk}/change/"
    before = client.get(address).content.decode()
    _act(client, approval, "refuse", reason="too red", digest=approval.digest)

    after = client.get(address).content.decode()

    assert f"/admin/core/approval/{approval.pk}/approve/" in before
    assert f"/admin/core/approval/{approval.pk}/approve/" not in after
    assert "too red" in after


def test_home__something_waits__says_how_many_and_leads_there(approval: Approval) -> None:
    page = signed_in(_may_look(otto())).get("/admin/").content.decode()

    assert "Waiting for approval" in page
    assert f'href="{INBOX}"' in page
