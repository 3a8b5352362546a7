from __future__ import annotations

import os
import time
from pathlib import Path

from celery import shared_task
from celery.worker import state
from django.db import connection

from core.context import current
from core.ports.jobs import JobContext, JobResult


@shared_task(name="fleet.sleep")
def sleep(*, seconds: float, done: str) -> None:
    time.sleep(seconds)
    Path(done).write_text("done")


@shared_task(name="fleet.break_worker")
def break_worker() -> None:
    state.should_stop = 1  # type: ignore[assignment]  # the stubs know the initial value only


@shared_task(name="fleet.tell")
def tell(*, path: str) -> None:
    context = current()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    Path(path).write_text(f"{os.getpid()} {context.channel} {context.actor.label} {context.request_id}")


def copy_slowly(context: JobContext, *, seconds: float, started: str) -> JobResult:
    with Path(started).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    context.progress(50, "half")
    target = context.file("copy.txt")
    target.write_text("copied")
    return JobResult("copied", file=target.name)
