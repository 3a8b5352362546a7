"""Port `schedules`: the periodic tasks an app comes with; one command syncs them into django-celery-beat."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from core.ports import Registry


@dataclass(frozen=True, slots=True)
class Schedule:
    """A default periodic task: every so often, or by a crontab line ("15 3 * * *", organisation time zone).

    Operators may change or disable it in the admin; a sync never overwrites what they changed.
    """

    name: str
    task: str
    description: str
    every: timedelta | None = None
    crontab: str = ""

    def __post_init__(self) -> None:
        if (self.every is None) == (not self.crontab):
            raise ValueError(f"schedule {self.name}: give either `every` or `crontab`")


schedules: Registry[Schedule] = Registry("schedules", key=lambda schedule: schedule.name)
