"""Jobs: claimed once, watched, cancelled, taken back from dead workers, and safe against messages lost or doubled."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection, transaction

from core import jobs
from core.context import current
from core.errors import Conflict, Forbidden
from core.models import AuditEntry, Job
from core.ports import PortError
from core.ports.jobs import JobContext, JobKind, JobResult, JobStoppedError, job_kinds
from core.tasks import run_job
from core.tests.processes import Platform, copy, environment, manage, shell, wait_for

LATER = timedelta(minutes=5)


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """Return a function that offers one kind of job, for this test."""
    monkeypatch.setattr(job_kinds, "_items", {})
    sent: list[str] = []
    monkeypatch.setattr(current_app, "send_task", lambda _, kwargs: sent.append(kwargs["job_id"]))

    def offer(run: Callable[..., JobResult]) -> list[str]:
        job_kinds._items["copy"] = JobKind("copy", "Copy things", run, "core.add_job")
        return sent

    return offer


def finish(context: JobContext, **_: object) -> JobResult:
    return JobResult("done", link="/there")


def start(now: datetime, **values: Any) -> Job:
    return jobs.start_job("copy", now=now, **values)


def do(job: Job, now: datetime) -> Job:
    jobs.run(job.pk, clock=lambda: now)
    job.refresh_from_db()
    return job


@pytest.mark.django_db
def test_start__committed__writes_the_row_and_sends_its_id(kind: Any, now: datetime, run_on_commit: Any) -> None:
    sent = kind(finish)

    with run_on_commit():
        job = start(now, arguments={"what": "all"}, title="Copy all")
        assert sent == []

    assert sent == [str(job.pk)]
    assert (job.status, job.title, job.arguments, job.attempt) == ("queued", "Copy all", {"what": "all"}, 0)
    assert AuditEntry.objects.filter(action="job.started", subject_id=str(job.pk)).count() == 1


@pytest.mark.django_db
def test_start__rolled_back__sends_nothing(kind: Any, now: datetime, run_on_commit: Any) -> None:
    sent = kind(finish)

    def work() -> None:
        with transaction.atomic():
            start(now)
            raise RuntimeError("changed my mind")

    with run_on_commit(), pytest.raises(RuntimeError):
        work()
    assert sent == []
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_start__person_without_the_permission__is_refused_and_nothing_is_written(kind: Any, now: datetime) -> None:
    kind(finish)
    user = get_user_model().objects.create_user("ada")

    with pytest.raises(Forbidden, match=r"core\.add_job"):
        start(now, requested_by=user)
    assert not Job.objects.exists()

    user.user_permissions.add(Permission.objects.get(codename="add_job"))
    assert start(now, requested_by=get_user_model().objects.get()).requested_by == user


@pytest.mark.django_db
def test_start__unknown_kind__is_refused(kind: Any, now: datetime) -> None:
    with pytest.raises(PortError, match="nobody offers 'copy'"):
        start(now)
    assert not Job.objects.exists()


@pytest.mark.django_db
def test_run__waiting__succeeds_with_its_result_as_the_person_who_asked(kind: Any, now: datetime) -> None:
    seen: list[object] = []

    def work(context: JobContext, *, what: str) -> JobResult:
        seen.extend([what, current().actor.label, current().channel])
        context.file("report.csv").write_text("1")
        return JobResult("copied", file="report.csv")

    kind(work)
    user = get_user_model().objects.create_superuser("ada")
    job = do(start(now, arguments={"what": "all"}, requested_by=user), now + LATER)

    assert seen == ["all", "ada", "task"]
    assert (job.status, job.progress, job.result) == ("succeeded", 100, {"summary": "copied", "file": "report.csv"})
    assert (job.attempt, job.started_at, job.finished_at) == (1, now + LATER, now + LATER)
    assert (jobs.result_folder(job) / "report.csv").read_text() == "1"


@pytest.mark.django_db
def test_run__raises__fails_with_a_readable_error(kind: Any, now: datetime) -> None:
    def work(context: JobContext) -> JobResult:
        raise ValueError("the file has no heading")

    kind(work)
    job = do(start(now), now)

    assert (job.status, job.error, job.finished_at) == ("failed", "ValueError: the file has no heading", now)


@pytest.mark.django_db
def test_run__delivered_twice__is_done_once(kind: Any, now: datetime) -> None:
    runs: list[int] = []

    def work(context: JobContext) -> JobResult:
        runs.append(1)
        return JobResult("done")

    kind(work)
    job = start(now)

    run_job.apply(kwargs={"job_id": str(job.pk)}).get()
    run_job.apply(kwargs={"job_id": str(job.pk)}).get()

    job.refresh_from_db()
    assert (runs, job.status, job.attempt) == ([1], "succeeded", 1)


@pytest.mark.django_db
def test_run__row_is_gone__does_nothing(kind: Any) -> None:
    run_job.apply(kwargs={"job_id": str(uuid.uuid4())}).get()

    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_run__by_many_workers_at_once__is_done_by_one(kind: Any, now: datetime) -> None:
    runs: list[str] = []
    together = threading.Barrier(5)

    def copy_once(context: JobContext) -> JobResult:
        runs.append(threading.current_thread().name)
        return JobResult("done")

    kind(copy_once)
    job = start(now)

    def work() -> None:
        try:
            together.wait()
            jobs.run(job.pk, clock=lambda: now)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    job.refresh_from_db()
    assert (len(runs), job.status, job.attempt) == (1, "succeeded", 1)


@pytest.mark.django_db
def test_progress__many_reports__writes_at_most_two_a_second(kind: Any, now: datetime) -> None:
    written: list[int] = []

    def work(context: JobContext) -> JobResult:
        for percent in range(100):
            context.progress(percent, f"{percent} done")
            written.append(Job.objects.get().progress)
        return JobResult("done")

    kind(work)
    job = do(start(now), now)

    assert len(set(written)) <= 2
    assert job.progress == 100


@pytest.mark.django_db
def test_cancel__while_running__stops_at_the_next_report_and_writes_nothing_more(kind: Any, now: datetime) -> None:
    def work(context: JobContext) -> JobResult:
        jobs.cancel_job(Job.objects.get(), now=now)
        context.progress(50, "half")
        raise AssertionError("it went on")

    kind(work)
    job = do(start(now), now + LATER)

    assert (job.status, job.progress, job.message, job.error) == ("cancelled", 0, "", "")
    assert AuditEntry.objects.filter(action="job.cancelled").count() == 1


@pytest.mark.django_db
def test_cancel__ended__is_refused(kind: Any, now: datetime) -> None:
    kind(finish)
    job = do(start(now), now)

    with pytest.raises(Conflict):
        jobs.cancel_job(job, now=now)
    job.refresh_from_db()
    assert job.status == "succeeded"


@pytest.mark.django_db
def test_retry__failed__starts_over_and_a_succeeded_one_is_refused(
    kind: Any, now: datetime, run_on_commit: Any
) -> None:
    sent = kind(finish)
    job = start(now)
    Job.objects.update(status="failed", error="boom", attempt=3, progress=40)

    with run_on_commit():
        jobs.retry_job(job, now=now + LATER)

    assert sent == [str(job.pk)]
    assert (job.status, job.attempt, job.error, job.progress) == ("queued", 0, "", 0)
    do(job, now)
    with pytest.raises(Conflict):
        jobs.retry_job(job, now=now)


@pytest.mark.django_db
def test_sweep__message_lost__sends_it_again_once_per_interval(kind: Any, now: datetime, run_on_commit: Any) -> None:
    sent = kind(finish)
    job = start(now)

    with run_on_commit():
        first = jobs.sweep(now=now + LATER)
        second = jobs.sweep(now=now + LATER + timedelta(seconds=30))

    assert (first.resent, second.resent) == (1, 0)
    assert sent[-1:] == [str(job.pk)]
    assert do(job, now + LATER).status == "succeeded"


@pytest.mark.django_db
def test_sweep__silent_worker__takes_the_job_back_and_fences_the_worker_off(
    kind: Any, now: datetime, run_on_commit: Any
) -> None:
    sent = kind(finish)
    job = start(now)
    lost = jobs.RunningJob(jobs._claim(job.pk, now=now), clock=lambda: now)  # type: ignore[arg-type]  # it is there

    with run_on_commit():
        done = jobs.sweep(now=now + LATER)

    assert (done.taken_back, sent[-1:]) == (1, [str(job.pk)])
    with pytest.raises(JobStoppedError):
        lost.progress(90)
    with pytest.raises(JobStoppedError):
        lost.succeed(JobResult("too late"))
    job = do(job, now + LATER)
    assert (job.status, job.attempt, job.result["summary"]) == ("succeeded", 2, "done")


@pytest.mark.django_db
def test_sweep__worker_that_reports__is_left_alone(kind: Any, now: datetime) -> None:
    kind(finish)
    job = start(now)
    running = jobs.RunningJob(jobs._claim(job.pk, now=now), clock=lambda: now + LATER)  # type: ignore[arg-type]
    running.beat()

    assert jobs.sweep(now=now + LATER + timedelta(seconds=30)) == jobs.Sweep(0, 0, 0)


@pytest.mark.django_db
def test_sweep__third_worker_lost__gives_up_with_a_readable_error(kind: Any, now: datetime) -> None:
    kind(finish)
    job = start(now)
    at = now
    for _ in range(3):
        jobs._claim(job.pk, now=at)
        at += LATER
        done = jobs.sweep(now=at)

    job.refresh_from_db()
    assert (done.given_up, job.status, job.attempt) == (1, "failed", 3)
    assert "The worker stopped 3 times" in job.error


@pytest.mark.django_db
def test_send__broker_gone__keeps_the_row_for_the_sweep(
    kind: Any, now: datetime, run_on_commit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind(finish)

    def refuse(name: str, kwargs: object) -> None:
        raise ConnectionRefusedError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    with run_on_commit():
        job = start(now)

    job.refresh_from_db()
    assert job.status == "queued"


@pytest.mark.processes
def test_job__worker_killed__is_done_by_the_next_one(tmp_path: Path, prepared: Path) -> None:
    env = environment(copy(prepared, tmp_path))
    started = tmp_path / "started"
    platform = Platform(env, "--no-beat")
    try:
        arguments = {"seconds": 3, "started": str(started)}
        code = "from core import jobs; from django.utils import timezone; "
        shell(f"{code}jobs.start_job('fleet.copy', now=timezone.now(), arguments={arguments!r})", env)
        wait_for(started.exists)
        os.kill(platform.children()[0], signal.SIGKILL)
        # Older than any heartbeat may be: what minutes of waiting would do.
        shell(
            "from core.models import Job; from django.utils import timezone; from datetime import timedelta; "
            "Job.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))",
            env,
        )

        assert "1 taken back" in manage("sweep_jobs", env=env).stdout

        show = "from core.models import Job; print(*Job.objects.values_list('status', 'attempt').get())"
        wait_for(lambda: shell(show, env) == "succeeded 2", 60)
        assert len(set(started.read_text().split())) == 2
    finally:
        platform.kill()


@pytest.mark.processes
def test_task__sent_by_a_request__carries_its_request_and_actor(tmp_path: Path, prepared: Path) -> None:
    env = environment(copy(prepared, tmp_path))
    told = tmp_path / "told"
    platform = Platform(env, "--no-beat")
    try:
        shell(
            "from celery import current_app; from core.context import Actor, Context, acting; "
            "context = Context(Actor('user', '7', 'ada'), channel='admin', request_id='r-42'); "
            f"scope = acting(context); scope.__enter__(); "
            f"current_app.send_task('fleet.tell', kwargs={{'path': {str(told)!r}}})",
            env,
        )
        wait_for(lambda: told.exists() and bool(told.read_text()))
        assert told.read_text().split()[1:] == ["task", "ada", "r-42"]
    finally:
        platform.kill()
