"""Paging people: each by the contact methods they chose, after the delays they chose, for the severities they chose."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from django.contrib.auth.models import User

from alerts.choices import SEVERITY_ORDER, ChannelKind, NotificationKind
from alerts.messages import Message
from alerts.models import ContactMethod, Incident, Notification
from alerts.services import outbox
from alerts.services.outbox import Outgoing


def page(
    user: User, *, incident: Incident, severity: str, message: Message, dedup_prefix: str, now: datetime
) -> list[Notification]:
    """Write the messages that page one person, in the caller's transaction; nothing for whom it cannot reach.

    One message per contact method whose least severity is met, due after its delay. Who never chose any is reached at
    the e-mail address of the account. The same prefix pages nobody twice.
    """
    return outbox.enqueue(
        [
            Outgoing(
                dedup_key=f"{dedup_prefix}:{method.pk}",
                kind=NotificationKind.ESCALATION,
                contact=method,
                message=replace(message, severity=severity),
                severity=severity,
                incident=incident,
                order_key=f"incident:{incident.pk}",
                due_at=now + timedelta(minutes=method.delay_minutes),
            )
            for method in methods_for(user, severity)
        ],
        now=now,
    )


def methods_for(user: User, severity: str) -> list[ContactMethod]:
    """Return by what a person is paged for this severity, the quickest first; makes the e-mail one if there is none."""
    if not user.is_active:
        return []
    methods = list(ContactMethod.objects.filter(user=user).order_by("delay_minutes", "pk"))
    if not methods and user.email:
        method, _ = ContactMethod.objects.get_or_create(user=user, kind=ChannelKind.EMAIL, address=user.email)
        methods = [method]
    urgency = SEVERITY_ORDER.index(severity)
    return [method for method in methods if method.enabled and urgency <= SEVERITY_ORDER.index(method.least_severity)]
