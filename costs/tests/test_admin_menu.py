"""The menu of the costs app: a few headings, under each what belongs together."""

from __future__ import annotations

import pytest

from core.tests.people import person, signed_in

pytestmark = pytest.mark.django_db


def test_menu__of_finance__has_explorer_budgets_price_book_and_queues_under_their_headings() -> None:
    home = signed_in(person(roles=("finance",))).get("/admin/")

    menu = {group["title"]: [item["title"] for item in group["items"]] for group in home.context["sidebar_navigation"]}
    headings = list(menu)
    start = headings.index("Costs")
    assert headings[start : start + 4] == ["Costs", "Budgets", "Prices", "Cost queues"]
    assert menu["Costs"] == ["Cost explorer", "Cost events", "Entities", "Cost centres"]
    assert menu["Budgets"] == ["Budgets", "Reservations", "Budget periods"]
    assert menu["Prices"][:3] == ["SKUs", "Price books", "What would this cost?"]
    assert menu["Cost queues"] == ["Unpriced models", "Price discrepancies", "Ingest rejects", "Rollup audits"]


def test_menu__of_an_app_with_several_headings__leaves_no_page_without_one() -> None:
    home = signed_in(person(roles=("finance",))).get("/admin/")

    groups = home.context["sidebar_navigation"]
    assert all(group["title"] for group in groups[1:])
    assert max(len(group["items"]) for group in groups) < 10
