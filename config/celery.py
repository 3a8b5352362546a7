"""The Celery application: tasks are found in every app's `tasks` module, schedules live in the database.

Whoever caused a task travels with its message: the request id and the actor of the web request are those of the
task, in its logs and in its audit entries.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# The checks below are the same, and end with a message instead of a traceback.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

CAUSE = "agent_factory"
REFUSED = 1


class Application(Celery):
    """Celery that looks at the configuration before its command line starts a worker or beat."""

    @property
    def Worker(self) -> Any:  # noqa: N802  # the name of the base class
        """Return the worker of the command line, once everything it needs is in order."""
        refuse_unsound_start()
        return super().Worker

    @property
    def Beat(self) -> Any:  # noqa: N802  # the name of the base class
        """Return the scheduler of the command line, once everything it needs is in order."""
        refuse_unsound_start()
        return super().Beat


def refuse_unsound_start() -> None:
    """End the process with a message when the configuration is wrong or a service does not answer."""
    import django

    django.setup()
    from core.starting import exit_on_refusal, require_everything

    exit_on_refusal(require_everything, REFUSED)


app = Application("agent_factory")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_logging(**_: Any) -> None:
    """Leave the logs as the settings have them: with a receiver here, Celery sets up none of its own."""


@signals.worker_process_init.connect
def use_plain_connections(**_: Any) -> None:
    """Give a forked worker process its own single connection: it runs one task at a time and needs no pool."""
    from core.forks import drop_pools

    drop_pools()


@signals.worker_ready.connect
def show_life(sender: Any, **_: Any) -> None:
    """Have a fresh worker show at once that it does what it is sent, instead of at the next full minute."""
    sender.app.send_task("core.pulse", expires=60)


@signals.before_task_publish.connect
def send_cause(headers: dict[str, Any], **_: Any) -> None:
    """Write into the message who and which request asked for the task."""
    from core.context import current

    context = current()
    actor = context.actor
    headers[CAUSE] = {"request_id": context.request_id, "actor": [actor.kind, actor.identifier, actor.label]}


@signals.task_prerun.connect
def take_cause(task: Any, task_id: str, **_: Any) -> None:
    """Run the task in the circumstances that its message carries, and name it in every line of its log."""
    import structlog

    from core.context import SYSTEM, Actor, Context, acting

    cause = getattr(task.request, CAUSE, None) or {}
    request_id = cause.get("request_id") or task_id
    actor = Actor(*cause["actor"]) if cause.get("actor") else SYSTEM
    # What a schedule sends has no request behind it, and would fill the log by itself.
    task.request.asked_for = bool(cause.get("request_id"))
    circumstances = ExitStack()
    circumstances.enter_context(acting(Context(actor=actor, channel="task", request_id=request_id)))
    circumstances.enter_context(
        structlog.contextvars.bound_contextvars(task=task.name, task_id=task_id, request_id=request_id)
    )
    task.request.circumstances = circumstances


@signals.task_postrun.connect
def leave_cause(task: Any, state: str | None = None, **_: Any) -> None:
    """Say how a task that somebody asked for has ended, and return the thread to no circumstances at all."""
    import structlog

    if getattr(task.request, "asked_for", False):
        structlog.get_logger("task").info("task", state=state)
    circumstances = getattr(task.request, "circumstances", None)
    if circumstances is not None:
        circumstances.close()
