"""Accessibility by rule: WCAG 2 A and AA over home, lists, forms and account pages, light, dark and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from core.tests.admin_rows import ROWS
from core.tests.people import administrator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# The first ones stand for the others in the second and third look.
PAGES = (
    "/admin/", "/admin/core/conditionrecord/?firing__exact=1", "/admin/core/apikey/add/", "/admin/auth/user/add/",
    "/admin/docs/", "/accounts/2fa/", "/admin/core/auditentry/", "/admin/core/apikey/", "/admin/core/job/",
    "/admin/auth/user/", "/admin/auth/group/add/", "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_beat/periodictask/add/", "/accounts/sessions/", "/accounts/password/change/",
)  # fmt: skip
SHOWN = {"light": len(PAGES), "dark": 6, "narrow": 3}
FILLED = ("core.auditentry", "core.conditionrecord", "core.job", "auth.user", "django_celery_beat.periodictask")


@pytest.mark.parametrize("page", ["light", "dark", "narrow"], indirect=True)
def test_inside__every_page__breaks_no_rule(
    page: Any, sign_in: Callable[[User], None], accessible: Callable[[], list[str]], request: pytest.FixtureRequest
) -> None:
    for label in FILLED:
        ROWS[label](3)
    user = administrator()
    sign_in(user)
    extra = (f"/admin/auth/user/{user.pk}/change/", f"/admin/auth/group/{Group.objects.order_by('pk')[0].pk}/change/")
    broken: dict[str, list[str]] = {}
    for address in (*PAGES[: SHOWN[request.node.callspec.params["page"]]], *extra):
        page.goto(address)
        page.wait_for_timeout(150)
        if found := accessible():
            broken[address] = found

    assert broken == {}


@pytest.mark.parametrize("page", ["light", "dark", "narrow"], indirect=True)
@pytest.mark.parametrize("address", ["/accounts/login/", "/accounts/password/reset/", "/setup/?token=x", "/nowhere/"])
def test_outside__every_page__breaks_no_rule(page: Any, accessible: Callable[[], list[str]], address: str) -> None:
    # A page that is not there is an error to the browser, as it should be.
    page.watch.expected = ("404", "410")
    page.goto(address)

    assert accessible() == []
