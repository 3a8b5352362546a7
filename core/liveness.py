"""Is anybody at work: the checks of workers, schedules and jobs, and the schedules they rest on."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from core import pulses, schedules
from core.choices import JobStatus
from core.jobs import RESEND_AFTER, STALE_AFTER
from core.models import Job
from core.ports.health import HealthCheck, HealthResult, health_checks
from core.ports.schedules import Schedule
from core.ports.schedules import schedules as offered

PULSE_EVERY = timedelta(minutes=1)
SILENT_AFTER = 3 * PULSE_EVERY
START_WORKER = "start a worker: `manage.py up`, or `celery -A config worker` beside a separate web server"
START_BEAT = "start the scheduler: `manage.py up`, or exactly one `celery -A config beat`"


def register() -> None:
    """Offer core's schedules and liveness checks; called once, from the app's ready()."""
    for schedule in (
        Schedule("core.pulse", "core.pulse", "Shows that schedules fire and a worker is at work.", every=PULSE_EVERY),
        Schedule("core.sweep_jobs", "core.sweep_jobs", "Takes jobs back from dead workers.", every=PULSE_EVERY),
        Schedule(
            "core.expire_approvals",
            "core.expire_approvals",
            "Expires requests nobody decided; carries out approved ones whose message was lost.",
            every=PULSE_EVERY,
        ),
        Schedule("core.tidy_queue", "core.tidy_queue", "Tidies the embedded queue's files.", every=timedelta(hours=1)),
        Schedule(
            "core.forget_old_keys",
            "core.forget_old_keys",
            "Forgets idempotency keys after 30 days.",
            crontab="45 2 * * *",
        ),
    ):
        offered.register(schedule)
    health_checks.register(HealthCheck("worker", "A worker did what a schedule asked for.", check_worker))
    health_checks.register(HealthCheck("schedules", "Every schedule fires when it should.", check_schedules))
    health_checks.register(HealthCheck("jobs", "No long job is stuck.", check_jobs))


def check_worker() -> HealthResult:
    """Warn when no worker has written its pulse for three minutes."""
    at = pulses.last_beat("worker")
    if at is None:
        return HealthResult("warning", "no worker has been at work yet", START_WORKER)
    age = timezone.now() - at
    if age > SILENT_AFTER:
        return HealthResult("warning", f"no worker has been at work for {_spoken(age)}", START_WORKER)
    return HealthResult("ok", f"a worker was at work {_spoken(age)} ago")


def check_schedules() -> HealthResult:
    """Warn when schedules were never synced, or have not fired for more than two of their intervals."""
    unsynced = schedules.missing()
    if unsynced:
        return HealthResult("warning", f"not set up: {', '.join(unsynced[:5])}", "run manage.py sync_schedules")
    now = timezone.now()
    late = schedules.late(now=now)
    if late:
        names = ", ".join(f"{item.name} ({_spoken(now - item.since)})" for item in late[:5])
        return HealthResult("warning", f"{len(late)} did not fire when due: {names}", START_BEAT)
    return HealthResult("ok", f"{len(offered)} schedules are on time")


def check_jobs() -> HealthResult:
    """Warn when a job waits or is silent for longer than the sweep should leave it."""
    now = timezone.now()
    stuck = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__lt=now - 2 * STALE_AFTER).count()
    waiting = Job.objects.filter(status=JobStatus.QUEUED, heartbeat_at__lt=now - 2 * RESEND_AFTER).count()
    if stuck or waiting:
        return HealthResult("warning", f"{stuck} silent and {waiting} waiting jobs are not looked after", START_WORKER)
    return HealthResult("ok", "no job is stuck")


def _spoken(age: timedelta) -> str:
    seconds = max(0, round(age.total_seconds()))
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h"
