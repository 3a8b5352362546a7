"""Routes, receivers, inhibition, time intervals and groups in the admin."""

from __future__ import annotations

from django.contrib import admin

from alerts.models import AlertGroup
from core.adminkit import ReadOnlyModelAdmin


@admin.register(AlertGroup)
class AlertGroupAdmin(ReadOnlyModelAdmin[AlertGroup]):
    """The alerts that are told of together."""
