"""Facts cannot be added to, changed or deleted in the admin by anybody, by any path."""

from __future__ import annotations

import pytest
from django.contrib import admin as django_admin
from django.test import Client

from core.adminkit import ReadOnlyModelAdmin
from core.models import AuditEntry, ConditionRecord
from core.tests.admin_rows import ROWS, rows_by_model
from core.tests.people import administrator, signed_in

pytestmark = pytest.mark.django_db
FACTS = [model for model, item in django_admin.site._registry.items() if isinstance(item, ReadOnlyModelAdmin)]


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


@pytest.mark.parametrize("model", FACTS, ids=lambda model: model._meta.label_lower)
def test_fact__every_writing_page__answers_403_to_a_superuser(admin: Client, model: type) -> None:
    options = model._meta  # type: ignore[attr-defined]  # a model
    address = f"/admin/{options.app_label}/{options.model_name}/"
    rows_by_model()[options.label_lower](1)
    row = model._default_manager.order_by("pk").last()  # type: ignore[attr-defined]  # a model

    assert admin.get(f"{address}add/").status_code == 403
    assert admin.post(f"{address}add/", {}).status_code == 403
    assert admin.post(f"{address}{row.pk}/change/", {}).status_code == 403
    assert admin.post(f"{address}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    page = admin.get(f"{address}{row.pk}/change/")
    assert page.status_code == 200
    assert b'name="_save"' not in page.content


def test_fact__delete_selected__does_nothing(admin: Client) -> None:
    ROWS["core.auditentry"](1)
    ROWS["core.conditionrecord"](1)
    for name, model in (("auditentry", AuditEntry), ("conditionrecord", ConditionRecord)):
        row = model.objects.latest("pk")

        admin.post(f"/admin/core/{name}/", {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})

        assert model.objects.filter(pk=row.pk).exists()


def test_fact__list_editable_post__changes_nothing(admin: Client) -> None:
    ROWS["core.conditionrecord"](1)
    row = ConditionRecord.objects.get()
    form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "form-0-summary": "x", "_save": "Save"}

    admin.post("/admin/core/conditionrecord/", form)

    assert ConditionRecord.objects.get().summary == row.summary
