"""Accessibility by rule: WCAG 2 A and AA over home, lists, forms and account pages, light, dark and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.utils import timezone

from core.tests.admin_rows import ROWS
from core.tests.people import administrator
from costs.tests.admin_rows import ROWS as COST_ROWS
from costs.tests.budgeting import budget, spend

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

# The first ones stand for the others in the second and third look.
PAGES = (
    "/admin/", "/admin/core/conditionrecord/?firing__exact=1", "/admin/core/apikey/add/", "/admin/auth/user/add/",
    "/admin/docs/", "/accounts/2fa/", "/admin/core/auditentry/", "/admin/core/apikey/", "/admin/core/job/",
    "/admin/auth/user/", "/admin/auth/group/add/", "/admin/django_celery_beat/periodictask/",
    "/admin/django_celery_beat/periodictask/add/", "/accounts/sessions/", "/accounts/password/change/",
)  # fmt: skip
# Each is opened with rows in it.
COSTS = (
    "/admin/costs/explorer/", "/admin/costs/explorer/?group=entity", "/admin/costs/budget/", "/admin/costs/sku/",
    "/admin/costs/unpricedmodel/", "/admin/costs/prices/tester/", "/admin/costs/costevent/", "/admin/costs/entity/",
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
def test_costs__every_page__breaks_no_rule(
    page: Any, sign_in: Callable[[User], None], accessible: Callable[[], list[str]]
) -> None:
    for label in ("costs.costevent", "costs.sku", "costs.unpricedmodel", "costs.entity"):
        COST_ROWS[label](3)
    made = budget(timezone.now(), "10")
    spend(timezone.now(), "9")
    sign_in(administrator())
    own = f"/admin/costs/budget/{made.pk}/"
    objects = (f"{own}change/", f"{own}thresholds/", f"{own}raise/", _last("costevent"), _last("sku"))
    broken: dict[str, list[str]] = {}
    for address in (*COSTS, *objects):
        page.goto(address)
        # The charts are drawn with a movement.
        page.wait_for_timeout(300)
        if found := accessible():
            broken[address] = found

    assert broken == {}


def _last(name: str) -> str:
    key = apps.get_model("costs", name).objects.order_by("-pk").values_list("pk", flat=True)[0]
    return f"/admin/costs/{name}/{key}/change/"


@pytest.mark.parametrize("page", ["light", "dark", "narrow"], indirect=True)
@pytest.mark.parametrize("address", ["/accounts/login/", "/accounts/password/reset/", "/setup/?token=x", "/nowhere/"])
def test_outside__every_page__breaks_no_rule(page: Any, accessible: Callable[[], list[str]], address: str) -> None:
    # A page that is not there is an error to the browser, as it should be.
    page.watch.expected = ("404", "410")
    page.goto(address)

    assert accessible() == []
