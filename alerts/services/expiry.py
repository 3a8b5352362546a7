"""The pass that ends what runs out by the clock: alerts not reported again, acknowledgements, and long silences."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.urls import reverse

from alerts.choices import OPEN_STATES, AlertState, ChannelKind, NotificationKind
from alerts.matching import as_text, stored_matchers
from alerts.messages import Message
from alerts.models import Alert, AlertEvent, Channel, ContactMethod, Route, Silence
from alerts.services import nudges, outbox
from alerts.services.outbox import Outgoing
from core.choices import Severity

BATCH = 500
MOST_BATCHES = 100


def run(now: datetime) -> int:
    """End what is over; return how many alerts, acknowledgements and reminders that were."""
    return _all(end_alerts, now) + _all(end_acknowledgements, now) + remind_of_silences(now=now)


def _all(step: Any, now: datetime) -> int:
    done = 0
    for _ in range(MOST_BATCHES):
        count: int = step(now=now)
        done += count
        if count < BATCH:
            break
    return done


@transaction.atomic
def end_alerts(*, now: datetime) -> int:
    """Resolve a batch of alerts that were not reported again in time, as of the instant at which they ran out."""
    due = Alert.objects.filter(resolved_at=None, ends_at__lte=now, state__in=OPEN_STATES)
    values = {"state": AlertState.RESOLVED, "resolved_at": F("ends_at"), "acknowledged_until": None}
    return _change(due, "expired", values, now)


@transaction.atomic
def end_acknowledgements(*, now: datetime) -> int:
    """Let a batch of alerts fire again whose acknowledgement has run out."""
    due = Alert.objects.filter(state=AlertState.ACKNOWLEDGED, acknowledged_until__lte=now)
    values = {"state": AlertState.FIRING, "acknowledged_by": "", "acknowledged_until": None}
    return _change(due, "ack_expired", values, now)


def _change(due: QuerySet[Alert], kind: str, values: dict[str, Any], now: datetime) -> int:
    """Change a batch with three statements. Rows that another has in hand are left to it: they are looked at again."""
    rows = list(
        due.select_for_update(skip_locked=True, no_key=True)
        .order_by("pk")
        .values_list("pk", "seq", "state", "acknowledged_by")[:BATCH]
    )
    if not rows:
        return 0
    Alert.objects.filter(pk__in=[row[0] for row in rows]).update(**values, seq=F("seq") + 1)
    AlertEvent.objects.bulk_create(
        AlertEvent(
            alert_id=key, seq=seq + 1, kind=kind, at=now, data={"from": state, "to": str(values["state"]), "by": by}
        )
        for key, seq, state, by in rows
    )
    nudges.wake("route")
    return len(rows)


def remind_of_silences(*, now: datetime) -> int:
    """Tell who made a silence, or else the root's receiver, that it is about to end; once per silence."""
    ending = Silence.objects.filter(
        remind_before_seconds__isnull=False, expired_at=None, reminded_at=None, over_at__gt=now
    )
    due = [silence for silence in ending if silence.over_at - _lead(silence) <= now]
    return sum(_remind(silence, now) for silence in due)


def _lead(silence: Silence) -> timedelta:
    return timedelta(seconds=silence.remind_before_seconds or 0)


@transaction.atomic
def _remind(silence: Silence, now: datetime) -> int:
    unreminded = Silence.objects.filter(pk=silence.pk, reminded_at=None, expired_at=None)
    if not unreminded.update(reminded_at=now):
        return 0
    message = _reminder(silence)
    key = f"silence:{silence.pk}:{silence.over_at.timestamp():.0f}"
    outbox.enqueue(
        [
            Outgoing(
                dedup_key=f"{key}:{target.pk}",
                kind=NotificationKind.REMINDER,
                message=message,
                severity=Severity.INFO,
                channel=target if isinstance(target, Channel) else None,
                contact=target if isinstance(target, ContactMethod) else None,
            )
            for target in _whom_to_remind(silence)
        ],
        now=now,
    )
    return 1


def _whom_to_remind(silence: Silence) -> Sequence[Channel | ContactMethod]:
    own = ContactMethod.objects.filter(
        user__username=silence.created_by, user__is_active=True, kind=ChannelKind.EMAIL, enabled=True
    ).order_by("pk")
    if own:
        return list(own)
    root = Route.objects.filter(parent=None).select_related("receiver").first()
    if root is None or root.receiver is None:
        return []
    return list(root.receiver.channels.filter(enabled=True).order_by("pk"))


def _reminder(silence: Silence) -> Message:
    matchers = as_text(stored_matchers(silence.matchers))
    return Message(
        title=f"A silence ends at {silence.over_at:%Y-%m-%d %H:%M} UTC",
        status="info",
        severity=Severity.INFO,
        text=f"{matchers}\nMade by {silence.created_by}: {silence.comment}\nFrom then on, what it hides is told of.",
        link=settings.PUBLIC_URL + reverse("admin:alerts_silence_change", args=[silence.pk]),
    )
