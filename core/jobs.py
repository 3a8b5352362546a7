"""Long work in the background: the row is the truth, the message to a worker only a hint.

A job is claimed by one conditional UPDATE that gives it a token; whoever does not hold the token any more cannot
write to it. A sweep sends lost messages again and takes jobs back from workers that have gone silent.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from celery import current_app
from django.conf import settings
from django.contrib.auth.models import User
from django.db import close_old_connections, connection, transaction
from django.db.models import F
from kombu.exceptions import KombuError, OperationalError

from core import audit
from core.choices import JobStatus
from core.context import SYSTEM, Actor, Context, acting, current
from core.errors import Conflict, Forbidden
from core.models import Job
from core.ports.jobs import JobResult, JobStoppedError, job_kinds

log = structlog.get_logger(__name__)

TASK = "core.run_job"
HEARTBEAT_SECONDS = 15.0
STALE_AFTER = timedelta(seconds=90)
RESEND_AFTER = timedelta(minutes=2)
MAX_ATTEMPTS = 3
WRITE_EVERY_SECONDS = 0.5

OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep did: messages sent again, jobs taken back from silent workers, jobs given up."""

    resent: int
    taken_back: int
    given_up: int


def start_job(
    kind: str,
    *,
    now: datetime,
    arguments: Mapping[str, object] | None = None,
    title: str = "",
    requested_by: User | None = None,
) -> Job:
    """Write the job and, once the caller's transaction is committed, tell a worker.

    Raises PortError for an unknown kind and Forbidden when the person lacks the kind's permission.
    """
    offered = job_kinds.get(kind)
    if requested_by is not None and not requested_by.has_perm(offered.permission):
        raise Forbidden(f"starting “{offered.title}” needs the permission {offered.permission}")
    with transaction.atomic():
        job = Job.objects.create(
            kind=kind,
            title=(title or offered.title)[:200],
            arguments=dict(arguments or {}),
            requested_by_id=requested_by.pk if requested_by else None,
            request_id=current().request_id,
            created_at=now,
            # While a job waits this is when its message was last sent.
            heartbeat_at=now,
        )
        audit.record("job.started", job, now=now, after={"kind": kind, "arguments": job.arguments})
        _send_on_commit(job.pk)
    return job


def cancel_job(job: Job, *, now: datetime) -> None:
    """Cancel a job that waits or runs; its worker learns it at its next report. Raises Conflict when it has ended."""
    with transaction.atomic():
        changed = Job.objects.filter(pk=job.pk, status__in=OPEN).update(
            status=JobStatus.CANCELLED, finished_at=now, token=None
        )
        if not changed:
            raise Conflict("the job has ended already", code="job_ended")
        audit.record("job.cancelled", job, now=now)
    job.refresh_from_db()


def retry_job(job: Job, *, now: datetime) -> None:
    """Queue a failed or cancelled job again from its beginning; raises Conflict for any other."""
    with transaction.atomic():
        ended = Job.objects.filter(pk=job.pk, status__in=(JobStatus.FAILED, JobStatus.CANCELLED))
        changed = ended.update(
            status=JobStatus.QUEUED, attempt=0, progress=0, message="", error="", result={}, heartbeat_at=now,
            started_at=None, finished_at=None,
        )  # fmt: skip
        if not changed:
            raise Conflict("only a job that failed or was cancelled can be retried", code="job_not_retriable")
        audit.record("job.retried", job, now=now)
        _send_on_commit(job.pk)
    job.refresh_from_db()


def run(job_id: uuid.UUID, *, clock: Clock) -> None:
    """Do one waiting job; nothing happens when it is gone, ended, or another worker has it."""
    job = _claim(job_id, now=clock())
    if job is None:
        return
    running = RunningJob(job, clock)
    with acting(_circumstances(job)), _heartbeat(running):
        _attempt(job, running)


def sweep(*, now: datetime) -> Sweep:
    """Send again what was lost, take back what a dead worker held, give up what killed MAX_ATTEMPTS workers."""
    taken_back = given_up = 0
    silent = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__lt=now - STALE_AFTER)
    for job in silent.order_by("heartbeat_at", "pk"):
        if job.attempt >= MAX_ATTEMPTS:
            given_up += _give_up(job, now=now)
        else:
            taken_back += _take_back(job, now=now)
    resent = sum(
        _resend(job, now=now)
        for job in Job.objects.filter(status=JobStatus.QUEUED, heartbeat_at__lt=now - RESEND_AFTER).order_by("pk")
    )
    return Sweep(resent=resent, taken_back=taken_back, given_up=given_up)


@dataclass(slots=True)
class RunningJob:
    """A claimed job as its function sees it: reports progress for as long as it holds the token."""

    job: Job
    clock: Clock
    _written: float = field(default=0.0)

    def progress(self, percent: int, message: str = "") -> None:
        """Write how far the job is, at most twice a second; raises JobStoppedError when it was taken away."""
        if time.monotonic() - self._written < WRITE_EVERY_SECONDS:
            return
        self._written = time.monotonic()
        self._write(progress=min(max(percent, 0), 100), message=message[:500], heartbeat_at=self.clock())

    def beat(self) -> None:
        """Say that the worker is alive."""
        self._write(heartbeat_at=self.clock())

    def file(self, name: str) -> Path:
        """Return where to write a result file: a folder of this job in DATA_DIR."""
        folder = result_folder(self.job)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder / Path(name).name

    def succeed(self, result: JobResult) -> None:
        """Write the result."""
        values = {name: value for name, value in asdict(result).items() if value}
        self._write(status=JobStatus.SUCCEEDED, progress=100, result=values, finished_at=self.clock())

    def fail(self, error: str) -> None:
        """Write why it failed, for a person."""
        self._write(status=JobStatus.FAILED, error=error[:2000], finished_at=self.clock())

    def _write(self, **values: Any) -> None:
        mine = Job.objects.filter(pk=self.job.pk, token=self.job.token, status=JobStatus.RUNNING)
        if not mine.update(**values):
            raise JobStoppedError(f"job {self.job.pk} was cancelled or given to another worker")


def result_folder(job: Job) -> Path:
    """Return the folder of a job's result files."""
    return Path(settings.MEDIA_ROOT) / "jobs" / str(job.pk)


def _claim(job_id: uuid.UUID, *, now: datetime) -> Job | None:
    token = uuid.uuid4()
    claimed = Job.objects.filter(pk=job_id, status=JobStatus.QUEUED).update(
        status=JobStatus.RUNNING, token=token, attempt=F("attempt") + 1, started_at=now, heartbeat_at=now
    )
    return Job.objects.select_related("requested_by").filter(pk=job_id, token=token).first() if claimed else None


def _attempt(job: Job, running: RunningJob) -> None:
    try:
        result = job_kinds.get(job.kind).run(running, **job.arguments)
        running.succeed(result)
    except JobStoppedError:
        log.info("job stopped", job=str(job.pk), kind=job.kind)
    except Exception as error:  # whatever a job raises ends as a row that a person can read
        log.exception("job failed", job=str(job.pk), kind=job.kind)
        _fail_quietly(running, f"{type(error).__name__}: {error}")


def _fail_quietly(running: RunningJob, error: str) -> None:
    try:
        running.fail(error)
    except JobStoppedError:
        log.info("job failed after it was taken away", job=str(running.job.pk))


def _circumstances(job: Job) -> Context:
    user = job.requested_by
    actor = Actor("user", str(user.pk), user.get_username()) if user else SYSTEM
    return Context(actor=actor, channel="task", request_id=job.request_id or current().request_id)


@contextmanager
def _heartbeat(running: RunningJob) -> Iterator[None]:
    """Keep the job's heartbeat fresh while its function works without reporting."""
    over = threading.Event()
    thread = threading.Thread(target=_beat_until, args=(running, over), name="job heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _beat_until(running: RunningJob, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_SECONDS):
        close_old_connections()
        try:
            running.beat()
        except JobStoppedError:
            # The function learns it by itself, at its next report.
            break
        finally:
            connection.close()


def _held(job: Job) -> Any:
    """Return the job as long as nothing happened to it since it was read."""
    return Job.objects.filter(pk=job.pk, status=job.status, token=job.token, heartbeat_at=job.heartbeat_at)


def _give_up(job: Job, *, now: datetime) -> int:
    error = f"The worker stopped {job.attempt} times while doing this job; it was last heard of at {job.heartbeat_at}."
    return int(_held(job).update(status=JobStatus.FAILED, error=error, finished_at=now, token=None))


def _take_back(job: Job, *, now: datetime) -> int:
    with transaction.atomic():
        taken = int(_held(job).update(status=JobStatus.QUEUED, token=None, heartbeat_at=now))
        if taken:
            _send_on_commit(job.pk)
    return taken


def _resend(job: Job, *, now: datetime) -> int:
    with transaction.atomic():
        ours = int(_held(job).update(heartbeat_at=now))
        if ours:
            _send_on_commit(job.pk)
    return ours


def _send_on_commit(job_id: uuid.UUID) -> None:
    transaction.on_commit(lambda: _send(job_id))


def _send(job_id: uuid.UUID) -> None:
    try:
        current_app.send_task(TASK, kwargs={"job_id": str(job_id)})
    except (OperationalError, KombuError, OSError) as error:
        # The row is there: the sweep sends the message again.
        log.warning("job message could not be sent", job=str(job_id), error=str(error))
