"""Actions: permissions asked about the object, nothing changed by a link, reasons and refusals shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from core.choices import JobStatus
from core.models import ApiKey, AuditEntry, Job
from core.tests.admin_rows import NOW, ROWS
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
CONFIRMED = {"_form_submitted": "on"}
HTMX = {"HX-Request": "true"}


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


@pytest.fixture
def key() -> ApiKey:
    ROWS["core.apikey"](1)
    return ApiKey.objects.get()


def _revoke(key: ApiKey) -> str:
    return f"/admin/core/apikey/{key.pk}/revoke/"


def test_revoke__opened_by_a_link__asks_and_changes_nothing(admin: Client, key: ApiKey) -> None:
    page = admin.get(_revoke(key))
    dialog = admin.get(_revoke(key), headers=HTMX)

    assert "It stops working at once" in page.content.decode()
    assert 'id="dialog-form"' in dialog.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoke__without_a_reason__shows_the_form_again(admin: Client, key: ApiKey) -> None:
    answer = admin.post(_revoke(key), {**CONFIRMED, "reason": ""}, headers=HTMX)

    assert "This field is required" in answer.content.decode()
    key.refresh_from_db()
    assert key.revoked_at is None


def test_revoke__with_a_reason__revokes_and_leads_the_dialog_back(admin: Client, key: ApiKey) -> None:
    answer = admin.post(_revoke(key), {**CONFIRMED, "reason": "leaked"}, headers=HTMX)

    assert answer["HX-Redirect"] == f"/admin/core/apikey/{key.pk}/change/"
    key.refresh_from_db()
    assert (key.revoked_at is not None, key.revoked_reason) == (True, "leaked")
    entry = AuditEntry.objects.get(action="api_key.revoked")
    assert (entry.reason, entry.actor_label) == ("leaked", "root")


def test_revoke__by_a_viewer__is_refused_by_every_method(key: ApiKey) -> None:
    viewer = signed_in(person(permissions=("core.view_apikey",)))

    assert viewer.get(_revoke(key)).status_code == 403
    assert viewer.post(_revoke(key), {**CONFIRMED, "reason": "leaked"}).status_code == 403
    page = viewer.get(f"/admin/core/apikey/{key.pk}/change/").content.decode()
    assert "/revoke/" not in page
    key.refresh_from_db()
    assert key.revoked_at is None


def test_bulk_action__asks_for_the_reason_first__then_acts_on_the_selected(admin: Client) -> None:
    ROWS["core.apikey"](3)
    chosen = list(ApiKey.objects.order_by("pk")[:2])
    form: dict[str, Any] = {"action": "revoke_selected", "_selected_action": [key.pk for key in chosen], "index": "0"}

    asked = admin.post("/admin/core/apikey/", form)
    assert "<strong>2 API keys</strong>" in asked.content.decode()
    assert not ApiKey.objects.exclude(revoked_at=None).exists()
    admin.post("/admin/core/apikey/", {**form, **CONFIRMED, "reason": "old fleet"})

    assert set(ApiKey.objects.exclude(revoked_at=None)) == set(chosen)


def test_bulk_action__by_a_viewer__is_not_offered_and_does_nothing() -> None:
    ROWS["core.apikey"](1)
    viewer = signed_in(person(permissions=("core.view_apikey",)))
    key = ApiKey.objects.get()

    viewer.post(
        "/admin/core/apikey/",
        {"action": "revoke_selected", "_selected_action": [key.pk], "index": "0", **CONFIRMED, "reason": "x"},
    )

    key.refresh_from_db()
    assert key.revoked_at is None


def test_action__refused_by_the_service__shows_why_in_the_dialog(admin: Client) -> None:
    job = Job.objects.create(kind="x", title="Done", status=JobStatus.SUCCEEDED, created_at=NOW)

    answer = admin.post(f"/admin/core/job/{job.pk}/cancel/", CONFIRMED, headers=HTMX)

    assert "the job has ended already" in answer.content.decode()
    job.refresh_from_db()
    assert job.status == JobStatus.SUCCEEDED


def test_action__object_is_gone__answers_404(admin: Client) -> None:
    address = "/admin/core/job/0190f0e0-0000-7000-8000-000000000000/cancel/"

    assert admin.post(address, CONFIRMED).status_code == 404
