"""The product in a real browser: nothing leaves the machine, nothing errs, everything works by keyboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from core.models import ApiKey, SavedView
from core.setuplinks import create_setup_link
from core.tests.admin_rows import ROWS
from core.tests.people import PASSWORD, administrator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NARROW = (
    "/admin/", "/admin/core/auditentry/", "/admin/core/apikey/", "/admin/auth/user/add/", "/admin/docs/",
    "/accounts/2fa/",
)  # fmt: skip
SignIn = Callable[[User], None]


def test_set_up__from_the_link_to_the_first_steps__by_hand(page: Any) -> None:
    page.goto(create_setup_link(timezone.now()))
    form = {"username": "maria", "email": "m@example.org", "password": PASSWORD, "repeated": PASSWORD}
    for name, value in form.items():
        page.fill(f"input[name={name}]", value)
    page.click("text=Create the account and sign in")
    page.wait_for_url("**/admin/")

    assert page.locator("text=First steps").is_visible()
    page.click("text=Add a second factor")
    page.click("text=Activate")
    assert page.locator("img.af-image").is_visible()


def test_sign_in__with_password__lands_on_the_home_page(page: Any) -> None:
    administrator()
    page.goto("/admin/")
    page.fill("input[name=login]", "root")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/")

    assert page.locator("h1").inner_text() == "Home"


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_home__chart_free_installation__shows_sections_in_both_looks(page: Any, sign_in: SignIn) -> None:
    ROWS["core.conditionrecord"](4)
    sign_in(administrator())
    page.goto("/admin/")

    dark = page.evaluate("document.documentElement.classList.contains('dark')")
    ground = page.evaluate("getComputedStyle(document.querySelector('#main')).backgroundColor")
    assert page.locator("text=Newest conditions").is_visible()
    assert dark == (ground != "rgb(255, 255, 255)")


@pytest.mark.parametrize("page", ["narrow"], indirect=True)
@pytest.mark.parametrize("address", NARROW)
def test_page__390_pixels_wide__does_not_scroll_sideways(page: Any, sign_in: SignIn, address: str) -> None:
    ROWS["core.auditentry"](3)
    sign_in(administrator())
    page.goto(address)

    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_dialog__revoke_a_key__by_keyboard_alone(page: Any, sign_in: SignIn) -> None:
    ROWS["core.apikey"](1)
    key = ApiKey.objects.get()
    sign_in(administrator())
    page.goto(f"/admin/core/apikey/{key.pk}/change/")
    link = page.locator("a[hx-get$='/revoke/']").first
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog-form textarea")
    page.keyboard.press("Escape")
    page.wait_for_selector("#dialog", state="hidden")
    link.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#dialog-form textarea")
    page.fill("#dialog-form textarea", "leaked in a log")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("text=was revoked")

    key.refresh_from_db()
    assert key.revoked_reason == "leaked in a log"


def test_dialog__rotate_a_key__shows_the_new_one_once(page: Any, sign_in: SignIn) -> None:
    ROWS["core.apikey"](1)
    sign_in(administrator())
    page.goto(f"/admin/core/apikey/{ApiKey.objects.get().pk}/change/")
    page.click("a[hx-get$='/rotate/']")
    page.click("#dialog button[type=submit]")
    page.wait_for_selector("#dialog code")

    assert page.locator("#dialog code").first.inner_text().startswith("af_")
    assert ApiKey.objects.count() == 2


def test_saved_view__made_and_opened__filters_the_list(page: Any, sign_in: SignIn) -> None:
    ROWS["core.conditionrecord"](4)
    sign_in(administrator())
    page.goto("/admin/core/conditionrecord/?firing__exact=1")
    page.click("summary:has-text('Save view')")
    page.fill("#af-view-name", "Firing now")
    page.click(".af-popover-body button")
    page.goto("/admin/core/conditionrecord/")
    page.click("text=Firing now")
    page.wait_for_url("**firing__exact=1")

    assert page.locator("#result_list tbody").count() == 2
    assert SavedView.objects.get().name == "Firing now"


def test_palette__control_k__finds_a_page_and_opens_it(page: Any, sign_in: SignIn) -> None:
    sign_in(administrator())
    page.goto("/admin/")
    page.keyboard.press("Control+k")
    page.wait_for_selector("#search-input-command", state="visible")
    page.keyboard.type("audit ent", delay=30)
    page.wait_for_selector("#command-results-list a")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/admin/core/auditentry/")

    page.keyboard.press("Control+k")
    page.wait_for_selector("#search-input-command", state="visible")
    page.keyboard.press("Escape")
    page.wait_for_selector("#search-input-command", state="hidden")


def test_keyboard__first_tab__is_the_skip_link_and_focus_is_seen(page: Any, sign_in: SignIn) -> None:
    sign_in(administrator())
    page.goto("/admin/")
    page.keyboard.press("Tab")

    assert page.evaluate("document.activeElement.className") == "af-skip"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    for _ in range(6):
        page.keyboard.press("Tab")
        style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert style != "none"


def test_export__click__downloads_the_file(page: Any, sign_in: SignIn) -> None:
    ROWS["core.conditionrecord"](2)
    sign_in(administrator())
    page.goto("/admin/core/conditionrecord/")
    with page.expect_download() as download:
        page.click("text=Export CSV")

    assert download.value.suggested_filename.startswith("conditionrecord-")
