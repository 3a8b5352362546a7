"""Roles: who may open which page, from the registry of the admin itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.db import models
from django.test import Client

from config.roles import ROLES, Role, complete_roles
from core.adminkit.pages import pages
from core.tests.admin_rows import rows_by_model
from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db
BY_NAME = {role.name: role for role in ROLES}


def _pages() -> Iterator[tuple[type[models.Model], str, str]]:
    for model in admin.site._registry:
        label = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        yield model, "view", label
        yield model, "add", f"{label}add/"


def _grants(role: Role, verb: str, model: type[models.Model]) -> bool:
    app, table = model._meta.app_label, model._meta.model_name
    return any(grant.covers(app, f"{verb}_{table}") for grant in role.grants)


def _expected(role: Role, verb: str, model: type[models.Model]) -> set[int]:
    if verb == "view":
        return {200} if _grants(role, "view", model) or _grants(role, "change", model) else {403}
    # A fact refuses additions to whoever may otherwise add.
    return {200, 403} if _grants(role, "add", model) else {403}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_pages__of_every_model__open_for_exactly_the_roles_that_grant_them(role: Role) -> None:
    client = signed_in(person(roles=(role.name,)))

    wrong = [
        (address, status)
        for model, verb, address in _pages()
        if (status := client.get(address).status_code) not in _expected(role, verb, model)
    ]

    assert wrong == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_menu__of_a_role__has_exactly_the_pages_that_open(role: Role) -> None:
    user = person(roles=(role.name,))
    client = signed_in(user)
    home = client.get("/admin/")
    shown = {item["link"] for group in home.context["sidebar_navigation"] for item in group["items"]}

    opening = {
        address
        for model, verb, address in _pages()
        if verb == "view" and admin.site._registry[model].in_menu and client.get(address).status_code == 200  # type: ignore[attr-defined]
    }
    ours = {f"/admin/{view.path}" for view in pages() if view.menu_section and _permitted(view, user)}

    assert shown == {"/admin/"} | opening | ours


def _permitted(view: Any, user: Any) -> bool:
    return not view.permissions or any(user.has_perm(name) for name in view.permissions)


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_own_pages__without_their_permission__answer_403(role: Role) -> None:
    user = person(roles=(role.name,))
    client = signed_in(user)

    wrong = [
        (view.name, status)
        for view in pages()
        if "<" not in view.path
        if ((status := client.get(f"/admin/{view.path}").status_code) == 403) == _permitted(view, user)
    ]

    assert wrong == []


def test_auditor__on_every_object__gets_no_form_that_saves() -> None:
    client = signed_in(person(roles=("auditor",)))
    rows = rows_by_model()
    checked = 0
    for model in admin.site._registry:
        label = model._meta.label_lower
        if label not in rows or not _grants(BY_NAME["auditor"], "view", model):
            continue
        rows[label](1)
        row = model._default_manager.order_by("pk").last()
        assert row is not None
        address = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{row.pk}/"
        _assert_read_only(client, address)
        checked += 1
    assert checked >= 10


def _assert_read_only(client: Client, address: str) -> None:
    page = client.get(f"{address}change/")
    # Jobs of others are not shown to whoever may not see them all.
    assert page.status_code == 200, address
    assert b'name="_save"' not in page.content, address
    assert client.post(f"{address}change/", {}).status_code == 403, address
    assert client.post(f"{address}delete/", {"post": "yes"}).status_code == 403, address


def test_auditor__grants__are_views_alone() -> None:
    assert {verb for grant in BY_NAME["auditor"].grants for verb in grant.verbs} == {"view"}
    codenames = Permission.objects.filter(group__name="auditor").values_list("codename", flat=True)
    assert codenames
    assert all(codename.startswith("view_") for codename in codenames)


def test_complete_roles__twice__adds_nothing_and_keeps_what_was_added() -> None:
    extra = Permission.objects.get(codename="add_group")
    Group.objects.get(name="finance_viewer").permissions.add(extra)

    assert complete_roles("default") == 0
    assert Group.objects.get(name="finance_viewer").permissions.filter(pk=extra.pk).exists()


def test_complete_roles__something_missing__is_given_back() -> None:
    finance = Group.objects.get(name="finance")
    finance.permissions.remove(Permission.objects.get(codename="view_budget"))
    Group.objects.filter(name="auditor").delete()

    call_command("migrate", verbosity=0)

    assert finance.permissions.filter(codename="view_budget").exists()
    assert Group.objects.get(name="auditor").permissions.filter(codename="view_costevent").exists()


def test_member_of_a_role__without_the_staff_mark__may_enter() -> None:
    user = person(roles=("finance_viewer",))

    assert not user.is_staff
    assert signed_in(user).get("/admin/").status_code == 200


@pytest.mark.parametrize("make", [dict[str, Any], lambda: {"is_active": False}])
def test_somebody_without_a_role_or_inactive__stays_outside(make: Any) -> None:
    user = person()
    for name, value in make().items():
        setattr(user, name, value)
    user.save()

    assert signed_in(user).get("/admin/").status_code == 302
    assert signed_in(user).get("/admin/core/job/").status_code == 302


def test_security_admin__cannot_raise_anybody_to_superuser_or_touch_one() -> None:
    from core.tests.people import administrator

    root = administrator()
    clerk = person("clerk")
    client = signed_in(person("sam", roles=("security_admin",)))
    form = {"username": "clerk", "is_active": "on", "is_superuser": "on", "is_staff": "on", "user_permissions": ["1"]}

    client.post(f"/admin/auth/user/{clerk.pk}/change/", form)

    clerk.refresh_from_db()
    assert (clerk.is_superuser, clerk.is_staff, clerk.user_permissions.count()) == (False, False, 0)
    assert client.post(f"/admin/auth/user/{root.pk}/change/", form).status_code == 403
    assert client.post(f"/admin/auth/user/{root.pk}/password/", {"password1": "x" * 20}).status_code == 403


def test_security_admin__own_roles__are_not_theirs_to_change() -> None:
    user = person("sam", roles=("security_admin",))
    finance = Group.objects.get(name="finance")
    clerk = person("clerk")
    client = signed_in(user)

    client.post(f"/admin/auth/user/{user.pk}/change/", {"username": "sam", "is_active": "on", "groups": [finance.pk]})
    client.post(
        f"/admin/auth/user/{clerk.pk}/change/", {"username": "clerk", "is_active": "on", "groups": [finance.pk]}
    )

    assert set(user.groups.values_list("name", flat=True)) == {"security_admin"}
    assert set(clerk.groups.values_list("name", flat=True)) == {"finance"}
