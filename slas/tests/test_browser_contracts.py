"""The pages of contracts, periods, reports and status pages in a real browser, in light, dark and narrow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone

from core.tests.people import administrator
from core.windows import Window
from slas.models import SLAContract
from slas.services import reports, status_pages
from slas.services.contracts import close_due
from slas.tests.contract_case import contract, exclude, indicator, only_period, outage
from slas.tests.status_case import status_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = datetime(2026, 4, 5, tzinfo=UTC)
LOOKS = ["light", "dark", "narrow"]


def made() -> SLAContract:
    sli = indicator()
    promised = contract(sli)
    outage(sli, BEGIN + timedelta(days=9), 60)
    exclude(sli, BEGIN + timedelta(days=9), BEGIN + timedelta(days=9, minutes=10))
    close_due(now=FINAL - timedelta(days=2))
    close_due(now=FINAL)
    return promised


def _shot(page: Any, name: str, tmp_path: Path) -> None:
    page.screenshot(path=str(tmp_path / f"{name}.png"), full_page=True)


def _no_sideways(page: Any) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("page", LOOKS, indirect=True)
def test_pages__of_contracts__are_accessible_and_fit(
    page: Any, sign_in: Callable[..., None], accessible: Callable[[], list[str]], tmp_path: Path
) -> None:
    sign_in(administrator())
    promised = made()
    report = reports.make("sla", "", Window(BEGIN, datetime(2026, 4, 1, tzinfo=UTC)), now=FINAL)
    addresses = {
        "contract": f"/admin/slas/slacontract/{promised.pk}/change/",
        "period": f"/admin/slas/slaperiod/{only_period(promised).pk}/change/",
        "periods": "/admin/slas/slaperiod/",
        "report": f"/admin/slas/report/{report.pk}/change/",
        "status-page": f"/admin/slas/statuspage/{status_page(FINAL, main=False).pk}/change/",
    }

    for name, address in addresses.items():
        page.goto(address)
        _shot(page, name, tmp_path)
        assert accessible() == [], address
        assert _no_sideways(page), address
    # The stored page runs no script, so there is nothing to ask it for.
    page.goto(f"/admin/slas/report/{report.pk}/file/html/")
    _shot(page, "report-print", tmp_path)


@pytest.mark.parametrize("page", LOOKS, indirect=True)
def test_status_page__in_public__is_accessible_fits_and_asks_nobody_else(
    page: Any, accessible: Callable[[], list[str]], tmp_path: Path
) -> None:
    cache.clear()
    now = timezone.now().replace(second=0, microsecond=0)
    shown = status_page(now)
    status_pages.tell_incident(shown.pk, title="Slow answers", text="We look into it.", now=now, components=["web"])

    page.goto("/status")
    _shot(page, "status", tmp_path)

    assert page.get_by_role("heading", name="Current incidents").is_visible()
    assert page.locator("svg.bars rect").count() == 90
    assert accessible() == []
    assert _no_sideways(page)


def test_period__credited_in_the_dialog__shows_its_status(
    page: Any, sign_in: Callable[..., None], tmp_path: Path
) -> None:
    sign_in(administrator())
    period = only_period(made())
    page.goto(f"/admin/slas/slaperiod/{period.pk}/change/")

    page.get_by_text("Mark as credited").first.click()
    page.locator("textarea[name=reason]").fill("agreed with the customer")
    _shot(page, "dialog", tmp_path)
    page.get_by_role("button", name="Mark as credited").last.click()

    page.get_by_text("are marked as credited").wait_for()
    period.refresh_from_db()
    assert period.status == "credited"
