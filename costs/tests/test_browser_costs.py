"""The pages of costs in a real browser: the chart is drawn and leads to its rows, a budget is raised in its dialog."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from core.models import AuditEntry
from core.tests.people import administrator, person
from costs.inputs import CostItem
from costs.models import BudgetRevision
from costs.services.budgets import budget_status
from costs.services.ingest import record_costs
from costs.tests.admin_rows import ROWS
from costs.tests.budgeting import budget, hold, spend
from costs.tests.ledger_case import SENDER

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SignIn = Callable[[User], None]
NARROW = ("/admin/costs/explorer/?group=entity", "/admin/costs/budget/", "/admin/costs/costevent/",
          "/admin/costs/prices/tester/", "/admin/costs/prices/reprice/", "/admin/costs/rates/import/",
          "/admin/costs/entity/", "/admin/costs/sku/", "/admin/costs/ingestreject/")  # fmt: skip


def _fleet() -> None:
    """Two agents: three costs of the first today, two of the second yesterday."""
    now = timezone.now()
    items = [
        CostItem(cost_type="llm_api", entity_type="agent", entity_id="writer" if number < 3 else "reader",
                 amount=Decimal(number + 1), occurred_at=now if number < 3 else now - timedelta(days=1),
                 idempotency_key=f"k{number}")
        for number in range(5)
    ]  # fmt: skip
    record_costs(items, sender=SENDER, now=now)


def _click_bar(page: Any, series: int, bucket: int) -> None:
    """Click the middle of one bar of the only chart."""
    canvas = page.locator("canvas[data-af-chart]")
    canvas.scroll_into_view_if_needed()
    point = canvas.evaluate(
        "(c, [s, b]) => { const bar = Chart.getChart(c).getDatasetMeta(s).data.at(b);"
        " const {x, y, base} = bar.getProps(['x', 'y', 'base'], true); return {x, y: (y + base) / 2} }",
        [series, bucket],
    )
    canvas.click(position=point)


def test_explorer__click_on_a_bar__opens_exactly_its_events(page: Any, sign_in: SignIn) -> None:
    _fleet()
    sign_in(administrator())
    page.goto("/admin/costs/explorer/?group=entity&measure=events&period=7d")
    page.wait_for_function("Chart.getChart(document.querySelector('canvas[data-af-chart]')) !== undefined")
    page.wait_for_timeout(400)

    _click_bar(page, 0, -1)
    page.wait_for_url("**/admin/costs/costevent/**")

    assert page.locator("#result_list tbody tr").count() == 3
    assert "agent:writer" in page.url.replace("%3A", ":")


def test_explorer__form__asks_by_entity_and_keeps_the_address_shareable(page: Any, sign_in: SignIn) -> None:
    _fleet()
    sign_in(administrator())
    page.goto("/admin/costs/explorer/")
    page.select_option("select[name=group]", "entity")
    page.click("summary:has-text('Filters')")
    page.fill("input[name=entity]", "agent:reader")
    page.click("button:has-text('Show')")
    page.wait_for_load_state()

    rows = page.locator("[data-costs-table] tbody tr")
    assert rows.count() == 1
    assert rows.locator("td.af-number").first.inner_text() == "9.00"
    assert "entity=agent%3Areader" in page.url
    rows.locator("a").click()
    page.wait_for_url("**/admin/costs/costevent/**")
    assert page.locator("#result_list tbody tr").count() == 2


def test_explorer__choosing_a_day__means_an_own_period(page: Any, sign_in: SignIn) -> None:
    _fleet()
    sign_in(administrator())
    page.goto("/admin/costs/explorer/")
    yesterday = (timezone.localdate() - timedelta(days=1)).isoformat()
    page.fill("input[name=from]", yesterday)
    page.fill("input[name=to]", yesterday)
    page.dispatch_event("input[name=to]", "change")
    page.click("button:has-text('Show')")
    page.wait_for_load_state()

    assert page.locator("select[name=period]").input_value() == "custom"
    assert page.locator("[data-costs-table] tfoot td.af-number").first.inner_text() == "9.00"


def test_budget__raised_in_its_dialog__shows_the_new_limit_and_keeps_the_reason(page: Any, sign_in: SignIn) -> None:
    now = timezone.now()
    made = budget(now, "10")
    spend(now, "6")
    hold(now, "3")
    sign_in(person("ann", roles=("finance",)))
    page.goto(f"/admin/costs/budget/{made.pk}/change/")
    page.click("text=Raise or lower")
    page.wait_for_selector("text=Now 10.00 USD, of which 6.00 is spent and 3.00 set aside.")

    page.fill("input[name=amount]", "25.5")
    page.click("button:has-text('Set the amount')")
    page.wait_for_selector("text=This field is required.")
    assert BudgetRevision.objects.count() == 1, "a reason is asked for first"
    page.fill("textarea[name=reason]", "launch week")
    page.click("button:has-text('Set the amount')")
    page.wait_for_selector("text=The amount is 25.50 now.")

    assert budget_status(made, timezone.now()).limit == Decimal("25.5")
    assert AuditEntry.objects.get(action="budget.raised").reason == "launch week"
    assert page.locator("text=launch week").count() >= 1


def test_events__filter_sheet__narrows_by_tag(page: Any, sign_in: SignIn) -> None:
    ROWS["costs.costevent"](4)
    _fleet()
    sign_in(administrator())
    page.goto("/admin/costs/costevent/")
    page.click("text=Filters")
    page.fill(".costs-selection input[name=tag]", "team=a")
    page.click(".costs-selection button:has-text('Apply')")
    page.wait_for_load_state()

    assert page.locator("#result_list tbody tr").count() == 4


@pytest.mark.parametrize("page", ["narrow"], indirect=True)
def test_pages__on_a_phone__fit_its_width(page: Any, sign_in: SignIn) -> None:
    _fleet()
    for label in ("costs.budget", "costs.sku", "costs.ingestreject", "costs.entity"):
        ROWS[label](2)
    sign_in(administrator())

    wide = []
    for address in NARROW:
        page.goto(address)
        if page.evaluate("document.documentElement.scrollWidth") > 390:
            wide.append(address)

    assert wide == []


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_pages__every_one__breaks_no_rule_of_accessibility(
    page: Any, sign_in: SignIn, accessible: Callable[[], list[str]]
) -> None:
    _fleet()
    for label in ("costs.budget", "costs.sku", "costs.ingestreject", "costs.reservation", "costs.unpricedmodel"):
        ROWS[label](2)
    sign_in(administrator())
    made = budget(timezone.now(), "10")

    broken = {}
    for address in (*NARROW, f"/admin/costs/budget/{made.pk}/change/", "/admin/costs/budget/add/", "/admin/"):
        page.goto(address)
        page.wait_for_timeout(200)
        if found := accessible():
            broken[address] = found

    assert broken == {}
