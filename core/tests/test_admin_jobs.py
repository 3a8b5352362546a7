"""Jobs in the admin: whose they are, their progress, their files, and long exports that become one."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from core import jobs
from core.adminkit import export
from core.choices import JobStatus
from core.models import AuditEntry, Job
from core.tests.admin_rows import NOW, ROWS
from core.tests.people import administrator, person, signed_in

pytestmark = pytest.mark.django_db
LIST = "/admin/core/conditionrecord/"
VIEW_JOBS = ("core.view_job", "core.view_conditionrecord")


@pytest.fixture
def admin() -> Client:
    return signed_in(administrator())


def _job(owner: User | None, **values: Any) -> Job:
    return Job.objects.create(**{"kind": "x", "title": "Export", "requested_by": owner, "created_at": NOW, **values})


def test_list__of_somebody_with_the_view_permission__has_their_own_jobs_only() -> None:
    maria = person(permissions=VIEW_JOBS)
    _job(maria, title="Mine")
    other = _job(administrator(), title="Not mine")
    client = signed_in(maria)

    page = client.get("/admin/core/job/").content.decode()

    assert "Mine" in page
    assert "Not mine" not in page
    assert client.get(f"/admin/core/job/{other.pk}/change/").status_code == 302
    assert client.get(f"/admin/core/job/{other.pk}/progress/").status_code == 404


def test_progress__while_it_runs__asks_again_and_then_reloads_the_page(admin: Client) -> None:
    job = _job(None, status=JobStatus.RUNNING, progress=40, message="4 of 10")
    address = f"/admin/core/job/{job.pk}/progress/"

    running = admin.get(address, headers={"HX-Request": "true"}).content.decode()
    Job.objects.update(status=JobStatus.SUCCEEDED)
    ended = admin.get(address, headers={"HX-Request": "true"})

    assert f'hx-get="{address}"' in running
    assert 'aria-valuenow="40"' in running
    assert ended["HX-Refresh"] == "true"


def test_cancel__own_and_foreign_job__only_ones_own_is_cancelled() -> None:
    maria = person(permissions=VIEW_JOBS)
    own, foreign = _job(maria), _job(administrator())
    client = signed_in(maria)

    client.post(f"/admin/core/job/{own.pk}/cancel/", {"_form_submitted": "on"})
    refused = client.post(f"/admin/core/job/{foreign.pk}/cancel/", {"_form_submitted": "on"})

    own.refresh_from_db()
    foreign.refresh_from_db()
    assert (own.status, foreign.status, refused.status_code) == (JobStatus.CANCELLED, JobStatus.QUEUED, 404)


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("queued", {"cancel"}),
        ("running", {"cancel"}),
        ("failed", {"retry"}),
        ("cancelled", {"retry"}),
        ("succeeded", set()),
    ],
)
def test_job__in_each_state__offers_what_the_state_allows(admin: Client, status: str, offered: set[str]) -> None:
    job = _job(None, status=status)

    page = admin.get(f"/admin/core/job/{job.pk}/change/").content.decode()

    assert {name for name in ("cancel", "retry") if f"/{job.pk}/{name}/" in page} == offered


def test_retry__failed_job__is_queued_again(admin: Client) -> None:
    job = _job(None, status=JobStatus.FAILED, error="disk full")

    admin.post(f"/admin/core/job/{job.pk}/retry/", {"_form_submitted": "on"})

    job.refresh_from_db()
    assert (job.status, job.error) == (JobStatus.QUEUED, "")


def test_export_xlsx__longer_than_allowed_at_once__becomes_a_job_with_a_file_for_its_owner(
    monkeypatch: pytest.MonkeyPatch, run_on_commit: Callable[..., Any]
) -> None:
    monkeypatch.setattr(export, "XLSX_AT_ONCE", 5)
    ROWS["core.conditionrecord"](12)
    maria = person(permissions=VIEW_JOBS)
    client = signed_in(maria)

    answer = client.post(f"{LIST}export/xlsx/?firing__exact=1")
    job = Job.objects.get()
    jobs.run(job.pk, clock=timezone.now)

    assert answer["Location"] == f"/admin/core/job/{job.pk}/change/"
    job.refresh_from_db()
    assert (job.status, job.result["summary"], job.requested_by) == (JobStatus.SUCCEEDED, "6 rows", maria)
    file = client.get(f"/admin/core/job/{job.pk}/file/").getvalue()
    assert zipfile.ZipFile(BytesIO(file)).testzip() is None
    assert hashlib.sha256(file).hexdigest() in client.get(f"/admin/core/job/{job.pk}/change/").content.decode()
    assert AuditEntry.objects.filter(action="job.file_fetched").count() == 1
    assert signed_in(administrator()).get(f"/admin/core/job/{job.pk}/file/").status_code == 403


def test_export_job__permission_taken_away_meanwhile__fails_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "XLSX_AT_ONCE", 1)
    ROWS["core.conditionrecord"](3)
    maria = person(permissions=VIEW_JOBS)
    signed_in(maria).post(f"{LIST}export/xlsx/")
    maria.user_permissions.clear()
    job = Job.objects.get()

    jobs.run(job.pk, clock=timezone.now)

    job.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert "may not export" in job.error
    assert not jobs.result_folder(job).exists()
