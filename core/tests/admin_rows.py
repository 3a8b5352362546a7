"""Rows for the generic tests of admin lists. Every app with admin pages has such a module with `ROWS`.

`ROWS` maps "app.model" to a function that makes `count` rows of it, as different from one another as real ones.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib import import_module

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.sessions.backends.db import SessionStore
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_celery_results.models import TaskResult

from core.apikeys import create_key
from core.choices import ApprovalStatus, JobStatus, Severity
from core.models import Approval, AuditEntry, ConditionRecord, Job
from core.ports.scopes import scopes

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _user() -> User:
    return User.objects.create_user(_fresh("person"))


def _users(count: int) -> None:
    for number in range(count):
        user = _user()
        user.groups.set(Group.objects.order_by("pk")[: number % 3])
        Authenticator.objects.create(user=user, type="totp", data={})


def _keys(count: int) -> None:
    first = next(iter(scopes)).name
    for _ in range(count):
        create_key(_fresh("key"), scopes=[first], now=NOW, owner=_user())


def _approvals(count: int) -> None:
    for number in range(count):
        asked_by = _user()
        Approval.objects.create(
            kind="test.paint", title=_fresh("paint"), arguments={"number": number}, digest=_fresh("digest"),
            description=["Paint it"], reason="it is grey", status=ApprovalStatus.values[number % 8],
            requester_kind="user", requester_id=str(asked_by.pk), requester_label=asked_by.get_username(),
            requested_by=asked_by, requested_at=NOW, expires_at=NOW, remind_at=NOW,
        )  # fmt: skip


def _jobs(count: int) -> None:
    for number in range(count):
        status = JobStatus.values[number % len(JobStatus.values)]
        Job.objects.create(
            kind="x", title=_fresh("job"), status=status, requested_by=_user(), created_at=NOW, finished_at=NOW
        )


def _audit_entries(count: int) -> None:
    for number in range(count):
        AuditEntry.objects.create(
            at=NOW, actor_kind="user", actor_id=str(number), actor_label=_fresh("person"), channel="admin",
            action="thing.changed", subject_type="core.job", subject_id=_fresh("job"), after={"a": number},
        )  # fmt: skip


def _conditions(count: int) -> None:
    for number in range(count):
        ConditionRecord.objects.create(
            source="costs.budget", key=_fresh("budget"), firing=bool(number % 2), summary=_fresh("over"),
            severity=Severity.values[number % 5], raised_at=NOW, changed_at=NOW, seen_at=NOW,
        )  # fmt: skip


def _periodic_tasks(count: int) -> None:
    for number in range(count):
        interval = IntervalSchedule.objects.create(every=number + 7, period="minutes")
        PeriodicTask.objects.create(name=_fresh("task"), task="core.pulse", interval=interval)


def _task_results(count: int) -> None:
    for _ in range(count):
        TaskResult.objects.create(task_id=_fresh("task"), task_name="core.pulse", status="SUCCESS")


def _sessions(count: int) -> None:
    for _ in range(count):
        store = SessionStore()
        store.create()
        UserSession.objects.create(user=_user(), ip="127.0.0.1", session_key=store.session_key, user_agent="curl")


def _each(make: Callable[[int], object]) -> Rows:
    def rows(count: int) -> None:
        for number in range(count):
            make(number)

    return rows


ROWS: dict[str, Rows] = {
    "auth.user": _users,
    "auth.group": _each(lambda _: Group.objects.create(name=_fresh("group"))),
    "core.apikey": _keys,
    "core.approval": _approvals,
    "core.auditentry": _audit_entries,
    "core.conditionrecord": _conditions,
    "core.job": _jobs,
    "mfa.authenticator": _each(lambda _: Authenticator.objects.create(user=_user(), type="totp", data={})),
    "usersessions.usersession": _sessions,
    "django_celery_beat.periodictask": _periodic_tasks,
    "django_celery_beat.intervalschedule": _each(
        lambda number: IntervalSchedule.objects.create(every=number + 7, period="minutes")
    ),
    "django_celery_beat.crontabschedule": _each(lambda number: CrontabSchedule.objects.create(minute=str(number % 60))),
    "django_celery_beat.clockedschedule": _each(
        lambda number: ClockedSchedule.objects.create(clocked_time=NOW + timedelta(hours=number))
    ),
    "django_celery_beat.solarschedule": _each(
        lambda _: SolarSchedule.objects.create(event="sunrise", latitude=SolarSchedule.objects.count(), longitude=0)
    ),
    "django_celery_results.taskresult": _task_results,
}


def rows_by_model() -> dict[str, Rows]:
    """Return what makes rows, from every app that has it."""
    found: dict[str, Rows] = {}
    for config in apps.get_app_configs():
        try:
            found |= import_module(f"{config.name}.tests.admin_rows").ROWS
        except ModuleNotFoundError:
            continue
    return found
