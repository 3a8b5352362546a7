"""Schedules and the results of tasks: the scheduler's own pages, in the theme."""

from __future__ import annotations

from typing import Any, ClassVar

import django_celery_beat.admin as beat
import django_celery_results.admin  # noqa: F401  # registered first, so that ours can take its place
from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from django_celery_results.models import GroupResult, TaskResult

from core.adminkit import (
    AuditedModelAdmin,
    LargeTableAdmin,
    ReadOnlyInline,
    ReadOnlyModelAdmin,
    Select,
    TextInput,
    display,
    period_filter,
    word_filter,
)

for _model in (
    PeriodicTask, ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule, TaskResult, GroupResult,
):  # fmt: skip
    admin.site.unregister(_model)
# Group results stay unregistered: nothing here runs tasks in groups.

RESULT_COLOURS = {
    "SUCCESS": "success",
    "FAILURE": "danger",
    "STARTED": "info",
    "RETRY": "warning",
    "REVOKED": "warning",
}


class TaskSelect(beat.TaskSelectWidget, Select):  # type: ignore[misc]  # the libraries ship no types
    """The tasks that workers know, in the theme's select."""


class PeriodicTaskForm(beat.PeriodicTaskForm):  # type: ignore[misc]  # the libraries ship no types
    """The scheduler's form with the theme's widgets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "regtask" in self.fields:
            self.fields["regtask"].widget = TaskSelect()
        if "task" in self.fields:
            self.fields["task"].widget = TextInput()


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(AuditedModelAdmin[PeriodicTask], beat.PeriodicTaskAdmin):  # type: ignore[misc]
    """What runs by itself, and when. The default schedules come with the apps; what is changed here stays."""

    form = PeriodicTaskForm
    date_hierarchy = None
    list_display = ("name", "enabled", "schedule_text", "last_run_at", "total_run_count", "one_off")
    list_filter = ("enabled", "one_off")
    list_select_related = ("interval", "crontab", "solar", "clocked")
    search_fields = ("name", "task")
    ordering = ("name", "pk")
    menu_icon = "schedule"
    menu_order = 32

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer enabling, disabling and running to those who may change schedules."""
        actions = super().get_actions(request)
        if self.has_change_permission(request):
            return actions
        return {name: item for name, item in actions.items() if name == "delete_selected"}

    @display(description="Schedule")
    def schedule_text(self, obj: PeriodicTask) -> str:
        """Return when it runs, in words."""
        return str(obj.scheduler)


class UsedByInline(ReadOnlyInline[PeriodicTask, Any]):
    """The tasks that use a schedule."""

    model = PeriodicTask
    fields = ("name", "task", "enabled")
    readonly_fields = fields
    verbose_name_plural = "used by"


class ScheduleAdmin(AuditedModelAdmin[Any]):
    """A time pattern that tasks share: reached from the task, not from the menu."""

    inlines = (UsedByInline,)
    in_menu = False
    ordering: ClassVar[Any] = ("pk",)


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ScheduleAdmin):
    """Every so often."""

    list_display = ("__str__", "every", "period")


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(ScheduleAdmin):
    """By a crontab line in a time zone."""

    list_display = ("__str__", "human_readable", "timezone")
    fields = (
        "human_readable", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone",
    )  # fmt: skip
    readonly_fields = ("human_readable",)


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(ScheduleAdmin):
    """Once, at an instant."""

    list_display = ("clocked_time",)


@admin.register(SolarSchedule)
class SolarScheduleAdmin(ScheduleAdmin):
    """By the sun at a place."""

    list_display = ("event", "latitude", "longitude")


@admin.register(TaskResult)
class TaskResultAdmin(LargeTableAdmin[TaskResult], ReadOnlyModelAdmin[TaskResult]):
    """What tasks came to, for a week."""

    list_display = ("task_name", "status_label", "periodic_task_name", "date_created", "date_done", "worker")
    list_filter = (word_filter("status", *RESULT_COLOURS), period_filter("date_created"))
    search_fields = ("task_id__exact", "task_name__exact")
    search_help_text = "Exact task id or task name"
    menu_icon = "task_alt"
    menu_order = 33

    @display(description="Status", label=RESULT_COLOURS)
    def status_label(self, obj: TaskResult) -> str:
        """Return the status as a coloured word."""
        return str(obj.status)
