"""Tasks of the platform itself: long jobs, their sweep, the sign of life, and tidying of the embedded queue."""

from __future__ import annotations

import uuid
from pathlib import Path

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from core import idempotency, jobs, pulses, queue_files


@shared_task(name=jobs.TASK, ignore_result=True, acks_late=True)
def run_job(*, job_id: str) -> None:
    """Do one job; safe to be delivered twice, and to find the job gone."""
    jobs.run(uuid.UUID(job_id), clock=timezone.now)


@shared_task(name="core.sweep_jobs", ignore_result=True, expires=60)
def sweep_jobs() -> None:
    """Send lost messages again and take jobs back from silent workers."""
    jobs.sweep(now=timezone.now())


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
