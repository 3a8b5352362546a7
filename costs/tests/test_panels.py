"""Panels of the home page: the numbers of the ledger, each with the way to its rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.ports.panels import Chart, Figure, Table, panels
from core.tests.people import administrator, person, signed_in
from costs.models import CostEvent
from costs.tests.budgeting import budget, spend

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def _figures(key: str, now: datetime = NOW) -> dict[str, Figure]:
    return {item.label: item for item in panels.get(key).build(now) if isinstance(item, Figure)}


def _spend_daily(days: int, amount: str = "10") -> None:
    for back in range(days):
        spend(NOW, amount, occurred_at=NOW - timedelta(days=back), idempotency_key=f"d{back}")


def test_spending__figures__are_those_of_the_ledger() -> None:
    _spend_daily(40)
    spend(NOW, "2.5", occurred_at=NOW - timedelta(days=1), idempotency_key="more")

    figures = _figures("costs.spending")

    assert figures["Spent this month"].value == "182.50 USD"
    assert figures["Yesterday (Tuesday)"].value == "12.50 USD"
    assert figures["Yesterday (Tuesday)"].note == "+25.0% since then (Tuesday before)"
    # 18 days at 10, 2.5 more, half a day and 13 whole days to come at about 10.
    assert Decimal(figures["Forecast for the month"].value.split()[0]) == pytest.approx(Decimal(318), abs=5)


def test_spending__month_to_date__leads_to_exactly_its_events() -> None:
    now = timezone.now()
    for back in range(40):
        spend(now, "1", occurred_at=now - timedelta(days=back), idempotency_key=f"d{back}")
    client = signed_in(administrator())

    rows = client.get(_figures("costs.spending", now)["Spent this month"].link).context["cl"].result_list

    first = timezone.localtime(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert {row.pk for row in rows} == set(
        CostEvent.objects.filter(occurred_at__gte=first).values_list("pk", flat=True)
    )


def test_spending__chart_and_table__add_up_and_lead_to_rows() -> None:
    for number in range(12):
        spend(NOW, "1.25", entity=("agent", f"a{number}"), occurred_at=NOW, idempotency_key=f"k{number}")

    items = panels.get("costs.spending").build(NOW)

    chart = next(item for item in items if isinstance(item, Chart))
    table = next(item for item in items if isinstance(item, Table))
    assert (len(chart.labels), sum(sum(series.values) for series in chart.series)) == (30, 15.0)
    assert chart.drill.endswith("&bar={label}&series={series}")
    assert [cells[0] for cells, _ in table.rows][-1] == "All others"
    assert table.rows[-1][0][1] == "5.00 USD"


def test_spending__nothing_recorded__shows_nothing_but_its_empty_text() -> None:
    assert list(panels.get("costs.spending").build(NOW)) == []
    assert panels.get("costs.spending").empty


@pytest.mark.parametrize("events", [2, 60])
def test_spending__however_many_events__makes_the_same_few_queries(events: int) -> None:
    for number in range(events):
        spend(NOW, "1", entity=("agent", f"a{number}"), occurred_at=NOW, idempotency_key=f"k{number}")

    with CaptureQueriesContext(connection) as queries:
        panels.get("costs.spending").build(NOW)

    assert len(queries) <= 10


def test_budgets__over_and_near__are_counted_and_the_fullest_comes_first() -> None:
    for name, amount in (("over", "3"), ("near", "4.5"), ("within", "40")):
        budget(NOW, amount, name=name, mode="soft")
    spend(NOW, "4")

    figures, items = _figures("costs.budgets"), panels.get("costs.budgets").build(NOW)

    assert (figures["Budgets over their limit"].value, figures["Budgets over their limit"].tone) == ("1", "bad")
    assert (figures["Budgets near their limit"].value, figures["Budgets near their limit"].tone) == ("1", "warning")
    table = next(item for item in items if isinstance(item, Table))
    assert [cells[0] for cells, _ in table.rows] == ["over", "near", "within"]


def test_home__by_role__shows_only_what_one_may_see() -> None:
    spend(timezone.now(), "1")
    finance, operations = person("f", roles=("finance",)), person("s", roles=("security_admin",))

    assert "Spent this month" in signed_in(finance).get("/admin/").content.decode()
    assert "Spent this month" not in signed_in(operations).get("/admin/").content.decode()
