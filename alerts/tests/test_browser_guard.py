"""Approvals, automation and the forensic view in a real browser: decided with a few clicks, readable on a telephone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from alerts.models import AutomationRule
from alerts.tests.guarding import failures
from core.models import Approval
from core.ports.approvals import approval_kinds
from core.tests.approving import WHY, Acts, asked, maria
from core.tests.people import administrator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SignIn = Callable[[User], None]
PAGES = (
    "/admin/approvals/", "/admin/core/approval/", "/admin/alerts/forensics/?user=maria", "/admin/alerts/securityevent/",
    "/admin/alerts/detectionrule/", "/admin/alerts/automationrule/add/", "/admin/alerts/automationrun/",
)  # fmt: skip


@pytest.fixture
def approval(monkeypatch: pytest.MonkeyPatch) -> Approval:
    monkeypatch.setitem(approval_kinds._items, "test.paint", Acts().kind())
    return asked(maria(), timezone.now())


def test_inbox__approve__is_decided_on_the_page_behind_the_button(
    page: Any, sign_in: SignIn, approval: Approval
) -> None:
    sign_in(administrator())
    page.goto("/admin/approvals/")

    page.get_by_role("link", name="Approve …").click()
    what = page.get_by_label("What exactly happens").input_value()
    page.get_by_label("Reason").fill("It was grey")
    page.get_by_role("button", name="Approve").click()
    page.wait_for_url("**/change/")

    approval.refresh_from_db()
    assert what.splitlines() == ["Paint the fence red", "It cannot be undone", f"maria asks: “{WHY}”"]
    assert (approval.status, approval.decision_reason) == ("approved", "It was grey")


def test_automation__another_action__shows_its_own_arguments(page: Any, sign_in: SignIn) -> None:
    sign_in(administrator())
    page.goto("/admin/alerts/automationrule/add/")

    page.get_by_label("Action").select_option("core.suspend_key")
    page.locator("#id_core_suspend_key__key").fill("{{ labels.api_key }}")
    assert not page.locator("#id_costs_tighten_budget__percent").is_visible()
    page.get_by_label("Name").fill("Suspend it")
    page.get_by_label("Matchers").fill("alertname=key-spend-jump")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/automationrule/")

    assert AutomationRule.objects.get().arguments == {"key": "{{ labels.api_key }}"}


@pytest.mark.parametrize("page", ["narrow"], indirect=True)
def test_pages__on_a_telephone__scroll_down_only(page: Any, sign_in: SignIn, approval: Approval) -> None:
    failures(5, timezone.now())
    sign_in(administrator())

    wide = []
    for address in PAGES:
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth + 1"):
            wide.append(address)

    assert wide == []


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_pages__every_one__breaks_no_rule_of_accessibility(
    page: Any, sign_in: SignIn, accessible: Callable[[], list[str]], approval: Approval
) -> None:
    failures(5, timezone.now())
    sign_in(administrator())

    broken = {}
    for address in (*PAGES, f"/admin/core/approval/{approval.pk}/approve/", "/admin/core/apikey/add/"):
        page.goto(address)
        page.wait_for_timeout(200)
        if found := accessible():
            broken[address] = found

    assert broken == {}
