"""Tasks of the platform itself: long jobs, their sweep, the sign of life, and tidying of the embedded queue."""

from __future__ import annotations

import uuid
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from core import approvals, idempotency, jobs, pulses, queue_files
from core.approvals.execution import TASK as CARRY_OUT


@shared_task(name=jobs.TASK, ignore_result=True, acks_late=True)
def run_job(*, job_id: str) -> None:
    """Do one job; safe to be delivered twice, and to find the job gone."""
    jobs.run(uuid.UUID(job_id), clock=timezone.now)


@shared_task(name="core.sweep_jobs", ignore_result=True, expires=60)
def sweep_jobs() -> None:
    """Send lost messages again and take jobs back from silent workers."""
    jobs.sweep(now=timezone.now())


@shared_task(name=CARRY_OUT, ignore_result=True, acks_late=True)
def carry_out_approval(*, approval_id: str) -> None:
    """Do what was approved; safe to be delivered twice, and to find the request gone or not approved."""
    approvals.carry_out(uuid.UUID(approval_id), clock=timezone.now)


@shared_task(name="core.expire_approvals", ignore_result=True, expires=60)
def expire_approvals() -> None:
    """Expire requests nobody decided, say which wait too long, and send approved ones to a worker again."""
    approvals.sweep(now=timezone.now())


@shared_task(name="core.pulse", ignore_result=True, expires=60)
def pulse() -> None:
    """Write that schedules fire and a worker does what they ask for."""
    pulses.beat("worker", now=timezone.now())


@shared_task(name="core.tidy_queue", ignore_result=True, expires=3600)
def tidy_queue() -> None:
    """Remove the files of messages that were taken from the embedded queue long ago."""
    if not settings.REDIS_URL:
        queue_files.remove_processed(Path(settings.QUEUE_DIR) / "processed", now=timezone.now())


@shared_task(name="core.forget_old_keys", ignore_result=True, acks_late=True, expires=6 * 3600)
def forget_old_keys() -> None:
    """Delete the idempotency keys that are older than 30 days; safe to run twice at once."""
    idempotency.forget_old_keys(timezone.now())
