"""What the page of an alert shows above its columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils import timezone

from alerts.choices import ACTIVE_STATES
from alerts.models import Alert, AlertEvent, AlertGroup, Notification
from alerts.services.inhibition import inhibitors_of
from alerts.services.routetree import labels_of, load_tree
from alerts.services.silences import current_silences, hidden_by
from alerts.tree import reach
from core.ports.panels import Table

EVENTS_SHOWN = 100
MESSAGES_SHOWN = 20
WORDS = {
    "pending": "Noticed; it must hold for a while before it fires", "firing": "Fires", "resolved": "Over",
    "expired": "Over: it was not reported again in time", "severity": "Another severity", "acknowledged": "Taken on",
    "unacknowledged": "Given back", "ack_expired": "The acknowledgement ran out",
}  # fmt: skip


def alert_page(alert: Alert, now: datetime) -> dict[str, Any]:
    """Return labels, annotations, history, messages, and what keeps the alert from being told of."""
    active = alert.state in ACTIVE_STATES
    return {
        "alert_labels": sorted(labels_of(alert).items()),
        "alert_annotations": sorted(alert.annotations.items()),
        "alert_hidden": _hidden(alert, now) if active else [],
        "alert_reaches": _reaches(alert) if active else [],
        "alert_history": _history(alert),
        "alert_told": _told(alert),
    }


def _hidden(alert: Alert, now: datetime) -> list[tuple[str, str]]:
    """Return sentences on what hides an alert, each with a link."""
    found = [
        (
            f"Silenced until {timezone.localtime(silence.window.end):%Y-%m-%d %H:%M}",
            reverse("admin:alerts_silence_change", args=[silence.id]),
        )
        for silence in hidden_by(current_silences(now), labels_of(alert))
    ]
    inhibitor = inhibitors_of([alert]).get(alert.pk)
    if inhibitor is not None:
        address = reverse("admin:alerts_alert_change", args=[inhibitor.alert])
        found.append((f"Inhibited by another alert ({inhibitor.rule})", address))
    if alert.quiet_until is not None and alert.quiet_until > now:
        until = timezone.localtime(alert.quiet_until)
        found.append((f"Quiet until {until:%Y-%m-%d %H:%M}, for it was over shortly before", ""))
    return found


def _reaches(alert: Alert) -> list[str]:
    tree = load_tree()
    return [branch.path for branch in reach(tree.root, labels_of(alert))] if tree is not None else []


def _history(alert: Alert) -> Table:
    events = AlertEvent.objects.filter(alert=alert).order_by("-seq")[:EVENTS_SHOWN]
    rows = [
        (
            [
                f"{timezone.localtime(event.at):%Y-%m-%d %H:%M:%S}",
                WORDS.get(event.kind, event.kind),
                event.actor or "–",
                str(event.data.get("reason") or event.data.get("severity") or ""),
            ],
            "",
        )
        for event in events
    ]
    return Table("What happened", ["When", "What", "Who", "Detail"], rows)


def _told(alert: Alert) -> Table:
    groups = AlertGroup.objects.filter(members__alert=alert)
    rows_of: Sequence[Notification] = list(
        Notification.objects.filter(group__in=groups, created_at__gte=alert.starts_at)
        .select_related("channel", "contact__user")
        .order_by("-pk")[:MESSAGES_SHOWN]
    )
    rows = [
        (
            [
                str(row.channel or row.contact),
                str(row),
                row.get_status_display(),
                f"{timezone.localtime(row.sent_at or row.created_at):%Y-%m-%d %H:%M:%S}",
            ],
            reverse("admin:alerts_notification_change", args=[row.pk]),
        )
        for row in rows_of
    ]
    return Table("Messages of its groups", ["To", "What", "State", "When"], rows)
