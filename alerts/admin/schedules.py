"""On-call schedules in the admin."""

from __future__ import annotations

from django.contrib import admin

from alerts.models import OnCallSchedule
from core.adminkit import ModelAdmin


@admin.register(OnCallSchedule)
class OnCallScheduleAdmin(ModelAdmin[OnCallSchedule]):
    """Who is on call."""

    list_display = ("name", "time_zone")
