"""Incidents in the admin."""

from __future__ import annotations

from django.contrib import admin

from alerts.models import Incident
from core.adminkit import ModelAdmin


@admin.register(Incident)
class IncidentAdmin(ModelAdmin[Incident]):
    """Incidents, the newest first."""

    list_display = ("__str__", "severity", "status")
