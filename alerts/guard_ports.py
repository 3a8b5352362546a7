"""What threat detection and automation offer: a recorder of security events, and a page on who did what."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db import connections
from django.db.models.signals import post_migrate
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from core.ports.privacy import PersonalData, personal_data
from core.ports.scopes import Scope, scopes
from core.ports.security import (
    ActorPage,
    AuditedAct,
    SecurityFact,
    SecurityRecorder,
    actor_pages,
    audited_acts,
    security_recorders,
)

VIEW = "alerts.view_securityevent"
# Whoever changes these changes what is noticed and who is told.
SETTINGS = (
    "alertrule", "automationrule", "channel", "detectionrule", "escalationpolicy", "inhibitrule", "oncallschedule",
    "receiver", "route", "silence", "timeinterval",
)  # fmt: skip


def register_guard(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from alerts import automation_actions
    from alerts.services import automation, security_events

    automation_actions.register()
    automation.register()
    security_recorders.register(SecurityRecorder("alerts", _write))
    actor_pages.register(ActorPage("alerts", VIEW, actor_page))
    audited_acts.register(AuditedAct("data.exported", action="forensics.exported"))
    for model in SETTINGS:
        audited_acts.register(AuditedAct("alert_settings.changed", subject_type=f"alerts.{model}"))
    scopes.register(Scope("security:read", "Read security events, detection rules and automation runs.", VIEW))
    personal_data.register(
        PersonalData(
            name="alerts.security_events",
            description="Sign-ins, uses of keys, grants and exports: who, from which address, with which client.",
            columns=tuple(
                f"alerts_securityevent.{name}"
                for name in ("actor_id", "actor_label", "address", "network", "user_agent", "data")
            ),
            export=security_events.export,
            erase=security_events.erase,
            expire=security_events.expire,
        )
    )
    post_migrate.connect(keep_in_place, sender=app, dispatch_uid="alerts.guard")


def actor_page(kind: str, value: str) -> str:
    """Return the address of the page that shows everything a user, key or address did in the last week."""
    return f"{reverse('admin:alerts_forensics')}?{urlencode({kind: value, 'period': '7d'})}"


def keep_in_place(*, using: str, **_: Any) -> None:
    """After every migration and flush: the default detection rules that are missing."""
    from alerts.models import DetectionRule
    from alerts.services import detection_defaults

    if DetectionRule._meta.db_table in connections[using].introspection.table_names():
        detection_defaults.keep_defaults(now=timezone.now())


def _write(fact: SecurityFact) -> None:
    from alerts.services import security_events

    security_events.write(fact)
