"""Lists: export of what is seen, saved views, history, empty states."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.models import AuditEntry, ConditionRecord, SavedView
from core.tests.admin_rows import ROWS
from core.tests.people import administrator, person, signed_in

LIST = "/admin/core/conditionrecord/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


def _rows(answer: Any) -> list[dict[str, str]]:
    text = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


def test_export_csv__filtered_list__has_exactly_the_filtered_rows(admin: Client) -> None:
    ROWS["core.conditionrecord"](7)

    answer = admin.post(f"{LIST}export/csv/?firing__exact=1")

    rows = _rows(answer)
    firing = ConditionRecord.objects.filter(firing=True)
    assert {row["key"] for row in rows} == {item.key for item in firing}
    assert len(rows) == 3
    assert answer["Content-Type"].startswith("text/csv")
    entry = AuditEntry.objects.get(action="list.exported")
    assert (entry.subject_type, entry.after) == ("core.conditionrecord", {"format": "csv", "query": "firing__exact=1"})
    assert entry.actor_label == "root"


def test_export_csv__formula_in_a_row__is_defused(admin: Client) -> None:
    ROWS["core.conditionrecord"](1)
    ConditionRecord.objects.update(summary="=cmd|calc", key="-2+3")

    rows = _rows(admin.post(f"{LIST}export/csv/"))

    assert (rows[0]["summary"], rows[0]["key"]) == ("'=cmd|calc", "'-2+3")


def test_export__without_view_permission__is_refused_and_not_recorded() -> None:
    client = signed_in(person(permissions=("core.view_job",)))

    assert client.post(f"{LIST}export/csv/").status_code == 403
    assert not AuditEntry.objects.filter(action="list.exported").exists()


def test_export__by_get_or_unknown_format_or_bad_filter__is_refused(admin: Client) -> None:
    assert admin.get(f"{LIST}export/csv/").status_code == 405
    assert admin.post(f"{LIST}export/pdf/").status_code == 404
    assert admin.post(f"{LIST}export/csv/?nonsense=1").status_code == 404
    assert not AuditEntry.objects.filter(action="list.exported").exists()


def test_export_xlsx__list__is_a_workbook(admin: Client) -> None:
    ROWS["core.conditionrecord"](2)

    answer = admin.post(f"{LIST}export/xlsx/")

    assert answer.content[:2] == b"PK"
    assert "conditionrecord-" in answer["Content-Disposition"]


def test_export__api_keys__leave_the_digest_out(admin: Client) -> None:
    ROWS["core.apikey"](1)

    rows = _rows(admin.post("/admin/core/apikey/export/csv/"))

    assert "digest" not in rows[0]
    assert rows[0]["prefix"].startswith("af_")


def test_save_view__with_filters__is_offered_and_marked_active(admin: Client) -> None:
    ROWS["core.conditionrecord"](2)

    admin.post(f"{LIST}views/save/", {"name": "Firing", "query": "firing__exact=1&p=3&older=9"})

    view = SavedView.objects.get()
    assert (view.name, view.query, view.shared) == ("Firing", "firing__exact=1", False)
    page = admin.get(f"{LIST}?firing__exact=1").content.decode()
    assert 'href="?firing__exact=1" aria-current="true"' in page
    assert AuditEntry.objects.get(action="savedview.saved").after["query"] == "firing__exact=1"


def test_save_view__same_name_again__replaces_the_query(admin: Client) -> None:
    for query in ("firing__exact=1", "firing__exact=0"):
        admin.post(f"{LIST}views/save/", {"name": "Mine", "query": query})

    assert SavedView.objects.get().query == "firing__exact=0"


def test_saved_view__private__is_not_shown_to_others_and_shared_is() -> None:
    owner = signed_in(administrator())
    other = signed_in(person(permissions=("core.view_conditionrecord",)))
    owner.post(f"{LIST}views/save/", {"name": "Private one", "query": "firing__exact=1"})
    owner.post(f"{LIST}views/save/", {"name": "Shared one", "query": "firing__exact=1", "shared": "on"})

    page = other.get(LIST).content.decode()

    assert "Shared one" in page
    assert "Private one" not in page


def test_delete_view__of_somebody_else__is_refused() -> None:
    signed_in(administrator()).post(f"{LIST}views/save/", {"name": "Shared", "query": "a=1", "shared": "on"})
    view = SavedView.objects.get()
    other = signed_in(person(permissions=("core.view_conditionrecord",)))

    assert other.post(f"{LIST}views/{view.pk}/delete/").status_code == 403
    assert SavedView.objects.exists()
    assert signed_in(view.owner).post(f"{LIST}views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()


def test_save_view__without_permission_or_name__saves_nothing(admin: Client) -> None:
    stranger = signed_in(person(permissions=("core.view_job",)))

    assert stranger.post(f"{LIST}views/save/", {"name": "x", "query": ""}).status_code == 403
    assert admin.post(f"{LIST}views/save/", {"name": "", "query": ""}).status_code == 302
    assert admin.get(f"{LIST}views/save/").status_code == 405
    assert not SavedView.objects.exists()


def test_empty_list__keys__says_the_next_step_with_a_command(admin: Client) -> None:
    page = admin.get("/admin/core/apikey/").content.decode()

    assert "No keys yet" in page
    assert reverse("admin:core_apikey_add") in page
    assert "manage.py apikey create" in page


def test_empty_list__because_of_filters__offers_to_remove_them(admin: Client) -> None:
    page = admin.get(f"{LIST}?firing__exact=1").content.decode()

    assert "Nothing matches" in page
    assert "Nothing has gone wrong yet" not in page


def test_history__of_a_changed_group__shows_the_audit_entries(admin: Client) -> None:
    admin.post("/admin/auth/group/add/", {"name": "night shift", "permissions": []})
    from django.contrib.auth.models import Group

    group = Group.objects.get(name="night shift")

    page = admin.get(f"/admin/auth/group/{group.pk}/history/").content.decode()

    assert "group.added" in page
    assert "night shift" in page
