"""API keys in the admin: shown once, rotated, never editable."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from core.apikeys import authenticate
from core.models import ApiKey, AuditEntry
from core.tests.admin_rows import ROWS
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
ADD = "/admin/core/apikey/add/"
FORM = {"name": "Ingest", "scopes": ["costs:write"]}


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


def _secret(page: str) -> str:
    found = re.findall(r"<code>(af_[0-9a-z]{8}_[A-Za-z0-9_-]{43})</code>", page)
    assert len(found) == 1
    return str(found[0])


def test_add__key__is_shown_once_with_snippets_and_works(admin: Client) -> None:
    answer = admin.post(ADD, FORM)

    page = answer.content.decode()
    secret = _secret(page)
    assert answer["Cache-Control"].startswith("no-store")
    assert f"curl http://testserver/api/v1/whoami -H 'Authorization: Bearer {secret}'" in page
    assert "urllib.request" in page
    key = ApiKey.objects.get()
    assert authenticate(secret, timezone.now()).id == key.pk
    assert key.owner is not None
    assert key.owner.get_username() == "root"


def test_add__key__is_not_in_any_later_page_or_table(admin: Client) -> None:
    secret = _secret(admin.post(ADD, FORM).content.decode())
    key = ApiKey.objects.get()

    pages = ["/admin/core/apikey/", f"/admin/core/apikey/{key.pk}/change/", f"/admin/core/apikey/{key.pk}/history/"]

    random_part = secret.split("_", 2)[2]
    assert all(random_part not in admin.get(address).content.decode() for address in pages)
    assert random_part not in str(list(ApiKey.objects.values()))
    assert random_part not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scopes": []}, "This field is required"),
        ({"name": ""}, "This field is required"),
        ({"scopes": ["nothing:read"]}, "Select a valid choice"),
        ({"entity_type": "agent"}, "Give both the type and the id"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00"}, "is in the past"),
    ],
)
def test_add__senseless_values__make_no_key(admin: Client, change: dict[str, object], message: str) -> None:
    page = admin.post(ADD, {**FORM, **change}).content.decode()

    assert message in page
    assert not ApiKey.objects.exists()


def test_add__by_a_viewer__is_refused() -> None:
    viewer = signed_in(person(permissions=("core.view_apikey",)))

    assert viewer.get(ADD).status_code == 403
    assert viewer.post(ADD, FORM).status_code == 403
    assert not ApiKey.objects.exists()


def test_rotate__key__shows_the_new_one_in_the_dialog_and_keeps_the_old_for_a_day(admin: Client) -> None:
    ROWS["core.apikey"](1)
    old = ApiKey.objects.get()
    form = {"_form_submitted": "on", "overlap": "24"}

    answer = admin.post(f"/admin/core/apikey/{old.pk}/rotate/", form, headers={"HX-Request": "true"})

    secret = _secret(answer.content.decode())
    assert 'id="dialog"' in answer.content.decode()
    old.refresh_from_db()
    assert authenticate(secret, timezone.now()).family == old.family
    assert old.expires_at is not None
    assert 23 < (old.expires_at - timezone.now()).total_seconds() / 3600 < 24.1


def test_rotate__the_same_key_twice__makes_one_successor(admin: Client) -> None:
    ROWS["core.apikey"](1)
    old = ApiKey.objects.get()
    form = {"_form_submitted": "on", "overlap": "24"}
    admin.post(f"/admin/core/apikey/{old.pk}/rotate/", form)

    answer = admin.post(f"/admin/core/apikey/{old.pk}/rotate/", form, headers={"HX-Request": "true"})

    assert "rotated before" in answer.content.decode()
    assert ApiKey.objects.count() == 2
