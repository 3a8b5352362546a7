"""Schedules: synced once, never over an operator's change, gone when no longer offered, and late when they are late."""

from __future__ import annotations

import io
from datetime import datetime, timedelta

import pytest
from celery import current_app as app
from django.core.management import call_command
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from core import liveness, pulses, schedules
from core.models import Pulse, ScheduleRecord
from core.ports import Registry
from core.ports.schedules import Schedule
from core.ports.schedules import schedules as installed

pytestmark = pytest.mark.django_db

MINUTELY = Schedule("things.sweep", "core.sweep_jobs", "Sweeps things.", every=timedelta(minutes=1))
NIGHTLY = Schedule("things.report", "core.pulse", "Reports things.", crontab="15 3 * * *")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Registry[Schedule]:
    """A port of this test alone."""
    registry: Registry[Schedule] = Registry("schedules", key=lambda schedule: schedule.name)
    monkeypatch.setattr(schedules, "schedules", registry)
    monkeypatch.setattr(liveness, "offered", registry)
    return registry


def offer(registry: Registry[Schedule], *items: Schedule) -> None:
    registry._items = {item.name: item for item in items}


def test_sync__first_time__makes_what_is_offered(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY, NIGHTLY)

    done = schedules.sync(now=now)

    assert done.made == ("things.sweep", "things.report")
    sweep = PeriodicTask.objects.get(name="things.sweep")
    report = PeriodicTask.objects.get(name="things.report")
    assert (sweep.task, sweep.enabled, sweep.expire_seconds) == ("core.sweep_jobs", True, 60)
    assert (sweep.interval.every, sweep.interval.period) == (60, "seconds")
    assert (report.crontab.hour, report.crontab.minute, str(report.crontab.timezone)) == ("3", "15", "UTC")
    assert report.expire_seconds == 24 * 3600


def test_sync__again__changes_nothing(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY, NIGHTLY)
    schedules.sync(now=now)

    assert schedules.sync(now=now + timedelta(days=1)) == schedules.Synced()
    assert PeriodicTask.objects.count() == 2
    assert {record.synced_at for record in ScheduleRecord.objects.all()} == {now}


def test_sync__new_default__reaches_a_schedule_nobody_touched(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    offer(offered, Schedule("things.sweep", "core.pulse", "Sweeps.", crontab="*/5 * * * *"))

    done = schedules.sync(now=now)

    task = PeriodicTask.objects.get()
    assert done.changed == ("things.sweep",)
    assert (task.task, task.interval, task.crontab.minute, task.expire_seconds) == ("core.pulse", None, "*/5", 300)


def test_sync__operator_changed_the_timing__it_stays_and_other_defaults_follow(
    offered: Registry[Schedule], now: datetime
) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    hourly = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.HOURS)
    PeriodicTask.objects.update(interval=hourly)
    offer(offered, Schedule("things.sweep", "core.pulse", "Sweeps better.", every=timedelta(minutes=2)))

    schedules.sync(now=now)
    schedules.sync(now=now)

    task = PeriodicTask.objects.get()
    assert (task.interval, task.task, task.description) == (hourly, "core.pulse", "Sweeps better.")


def test_sync__operator_switched_it_off__it_stays_off(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    PeriodicTask.objects.update(enabled=False)

    assert schedules.sync(now=now) == schedules.Synced()
    assert PeriodicTask.objects.get().enabled is False


def test_sync__no_longer_offered__goes_or_is_switched_off_when_changed(
    offered: Registry[Schedule], now: datetime
) -> None:
    offer(offered, MINUTELY, NIGHTLY)
    schedules.sync(now=now)
    PeriodicTask.objects.filter(name="things.report").update(description="ours")
    PeriodicTask.objects.create(name="of the operator", task="core.pulse", crontab=CrontabSchedule.objects.get())
    offer(offered)

    done = schedules.sync(now=now)

    assert (done.removed, done.switched_off) == (("things.sweep",), ("things.report",))
    assert set(PeriodicTask.objects.values_list("name", "enabled")) == {
        ("things.report", False),
        ("of the operator", True),
    }
    assert not ScheduleRecord.objects.exists()


def test_sync__deleted_by_hand__is_made_again(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    PeriodicTask.objects.all().delete()

    assert schedules.sync(now=now).made == ("things.sweep",)


@pytest.mark.parametrize(
    ("line", "gap"),
    [
        ("15 3 * * *", timedelta(days=1)),
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0 0,12 * * *", timedelta(hours=12)),
        ("0 23,1 * * *", timedelta(hours=2)),
        ("59,0 * * * *", timedelta(minutes=1)),
    ],
)
def test_shortest_gap__crontab__is_what_bounds_the_life_of_a_message(line: str, gap: timedelta) -> None:
    assert schedules.shortest_gap(line) == gap


def test_defaults__all_that_are_offered__name_a_task_that_exists(now: datetime) -> None:
    app.loader.import_default_modules()

    done = schedules.sync(now=now)

    assert {"core.pulse", "core.sweep_jobs", "core.tidy_queue"} <= set(done.made)
    unknown = {task.task for task in PeriodicTask.objects.all()} - set(app.tasks)
    assert unknown == set()


def test_scheduler__default_schedules__are_what_beat_reads(now: datetime) -> None:
    schedules.sync(now=now)

    entries = DatabaseScheduler(app=app, lazy=True).all_as_schedule()

    assert entries["core.pulse"].options["expires"] is not None or entries["core.pulse"].model.expire_seconds == 60
    assert entries["core.pulse"].schedule.run_every == timedelta(minutes=1)


def test_late__never_fired_or_not_for_long__is_named_oldest_first(offered: Registry[Schedule], now: datetime) -> None:
    other = Schedule("things.other", "core.pulse", "Other.", every=timedelta(minutes=1))
    offer(offered, MINUTELY, NIGHTLY, other)
    schedules.sync(now=now)
    PeriodicTask.objects.filter(name="things.sweep").update(last_run_at=now - timedelta(minutes=5))
    PeriodicTask.objects.filter(name="things.report").update(last_run_at=now - timedelta(days=3))
    PeriodicTask.objects.filter(name="things.other").update(last_run_at=now - timedelta(minutes=3))

    assert [item.name for item in schedules.late(now=now)] == ["things.report", "things.sweep"]


def test_late__switched_off__is_not_late(offered: Registry[Schedule], now: datetime) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    PeriodicTask.objects.update(enabled=False, last_run_at=now - timedelta(days=3))

    assert schedules.late(now=now) == []


def test_check_schedules__stalled_beat__warns_with_the_age(offered: Registry[Schedule]) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=timezone.now())
    PeriodicTask.objects.update(last_run_at=timezone.now() - timedelta(hours=5))

    result = liveness.check_schedules()

    assert (result.status, result.detail) == ("warning", "1 did not fire when due: things.sweep (5 h)")


def test_check_worker__fresh_and_old_pulse__is_ok_and_a_warning() -> None:
    pulses.beat("worker", now=timezone.now())
    assert liveness.check_worker().status == "ok"

    Pulse.objects.update(at=timezone.now() - timedelta(minutes=4))
    assert (liveness.check_worker().status, liveness.check_worker().detail) == (
        "warning",
        "no worker has been at work for 4 min",
    )


def test_sync_schedules__command__says_what_it_did(offered: Registry[Schedule]) -> None:
    offer(offered, MINUTELY)
    out = io.StringIO()

    call_command("sync_schedules", stdout=out)

    assert out.getvalue() == f"made things.sweep\n{len(installed)} schedules are in place\n"


def test_clock_set_back__schedules_that_fired_ahead_of_it__are_named_and_begin_anew(
    offered: Registry[Schedule], now: datetime
) -> None:
    offer(offered, MINUTELY, NIGHTLY)
    schedules.sync(now=now)
    ahead = now + timedelta(days=300)
    PeriodicTask.objects.filter(name="things.sweep").update(last_run_at=ahead)
    PeriodicTask.objects.filter(name="things.report").update(last_run_at=now)
    assert schedules.late(now=now) == [schedules.Late("things.sweep", now)]

    schedules.sync(now=now)

    assert schedules.late(now=now) == []
    assert PeriodicTask.objects.get(name="things.sweep").last_run_at == now


def test_clock_set_forward__schedules__are_late_until_they_have_fired_once(
    offered: Registry[Schedule], now: datetime
) -> None:
    offer(offered, MINUTELY)
    schedules.sync(now=now)
    PeriodicTask.objects.update(last_run_at=now)
    ahead = now + timedelta(days=300)

    assert [item.name for item in schedules.late(now=ahead)] == ["things.sweep"]
    PeriodicTask.objects.update(last_run_at=ahead)
    assert schedules.late(now=ahead) == []
