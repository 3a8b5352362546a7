"""Contracts, periods, reports and status pages in the admin: every act through its service, by who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry, Job
from core.tests.people import administrator, person, signed_in
from core.windows import Window
from slas.credits import Tier
from slas.models import SLAContract, SLAPeriod, StatusIncident, StatusPage
from slas.services import reports
from slas.services.contracts import close_due, terms_of
from slas.tests.contract_case import contract, customer, exclude, indicator, only_period, outage
from slas.tests.status_case import status_page

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = datetime(2026, 4, 5, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def period() -> SLAPeriod:
    """A final March with an hour of downtime: 100 USD are due."""
    sli = indicator()
    made = contract(sli)
    outage(sli, BEGIN + timedelta(days=9), 60)
    exclude(sli, BEGIN + timedelta(days=9), BEGIN + timedelta(days=9, minutes=10))
    close_due(now=FINAL - timedelta(days=2))
    close_due(now=FINAL)
    # Claims run from the clock of the pages.
    made.periods.filter(status="final").update(final_at=timezone.now())
    return only_period(made)


def _act(client: Client, obj: Any, action: str, **values: Any) -> Any:
    address = f"/admin/slas/{obj._meta.model_name}/{obj.pk}/{action}/"
    return client.post(address, {"_form_submitted": "on", **values})


def _form(**values: Any) -> dict[str, Any]:
    usual = {
        "name": "Gold", "reference": "", "period_unit": "month", "time_zone": "Europe/Paris",
        "starts_on": "2026-03-01", "ends_on": "", "metric": "downtime_minutes", "error_share": "0.05",
        "min_consecutive_minutes": "1", "notice_hours": "72", "max_excluded_minutes": "", "cap_percent": "100",
        "claim_days": "30", "provisional_days": "3", "currency": "EUR", "fee": "1000.50", "fee_metric": "",
        "fee_labels": "{}", "tiers-TOTAL_FORMS": "2", "tiers-INITIAL_FORMS": "0", "tiers-0-below": "99.9",
        "tiers-0-credit_percent": "10", "tiers-1-below": "99", "tiers-1-credit_percent": "25",
    }  # fmt: skip
    return usual | values


def test_contract__added__is_made_by_the_service_and_warns_of_missing_objectives(client: Client) -> None:
    form = _form(customer=customer().pk, sli=indicator().pk)

    answer = client.post("/admin/slas/slacontract/add/", form, follow=True)

    made = SLAContract.objects.get()
    assert terms_of(made).tiers == (Tier(Decimal("99.9"), Decimal(10)), Tier(Decimal(99), Decimal(25)))
    assert (made.fee, made.service) == (Decimal("1000.5"), made.sli.service)
    assert made.periods.exists()
    assert AuditEntry.objects.get(action="contract.created").actor_label == "root"
    assert "nobody is warned before the promise is broken" in answer.content.decode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"tiers-1-credit_percent": "5"}, "a lower availability has to credit more"),
        ({"provisional_days": "1"}, "a period is final no sooner"),
        ({"fee": "", "fee_metric": ""}, "either a fee or the metric"),
        ({"ends_on": "2026-02-01"}, "ends after it begins"),
    ],
)
def test_contract__senseless__says_it_and_makes_nothing(client: Client, values: dict[str, str], words: str) -> None:
    answer = client.post("/admin/slas/slacontract/add/", _form(customer=customer().pk, sli=indicator().pk, **values))

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not SLAContract.objects.exists()


def test_contract__changed_terms__are_a_revision_with_a_reason(client: Client) -> None:
    made = contract()
    tiers = list(made.tiers.all())
    form = _form(fee="2000", currency="USD", notice_hours="0", applies_from="next", reason="larger plan")
    form |= {"tiers-INITIAL_FORMS": "3", "tiers-TOTAL_FORMS": "3"}
    for number, tier in enumerate(tiers):
        values = {"id": tier.pk, "contract": made.pk, "below": tier.below, "credit_percent": tier.credit_percent}
        form |= {f"tiers-{number}-{name}": value for name, value in values.items()}
    address = f"/admin/slas/slacontract/{made.pk}/change/"

    refused = client.post(address, form | {"reason": ""})
    client.post(address, form)

    made.refresh_from_db()
    assert "Say why the terms change." in refused.content.decode()
    assert (made.fee, made.revision, made.tiers.count()) == (Decimal(2000), 2, 3)
    assert AuditEntry.objects.get(action="contract.terms_changed").reason == "larger plan"


def test_period__page__explains_the_number_down_to_the_minutes(client: Client, period: SLAPeriod) -> None:
    context = client.get(f"/admin/slas/slaperiod/{period.pk}/change/").context

    figures = {figure.label: figure.value for figure in context["period_figures"]}
    exclusions, runs = context["period_tables"]
    assert (figures["Availability"], figures["Credit"]) == ("99.887967 %", "100 USD")
    assert [list(cells) for cells, _ in exclusions.rows] == [
        ["2026-03-10 00:00", "2026-03-10 00:10", "database upgrade", "10", "counts in full"]
    ]
    assert [list(cells) for cells, _ in runs.rows] == [["2026-03-10 00:00", "2026-03-10 01:00", "60", "10"]]


def test_credit__by_finance__settles_the_period(period: SLAPeriod) -> None:
    client = signed_in(person(roles=("finance",)))

    page = client.get(f"/admin/slas/slaperiod/{period.pk}/change/").content.decode()
    _act(client, period, "credit", reason="agreed", reference="CN-7", amount="")

    period.refresh_from_db()
    assert "Mark as credited" in page
    assert (period.status, period.credit_reference, period.status_by) == ("credited", "CN-7", "maria")


def staff_of(role: str) -> User:
    return person(roles=(role,))


@pytest.mark.parametrize(
    ("role", "action"),
    [("finance", "waive"), ("finance", "dispute"), ("operations", "credit"), ("auditor", "credit"),
     ("auditor", "dispute"), ("compliance_officer", "waive")],
)  # fmt: skip
def test_acts__without_the_permission__are_refused(period: SLAPeriod, role: str, action: str) -> None:
    answer = _act(signed_in(staff_of(role)), period, action, reason="x")

    period.refresh_from_db()
    assert (answer.status_code, period.status) == (403, "final")


def test_dispute__by_operations__is_decided_with_reasons(period: SLAPeriod) -> None:
    client = signed_in(staff_of("operations"))

    _act(client, period, "dispute", reason="measured 98.9 %")
    _act(client, period, "reject-dispute", reason="measured right")

    period.refresh_from_db()
    assert (period.status, period.status_reason) == ("final", "measured right")


def test_report__made_from_the_dialog__is_a_job_and_its_page_shows_and_verifies_it(
    client: Client, period: SLAPeriod
) -> None:
    answer = client.post(
        "/admin/slas/report/make/",
        {"_form_submitted": "on", "kind": "sla", "subject": "", "first_day": "2026-03-01", "last_day": "2026-03-31"},
    )
    job = Job.objects.get(kind="slas.report")
    report = reports.make("sla", "", Window(BEGIN, datetime(2026, 4, 1, tzinfo=UTC)), now=FINAL)

    page = client.get(f"/admin/slas/report/{report.pk}/change/").content.decode()
    file = client.get(f"/admin/slas/report/{report.pk}/file/html/")
    verified = client.post(f"/admin/slas/report/{report.pk}/verify/", {"_form_submitted": "on"}, follow=True)

    assert answer["Location"] == f"/admin/core/job/{job.pk}/change/"
    assert job.arguments["end"] == "2026-04-01T00:00:00+00:00"
    assert "99.887967 %" in page
    assert file["Content-Security-Policy"].startswith("default-src 'none'")
    assert "Every byte is as it was made." in verified.content.decode()


def test_status_page__published_told_and_previewed__through_actions(client: Client) -> None:
    page = status_page(BEGIN, published=False)

    preview = client.get(f"/admin/slas/statuspage/{page.pk}/as-public/").content.decode()
    _act(client, page, "publish")
    _act(client, page, "tell", title="Slow", impact="degraded", stage="investigating", text="We look.",
         components=["web"])  # fmt: skip
    incident = StatusIncident.objects.get()
    _act(client, incident, "say", stage="resolved", text="Over.")

    incident.refresh_from_db()
    assert "Preview: this is how the public would see the page now." in preview
    assert StatusPage.objects.get().published_at is not None
    assert (incident.stage, incident.updates.count()) == ("resolved", 2)


def test_preview__without_a_login__is_not_shown() -> None:
    page = status_page(BEGIN, published=False)

    assert Client().get(f"/admin/slas/statuspage/{page.pk}/as-public/").status_code == 302
