"""Which messages a worker takes: what is due, in order, as much as each channel bears."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from alerts.choices import NotificationStatus
from alerts.models import Channel, Notification
from alerts.retrying import CIRCUIT_FAILURES, Bucket
from core import leases

BATCH = 100
PER_CHANNEL = 100
ORDER = ("priority", "due_at", "id")
# Twice what one attempt may take, and some: who has not settled by then has died.
LEASE = timedelta(seconds=60)
PENDING = Q(status=NotificationStatus.PENDING)


@dataclass
class Batch:
    """The rows that one worker holds, with the channels they go to."""

    rows: list[Notification] = field(default_factory=list)
    channels: dict[uuid.UUID, Channel] = field(default_factory=dict)
    until: datetime | None = None


def claim(now: datetime) -> Batch:
    """Take what may be sent now, from every channel its share; a channel that has nothing to send costs nothing."""
    batch = Batch(until=now + LEASE)
    for channel in _channels_with_work(now):
        if len(batch.rows) >= BATCH:
            break
        rows = _claim_of_channel(channel, now)
        batch.rows += rows
        if rows:
            batch.channels[channel.pk] = channel
    if len(batch.rows) < BATCH:
        batch.rows += _taken(due(now).filter(channel=None, contact__enabled=True), PER_CHANNEL, now)
    return batch


def claim_one(row: Notification, now: datetime) -> Batch:
    """Take this one row, whatever the state of its channel."""
    rows = _taken(Notification.objects.filter(PENDING, pk=row.pk), 1, now)
    channel = row.channel
    return Batch(rows=rows, channels={channel.pk: channel} if channel else {}, until=now + LEASE)


def due(now: datetime) -> QuerySet[Notification]:
    """Return the messages whose time has come and before which no other of their order key has to go out."""
    earlier = same_lane().filter(PENDING, id__lt=OuterRef("id")).filter(Q(attempts__gt=0) | Q(due_at__lte=now))
    return Notification.objects.filter(PENDING, due_at__lte=now).filter(Q(lane="") | ~Exists(earlier))


def same_lane() -> QuerySet[Notification]:
    """Return, for a query within another, the messages of the outer one's order key to the same target."""
    return Notification.objects.filter(lane=OuterRef("lane"))


def free(rows: QuerySet[Notification], now: datetime) -> QuerySet[Notification]:
    """Return those that no worker holds."""
    return rows.filter(Q(lease_until=None) | Q(lease_until__lt=now))


def _channels_with_work(now: datetime) -> Iterable[Channel]:
    waiting = free(Notification.objects.filter(PENDING, due_at__lte=now, channel=OuterRef("pk")), now)
    usable = Channel.objects.filter(Q(circuit_until=None) | Q(circuit_until__lte=now), Exists(waiting), enabled=True)
    return list(usable.order_by("last_sent_at", "pk"))


def _claim_of_channel(channel: Channel, now: datetime) -> list[Notification]:
    """Take as many as the channel's rate has room for; after failures one, to see whether it works again."""
    with transaction.atomic():
        fresh = Channel.objects.select_for_update().get(pk=channel.pk)
        bucket = Bucket(fresh.rate_per_minute, fresh.tokens, fresh.tokens_at)
        probing = fresh.failures >= CIRCUIT_FAILURES
        if not fresh.enabled or (fresh.circuit_until is not None and fresh.circuit_until > now):
            return []
        room = bucket.room(now, 1 if probing else PER_CHANNEL)
        rows = _taken(due(now).filter(channel=channel), room, now) if room else []
        if rows:
            changes: dict[str, object] = {"tokens": bucket.refilled(now) - len(rows), "tokens_at": now}
            if probing:
                changes["circuit_until"] = now + LEASE
            Channel.objects.filter(pk=channel.pk).update(**changes)
    return rows


def _taken(rows: QuerySet[Notification], limit: int, now: datetime) -> list[Notification]:
    return leases.claim(rows, order_by=ORDER, limit=limit, lease=LEASE, now=now)
