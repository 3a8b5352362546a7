"""Brings the default schedules of all apps into django-celery-beat, and tells which of them are late.

What a sync wrote is remembered per schedule. A field that still has that value follows the app's default; one that an
operator changed in the admin is left alone for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from celery.schedules import crontab as parse_crontab
from django.conf import settings
from django.db import transaction
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask, PeriodicTasks

from core.models import ScheduleRecord
from core.ports.schedules import Schedule, schedules

DAY = timedelta(days=1)
GRACE = timedelta(minutes=2)
# Celery adds this schedule by itself, to remove old task results.
FOREIGN = frozenset({"celery.backend_cleanup"})


@dataclass(frozen=True, slots=True)
class Synced:
    """Names of the schedules that a sync made, changed, removed and switched off."""

    made: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    switched_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Late:
    """A schedule that should have fired and did not."""

    name: str
    since: datetime


@transaction.atomic
def sync(*, now: datetime) -> Synced:
    """Bring the defaults in; doing it again changes nothing. Schedules no longer offered go, or are switched off.

    A schedule that fired while the clock was ahead would not be due before the clock is there again; it begins anew.
    """
    PeriodicTask.objects.filter(last_run_at__gt=now + GRACE).update(last_run_at=now)
    tasks = {task.name: task for task in PeriodicTask.objects.select_related("interval", "crontab")}
    records = {record.name: record for record in ScheduleRecord.objects.all()}
    made, changed = [], []
    for schedule in schedules:
        default = _default(schedule)
        task, record = tasks.get(schedule.name), records.get(schedule.name)
        if task is None:
            _write(PeriodicTask(name=schedule.name), default)
            made.append(schedule.name)
        elif updates := _updates(_current(task), default, record.written if record else {}):
            _write(task, updates)
            changed.append(schedule.name)
        if record is None or record.written != default:
            ScheduleRecord.objects.update_or_create(name=schedule.name, defaults={"written": default, "synced_at": now})
    removed, switched_off = _retire(tasks, records)
    if made or changed or removed or switched_off:
        PeriodicTasks.update_changed()
    return Synced(tuple(made), tuple(changed), tuple(removed), tuple(switched_off))


def late(*, now: datetime) -> list[Late]:
    """Return the enabled schedules that are overdue by more than two intervals and a grace, oldest first.

    One that fired in the future waits for a clock that was set back, and is named with the present.
    """
    found = []
    for task in PeriodicTask.objects.filter(enabled=True).select_related("interval", "crontab"):
        allowed = _allowed(task)
        since = task.last_run_at or task.date_changed
        if allowed is not None and (now - since > allowed or since > now + GRACE):
            found.append(Late(task.name, min(since, now)))
    return sorted(found, key=lambda item: item.since)


def missing() -> list[str]:
    """Return the default schedules that were never synced."""
    known = set(PeriodicTask.objects.values_list("name", flat=True))
    return [schedule.name for schedule in schedules if schedule.name not in known]


def shortest_gap(line: str) -> timedelta:
    """Return the shortest time between two firings of a crontab line, as far as its minutes and hours tell."""
    parsed = _parse(line)
    times = sorted(hour * 60 + minute for hour in parsed.hour for minute in parsed.minute)
    gaps = [after - before for before, after in pairwise(times)]
    gaps.append(times[0] + 24 * 60 - times[-1])
    return timedelta(minutes=min(gaps))


def _parse(line: str) -> Any:
    minute, hour, day_of_month, month_of_year, day_of_week = line.split()
    return parse_crontab(minute, hour, day_of_week, day_of_month, month_of_year)


def _default(schedule: Schedule) -> dict[str, Any]:
    """Return the fields a sync writes; a message that waited longer than the interval is worth nothing."""
    if schedule.every is not None:
        seconds = max(1, round(schedule.every.total_seconds()))
        timing: dict[str, Any] = {"every": seconds, "crontab": ""}
    else:
        seconds = int(shortest_gap(schedule.crontab).total_seconds())
        timing = {"every": 0, "crontab": schedule.crontab}
    return {
        "task": schedule.task,
        "description": schedule.description,
        "enabled": True,
        "expire_seconds": seconds,
        **timing,
    }


def _current(task: PeriodicTask) -> dict[str, Any]:
    crontab = task.crontab
    line = (
        f"{crontab.minute} {crontab.hour} {crontab.day_of_month} {crontab.month_of_year} {crontab.day_of_week}"
        if crontab
        else ""
    )
    return {
        "task": task.task,
        "description": task.description,
        "enabled": task.enabled,
        "expire_seconds": task.expire_seconds,
        "every": int(task.schedule.run_every.total_seconds()) if task.interval else 0,
        "crontab": line,
    }


def _updates(current: Mapping[str, Any], default: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the default changes in a schedule, leaving out every field an operator has touched.

    Interval and crontab are one decision: when either was touched, both stay.
    """
    timing = ("every", "crontab")
    touched = {name for name in current if name in written and current[name] != written[name]}
    if touched.intersection(timing):
        touched.update(timing, ("expire_seconds",))
    updates = {name: default[name] for name in default if name not in touched and current[name] != default[name]}
    if set(timing).intersection(updates):
        updates |= {name: default[name] for name in timing}
    return updates


def _write(task: PeriodicTask, fields: Mapping[str, Any]) -> None:
    for name in ("task", "description", "enabled", "expire_seconds"):
        if name in fields:
            setattr(task, name, fields[name])
    if "every" in fields:
        task.interval = task.crontab = None
        if fields["crontab"]:
            task.crontab = _crontab_row(fields["crontab"])
        else:
            task.interval, _ = IntervalSchedule.objects.get_or_create(
                every=fields["every"], period=IntervalSchedule.SECONDS
            )
    task.save()


def _crontab_row(line: str) -> CrontabSchedule:
    minute, hour, day_of_month, month_of_year, day_of_week = line.split()
    # A loop rather than get_or_create: nothing keeps an operator from having made the same line twice.
    fields = {
        "minute": minute,
        "hour": hour,
        "day_of_month": day_of_month,
        "month_of_year": month_of_year,
        "day_of_week": day_of_week,
        "timezone": settings.ORGANISATION_TIME_ZONE,
    }
    return CrontabSchedule.objects.filter(**fields).order_by("pk").first() or CrontabSchedule.objects.create(**fields)


def _retire(tasks: Mapping[str, PeriodicTask], records: Mapping[str, ScheduleRecord]) -> tuple[list[str], list[str]]:
    removed, switched_off = [], []
    for name, record in records.items():
        if name in schedules:
            continue
        task = tasks.get(name)
        if task is not None and _current(task) == record.written:
            task.delete()
            removed.append(name)
        elif task is not None and task.enabled:
            task.enabled = False
            task.save()
            switched_off.append(name)
        record.delete()
    return removed, switched_off


def _allowed(task: PeriodicTask) -> timedelta | None:
    """Return how old the last firing may be: two intervals, or what a crontab's days, weekdays and months imply."""
    if task.interval:
        return 2 * timedelta(seconds=task.schedule.run_every.total_seconds()) + GRACE
    if not task.crontab or task.name in FOREIGN:
        return None
    if task.crontab.day_of_month != "*" or task.crontab.month_of_year != "*":
        return 366 * DAY if task.crontab.month_of_year != "*" else 32 * DAY
    return (8 * DAY if task.crontab.day_of_week != "*" else 2 * DAY) + GRACE
