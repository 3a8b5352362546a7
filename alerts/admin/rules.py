"""Rules, heartbeats, runbooks and sweeps in the admin."""

from __future__ import annotations

from django.contrib import admin

from alerts.models import AlertRule, Heartbeat, Runbook, SweepState
from core.adminkit import ModelAdmin, ReadOnlyModelAdmin


@admin.register(AlertRule)
class AlertRuleAdmin(ModelAdmin[AlertRule]):
    """What is watched."""


@admin.register(Heartbeat)
class HeartbeatAdmin(ModelAdmin[Heartbeat]):
    """Outside systems that say that they are at work."""


@admin.register(Runbook)
class RunbookAdmin(ModelAdmin[Runbook]):
    """What to do when something happens."""


@admin.register(SweepState)
class SweepStateAdmin(ReadOnlyModelAdmin[SweepState]):
    """How the passes of the alerts last went."""
