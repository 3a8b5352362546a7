"""Pages that say no: in the theme, with the right status, and without anything of the fault in them."""

from __future__ import annotations

import pytest
from django.test import Client

from config import home
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db


def test_not_found__page__is_in_the_theme() -> None:
    answer = Client().get("/nowhere/")

    assert answer.status_code == 404
    assert "There is no such page" in answer.content.decode()
    assert "css/platform.css" in answer.content.decode()


def test_forbidden__page__is_in_the_theme() -> None:
    answer = signed_in(person(roles=("finance_viewer",))).get("/admin/auth/user/")

    assert answer.status_code == 403
    assert "You may not open this page" in answer.content.decode()
    assert "css/platform.css" in answer.content.decode()


def test_form__without_its_token__is_refused_in_words_and_changes_nothing() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(administrator())

    answer = client.post("/admin/auth/group/add/", {"name": "night"})

    assert answer.status_code == 403
    assert "This form is out of date" in answer.content.decode()
    from django.contrib.auth.models import Group

    assert not Group.objects.filter(name="night").exists()


def test_fault__page__names_the_request_and_nothing_of_the_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(home, "dashboard", fail)
    client = signed_in(administrator())
    client.raise_request_exception = False

    answer = client.get("/admin/", headers={"X-Request-ID": "my-request-0001"})

    page = answer.content.decode()
    assert answer.status_code == 500
    assert "my-request-0001" in page
    assert "secret detail" not in page
