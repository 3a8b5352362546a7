"""Changes made in the admin are in the audit log, whole and in the same transaction."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from core import audit
from core.models import AuditEntry
from core.tests.people import PASSWORD, administrator, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


def _entries(action: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [(entry.before, entry.after) for entry in AuditEntry.objects.filter(action=action).order_by("id")]


def test_add__group__is_recorded_with_its_values(admin: Client) -> None:
    permission = Permission.objects.get(codename="view_job")

    admin.post("/admin/auth/group/add/", {"name": "night", "permissions": [permission.pk]})

    group = Group.objects.get(name="night")
    [(before, after)] = _entries("group.added")
    assert before == {}
    assert after == {"id": group.pk, "name": "night", "permissions": [str(permission)]}
    entry = AuditEntry.objects.get(action="group.added")
    assert (entry.actor_label, entry.channel, entry.subject_id) == ("root", "admin", str(group.pk))


def test_change__group__records_only_what_differs(admin: Client) -> None:
    permission = Permission.objects.get(codename="view_job")
    group = Group.objects.create(name="night")

    admin.post(f"/admin/auth/group/{group.pk}/change/", {"name": "late", "permissions": [permission.pk]})
    admin.post(f"/admin/auth/group/{group.pk}/change/", {"name": "late", "permissions": [permission.pk]})

    assert _entries("group.changed") == [
        ({"name": "night", "permissions": []}, {"name": "late", "permissions": [str(permission)]})
    ]


def test_delete__one_and_selected__are_recorded_with_what_was_there(admin: Client) -> None:
    first, second, third = (Group.objects.create(name=name) for name in ("a", "b", "c"))

    admin.post(f"/admin/auth/group/{first.pk}/delete/", {"post": "yes"})
    admin.post(
        "/admin/auth/group/",
        {"action": "delete_selected", "_selected_action": [second.pk, third.pk], "post": "yes"},
    )

    assert not Group.objects.filter(name__in="abc").exists()
    assert [before["name"] for before, _ in _entries("group.deleted")] == ["a", "b", "c"]


def test_change__password__is_named_and_its_hash_is_not_kept(admin: Client) -> None:
    user = User.objects.create_user("maria", password=PASSWORD)

    answer = admin.post(
        f"/admin/auth/user/{user.pk}/password/",
        {"password1": "another long secret", "password2": "another long secret", "usable_password": "true"},
    )

    user.refresh_from_db()
    assert answer.status_code == 302
    assert user.check_password("another long secret")
    everything = str(list(AuditEntry.objects.values_list("before", "after")))
    assert user.password not in everything
    assert AuditEntry.objects.filter(action="user.password_changed", subject_id=str(user.pk)).count() == 1


def test_change__when_the_audit_log_fails__changes_nothing(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Group.objects.create(name="night")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the log is full")

    monkeypatch.setattr(audit, "record", refuse)
    admin.raise_request_exception = False

    assert admin.post(f"/admin/auth/group/{group.pk}/change/", {"name": "late"}).status_code == 500
    assert admin.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 500
    group.refresh_from_db()
    assert group.name == "night"
