"""Reports: frozen inputs with their hash, files of the same bytes, verified again; made as jobs and each month."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from core import jobs
from core.errors import Invalid
from core.models import AuditEntry, Job
from core.windows import Window
from slas.models import Report, ReportFile, SLAContract, Slo, SloSnapshot
from slas.reporting import canonical, document, files_of, gather, sha256
from slas.services import reports
from slas.services.contracts import close_due
from slas.tests.contract_case import EARLY, contract, exclude, indicator, outage

MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
NOW = datetime(2026, 4, 5, 6, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> SLAContract:
    """A contract whose March had an hour of downtime, 10 minutes of it excluded."""
    sli = indicator()
    promised = contract(sli)
    day = datetime(2026, 3, 10, 8, tzinfo=UTC)
    outage(sli, day, 60)
    exclude(sli, day, day + timedelta(minutes=10), reason='#panic("x") <b>*upgrade*</b> =1+1')
    slo = Slo.objects.create(service=sli.service, sli=sli, slug="a", name="Requests", target=Decimal("0.9995"),
                             time_zone="UTC", created_at=EARLY)  # fmt: skip
    SloSnapshot.objects.create(slo=slo, day=day.date(), good=99, total=100, sli=Decimal("0.99"), state="exhausted",
                               window_sli=Decimal("0.999"), consumed=Decimal(2), target=slo.target, revision=1,
                               taken_at=day)  # fmt: skip
    close_due(now=NOW - timedelta(days=2))
    close_due(now=NOW)
    return promised


def _files(report: Report) -> dict[str, bytes]:
    return {file.file_format: bytes(file.content) for file in report.files.all()}


def test_make__sla__holds_what_the_periods_came_to(made: SLAContract) -> None:
    report = reports.make("sla", f"contract:{made.pk}", MARCH, now=NOW)

    inputs = json.loads(report.inputs)
    (row,) = inputs["rows"]
    assert (row["good"], row["total"], row["raw_good"], row["credit"], row["status"]) == (
        44_580, 44_630, 44_580, "100", "final",
    )  # fmt: skip
    assert row["down"] == [["2026-03-10T08:00:00+00:00", 60]]
    assert report.inputs_sha256 == sha256(report.inputs)
    files = _files(report)
    assert "99.887967 %,99.865591 %,10,10,100,USD,final" in files["csv"].decode()
    assert "&lt;b&gt;*upgrade*&lt;/b&gt;" in files["html"].decode()
    assert files["json"].decode() == report.inputs
    assert files["pdf"].startswith(b"%PDF-1.7")


def test_make__same_inputs__is_the_report_that_is_there(made: SLAContract) -> None:
    first = reports.make("sla", "", MARCH, now=NOW)

    again = reports.make("sla", "", MARCH, now=NOW + timedelta(days=1))

    assert again.pk == first.pk
    assert ReportFile.objects.count() == 4
    assert AuditEntry.objects.filter(action="report.made").count() == 1


@pytest.mark.parametrize("kind", ["sla", "error_budgets", "slo_history", "owners"])
def test_files__made_twice_of_the_same_inputs__are_the_same_bytes(made: SLAContract, kind: str) -> None:
    text = canonical(gather(kind, "", MARCH))

    one, other = (files_of(document(json.loads(text)), text, sha256(text)) for _ in range(2))

    assert one == other
    assert set(one) == {"html", "pdf", "csv", "json"}


@pytest.mark.parametrize("kind", ["sla", "error_budgets", "slo_history", "owners"])
def test_make__without_anything_to_tell__says_so(kind: str) -> None:
    report = reports.make(kind, "", MARCH, now=NOW)

    files = _files(report)
    assert b"Nothing to report" in files["html"]
    assert files["pdf"].startswith(b"%PDF")


def test_csv__text_that_a_spreadsheet_would_run__is_guarded(made: SLAContract) -> None:
    SLAContract.objects.filter(pk=made.pk).update(name="=1+1")

    report = reports.make("sla", "", MARCH, now=NOW)

    assert "'=1+1" in _files(report)["csv"].decode()


def test_verify__untouched__is_intact_and_kept(made: SLAContract) -> None:
    report = reports.make("sla", "", MARCH, now=NOW)

    found = reports.verify(report.pk, now=NOW)

    report.refresh_from_db()
    assert (found.intact, report.verified_intact, report.verified_at) == (True, True, NOW)


def test_verify__one_byte_changed__names_the_file(made: SLAContract) -> None:
    report = reports.make("sla", "", MARCH, now=NOW)
    file = report.files.get(file_format="pdf")
    ReportFile.objects.filter(pk=file.pk).update(content=bytes(file.content)[:-1] + b"x")
    Report.objects.filter(pk=report.pk).update(inputs=report.inputs.replace("44580", "44620"))

    found = reports.verify(report.pk, now=NOW)

    assert found.differences == (
        "the inputs are not those of the hash", "the JSON file does not hold the inputs",
        "the PDF file is not that of its hash",
    )  # fmt: skip
    assert Report.objects.get(pk=report.pk).verified_intact is False


def test_owners__rolled_up__counts_objectives_and_credits(made: SLAContract) -> None:
    (row,) = gather("owners", "", MARCH)["rows"]

    assert (row["objectives"], row["met"], row["missed"], row["no_data"]) == (1, 0, 1, 0)
    assert (row["periods"], row["broken"], row["credits"]) == (1, 1, {"USD": "100"})


def test_canonical__same_values__are_the_same_bytes_and_no_binary_fraction() -> None:
    assert canonical({"b": 1, "a": ["é"]}) == canonical({"a": ["é"], "b": 1}) == '{"a":["é"],"b":1}'
    with pytest.raises(TypeError):
        canonical({"a": [{"b": 0.1}]})


def test_start__job__makes_the_report_and_leads_to_it(made: SLAContract) -> None:
    job = reports.start("sla", f"customer:{made.customer.slug}", MARCH, now=NOW)

    jobs.run(job.pk, clock=timezone.now)
    jobs.run(job.pk, clock=timezone.now)

    job.refresh_from_db()
    report = Report.objects.get()
    assert (job.status, job.progress) == ("succeeded", 100)
    assert job.result["link"] == f"/admin/slas/report/{report.pk}/change/"


@pytest.mark.parametrize(("kind", "subject"), [("guess", ""), ("sla", "customer:nobody"), ("sla", "contract:x")])
def test_start__unknown_kind_or_subject__is_refused(kind: str, subject: str) -> None:
    with pytest.raises(Invalid):
        reports.start(kind, subject, MARCH, now=NOW)

    assert not Job.objects.exists()


def test_monthly__starts_each_report_once(made: SLAContract, settings: object) -> None:
    started = reports.monthly(now=NOW)
    for job in Job.objects.filter(kind="slas.report"):
        jobs.run(job.pk, clock=timezone.now)

    again = reports.monthly(now=NOW + timedelta(hours=1))

    assert (started, again) == (4, 0)
    assert set(Report.objects.values_list("kind", "window_start")) == {
        (kind, MARCH.start) for kind in ("sla", "error_budgets", "slo_history", "owners")
    }
