"""What an incident says to those it called: it was taken, or it is over."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.urls import reverse

from alerts.choices import NotificationKind, NotificationStatus
from alerts.messages import Message, MessageAlert, Status
from alerts.models import Alert, Incident, Notification
from alerts.services import outbox
from alerts.services.outbox import Outgoing

ALERTS_SHOWN = 10
TOLD = (NotificationStatus.SENT, NotificationStatus.PENDING)


def message_of(incident: Incident, status: Status, text: str) -> Message:
    """Return the message about an incident, with up to ten of its alerts and a link to its page."""
    alerts = Alert.objects.filter(incident_links__incident=incident).order_by("resolved_at", "-pk")[:ALERTS_SHOWN]
    return Message(
        title=incident.title,
        status=status,
        severity=incident.severity,
        text=text or incident.summary,
        group_labels={str(name): str(value) for name, value in incident.labels.items()},
        common_annotations={},
        alerts=tuple(_shown(alert) for alert in alerts),
        link=settings.PUBLIC_URL + reverse("admin:alerts_incident_change", args=[incident.pk]),
        runbook=incident.runbook.title if incident.runbook is not None else "",
        incident_number=incident.number,
    )


def announce(incident: Incident, status: Status, text: str, *, now: datetime) -> list[Notification]:
    """Tell every channel, and at the end every person, that a page about this incident was sent to.

    Written in the caller's transaction. The key holds the instant: an incident that resolves twice says so twice.
    """
    # What is pending still is on its way just now: the others were withdrawn when the escalation stopped.
    pages = Notification.objects.filter(incident=incident, kind=NotificationKind.ESCALATION, status__in=TOLD)
    targets = {(row.channel_id, row.contact_id): row for row in pages.select_related("channel", "contact")}
    message = message_of(incident, status, text)
    return outbox.enqueue(
        [
            Outgoing(
                dedup_key=f"incident:{incident.pk}:{status}:{now.timestamp():.0f}:{row.channel_id or row.contact_id}",
                kind=NotificationKind.INCIDENT,
                channel=row.channel,
                contact=row.contact,
                message=message,
                severity=incident.severity,
                incident=incident,
                order_key=order_key(incident),
            )
            for row in targets.values()
            if row.channel is not None or status == "resolved"
        ],
        now=now,
    )


def order_key(incident: Incident) -> str:
    """Return the key that keeps the messages about one incident in order, for each of its targets."""
    return f"incident:{incident.pk}"


def _shown(alert: Alert) -> MessageAlert:
    return MessageAlert(
        labels=alert.labels,
        annotations=alert.annotations,
        starts_at=alert.starts_at,
        ends_at=alert.resolved_at,
        fingerprint=alert.fingerprint,
        generator_url=alert.generator_url,
        status="resolved" if alert.resolved_at else "firing",
    )
