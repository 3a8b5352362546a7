"""Contracts, periods, reports and status pages over the API."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from core import jobs
from core.models import Job
from core.tests.api import bearer, new_key
from slas.models import SLAContract, StatusPage
from slas.services.contracts import close_due
from slas.tests.contract_case import contract, customer, indicator, only_period, outage
from slas.tests.status_case import objective

BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
FINAL = datetime(2026, 4, 5, tzinfo=UTC)
SCOPES = ("slas:read", "slas:admin", "credits:write")
pytestmark = pytest.mark.django_db


class Caller:
    """Calls addresses below /api/v1/slas with one key."""

    def __init__(self, *scopes: str) -> None:
        self.headers = bearer(new_key(*(scopes or SCOPES)))
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **query: str) -> Any:
        return self.client.get(f"/api/v1/slas/{path}", query, headers=self.headers)

    def send(self, path: str, body: object, method: str = "POST", **headers: str) -> Any:
        content = json.dumps(body)
        return self.client.generic(
            method, f"/api/v1/slas/{path}", content, "application/json", headers={**self.headers, **headers}
        )


def _body(**values: Any) -> dict[str, Any]:
    sli = indicator()
    usual = {
        "customer": customer().slug, "service": sli.service.slug, "indicator": sli.slug, "name": "Gold",
        "starts_on": "2026-03-01", "time_zone": "Europe/Paris", "fee": "1000.00", "currency": "EUR",
        "tiers": [{"below": "99", "credit_percent": "25"}, {"below": "99.9", "credit_percent": "10"}],
    }  # fmt: skip
    return usual | values


@pytest.fixture
def made() -> SLAContract:
    """A contract whose March is final with 100 USD due."""
    sli = indicator()
    promised = contract(sli)
    outage(sli, BEGIN + timedelta(days=9), 60)
    close_due(now=FINAL - timedelta(days=2))
    close_due(now=FINAL)
    # Claims run from the clock of the API.
    promised.periods.filter(status="final").update(final_at=timezone.now())
    return promised


def test_contract__created_and_read__is_the_same() -> None:
    caller, body = Caller(), _body()

    created = caller.send("contracts", body, **{"Idempotency-Key": "a"})
    again = caller.send("contracts", body, **{"Idempotency-Key": "a"})
    read = caller.get(created["Location"].partition("/slas/")[2])

    assert (created.status_code, again.status_code, SLAContract.objects.count()) == (201, 201, 1)
    assert read.json() == created.json()
    assert read.json()["tiers"][0] == {"below": "99.9", "credit_percent": "10"}
    assert read.json()["fee"] == "1000"
    assert "nobody is warned" in read.json()["warnings"][0]


@pytest.mark.parametrize(
    ("values", "pointer"),
    [({"customer": "nobody"}, "/customer"), ({"indicator": "none"}, "/indicator"), ({"fee": None}, "/fee"),
     ({"time_zone": "Mars/Base"}, "/time_zone"), ({"tiers": []}, "/tiers"), ({"currency": "euro"}, "/currency")],
)  # fmt: skip
def test_contract__senseless__is_422_with_a_pointer(values: dict[str, Any], pointer: str) -> None:
    answer = Caller().send("contracts", _body(**values))

    assert answer.status_code == 422
    assert pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert not SLAContract.objects.exists()


def test_contract__changed_terms__need_a_reason(made: SLAContract) -> None:
    caller = Caller()

    refused = caller.send(f"contracts/{made.pk}", {"fee": "5"}, "PATCH")
    changed = caller.send(f"contracts/{made.pk}", {"fee": "5", "reason": "smaller"}, "PATCH")

    assert (refused.status_code, changed.status_code) == (422, 200)
    assert (changed.json()["fee"], changed.json()["revision"]) == ("5", 2)


def test_period__read__holds_unrounded_numbers_and_what_was_excluded(made: SLAContract) -> None:
    answer = Caller().get(f"contracts/{made.pk}/periods/2026-03-01").json()

    assert (answer["good"], answer["total"], answer["credit"], answer["status"]) == (44_580, 44_640, "100", "final")
    assert answer["availability"].startswith("0.99865591397849462365591397")
    assert Caller().get(f"contracts/{made.pk}/periods/2026-05-01").status_code == 404
    assert Caller().get(f"contracts/{made.pk}/periods/never").status_code == 404
    assert [row["status"] for row in Caller().get(f"contracts/{made.pk}/periods").json()["items"]] == ["open", "final"]


def test_period__disputed_and_credited_otherwise__answers_its_state(made: SLAContract) -> None:
    caller, address = Caller(), f"contracts/{made.pk}/periods/2026-03-01"

    early = caller.send(f"{address}/credit", {"reason": "more", "amount": "250"})
    disputed = caller.send(f"{address}/dispute", {"reason": "98.9 % measured"})
    credited = caller.send(f"{address}/credit", {"reason": "agreed", "amount": "250", "reference": "CN-1"})
    again = caller.send(f"{address}/waive", {"reason": "x"})

    assert (early.status_code, disputed.json()["status"]) == (409, "disputed")
    assert (credited.json()["status"], credited.json()["settled_credit"]) == ("credited", "250")
    assert (again.status_code, only_period(made).status) == (409, "credited")


def test_credit__without_its_scope__is_403(made: SLAContract) -> None:
    answer = Caller("slas:read", "slas:admin").send(
        f"contracts/{made.pk}/periods/2026-03-01/credit", {"reason": "agreed"}
    )

    assert (answer.status_code, only_period(made).status) == (403, "final")


def test_report__asked_made_downloaded_and_verified(made: SLAContract) -> None:
    caller = Caller()
    body = {"kind": "sla", "start": "2026-03-01", "end": "2026-04-01", "subject": f"contract:{made.pk}"}

    asked = caller.send("reports", body)
    jobs.run(Job.objects.get(pk=asked.json()["job_id"]).pk, clock=timezone.now)
    (report,) = caller.get("reports").json()["items"]
    address = f"reports/{report['report_id']}"

    assert asked.status_code == 202
    for file in report["files"]:
        content = caller.get(f"{address}/files/{file['format']}").content
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
    assert caller.get(f"{address}/files/docx").status_code == 404
    assert caller.send(f"{address}/verify", {}).json()["intact"] is True
    assert caller.get(address).json()["verified_intact"] is True


@pytest.mark.parametrize(
    "values", [{"kind": "guess"}, {"subject": "customer:nobody"}, {"end": "2026-03-01"}, {"end": "2028-03-01"}]
)
def test_report__senseless__is_422_and_starts_nothing(values: dict[str, str]) -> None:
    answer = Caller().send("reports", {"kind": "sla", "start": "2026-03-01", "end": "2026-04-01"} | values)

    assert (answer.status_code, Job.objects.exists()) == (422, False)


def test_status_page__made_published_told_and_withdrawn__is_seen_without_a_key() -> None:
    cache.clear()
    caller, slo = Caller(), objective(indicator())
    line = {"slug": "api", "name": "API", "objective": {"service": slo.service.slug, "objective": slo.slug}}
    page = caller.send("status-pages", {"slug": "acme", "title": "Acme", "components": [line]}).json()
    address = f"status-pages/{page['page_id']}"

    private = Client().get("/status/acme/status.json").status_code
    caller.send(address, {"published": True, "main": True}, "PATCH")
    told = caller.send(f"{address}/incidents", {"title": "Slow", "text": "We look.", "components": ["api"]}).json()
    said = caller.send(f"{address}/incidents/{told['incident_id']}/updates", {"stage": "resolved", "text": "Over."})
    public = Client().get("/status/acme/status.json").json()

    assert (private, said.status_code) == (404, 201)
    assert [update["stage"] for update in public["incidents"][0]["updates"]] == ["resolved", "investigating"]
    assert caller.send(address, {}, "DELETE").status_code == 409
    caller.send(address, {"published": False}, "PATCH")
    assert caller.send(address, {}, "DELETE").status_code == 204
    assert not StatusPage.objects.exists()


def test_status_page__unknown_objective_or_repeated_slug__is_422() -> None:
    caller = Caller()
    line = {"slug": "api", "name": "API"}
    unknown = {**line, "objective": {"service": "x", "objective": "y"}}

    answers = [
        caller.send("status-pages", {"slug": "acme", "title": "Acme", "components": components})
        for components in ([unknown], [line, line], [{**line, "degraded_below": "10", "outage_below": "20"}])
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert not StatusPage.objects.exists()
