"""Admin rows of customers, contracts, periods, reports and status pages."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from slas.models import Customer, Report, SLAPeriod, StatusIncident, StatusPage
from slas.services.contracts import open_periods
from slas.services.status_pages import tell_incident
from slas.tests.contract_case import contract
from slas.tests.status_case import status_page

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _customers(count: int) -> None:
    for _ in range(count):
        Customer.objects.create(slug=_fresh("customer"), name="Acme", created_at=NOW)


def _contracts(count: int) -> None:
    for _ in range(count):
        contract()


def _periods(count: int) -> None:
    for number in range(count):
        made = contract(starts_on=date(2026, 3, 1))
        open_periods(made, now=NOW)
        SLAPeriod.objects.filter(contract=made).update(
            status=("open", "final")[number % 2], credit=Decimal(10), final_at=NOW, good=99, total=100
        )


def _reports(count: int) -> None:
    for number in range(count):
        Report.objects.create(
            kind="owners", title="Roll-up", window_start=NOW - timedelta(days=number + 1), window_end=NOW,
            time_zone="UTC", inputs_sha256=_fresh("0"), layout=1, created_at=NOW,
            inputs='{"kind":"owners","subject":"","subject_name":"","organisation":"A","time_zone":"UTC","window":'
            '{"start":"2026-03-01T00:00:00+00:00","end":"2026-04-01T00:00:00+00:00"},"rows":[]}',
        )  # fmt: skip


def _pages(count: int) -> None:
    for _ in range(count):
        status_page(NOW, main=False, slug=_fresh("page"))


def _incidents(count: int) -> None:
    for _ in range(count):
        page = StatusPage.objects.create(slug=_fresh("page"), title="P", time_zone="UTC", created_at=NOW)
        tell_incident(page.pk, title="Slow", text="We look.", now=NOW)
    assert StatusIncident.objects.exists()


ROWS: dict[str, Rows] = {
    "slas.customer": _customers,
    "slas.slacontract": _contracts,
    "slas.slaperiod": _periods,
    "slas.report": _reports,
    "slas.statuspage": _pages,
    "slas.statusincident": _incidents,
}
