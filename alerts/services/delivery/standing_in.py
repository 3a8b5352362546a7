"""Another channel instead: for critical messages that do not get through, and for the news that a channel is out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog
from django.conf import settings
from django.urls import reverse

from alerts.choices import ChannelKind, NotificationKind
from alerts.messages import Message
from alerts.models import Channel, Notification
from alerts.services.outbox import Outgoing, enqueue
from core.choices import Severity

log = structlog.get_logger(__name__)


def stand_in_for(rows: Sequence[Notification], *, now: datetime) -> int:
    """Write each critical message to the failover of its channel too, once; the original goes on being tried.

    A failover may have one of its own: the chain ends where it would come back to a channel that was tried.
    """
    count = 0
    for row in rows:
        channel = row.channel
        if row.severity != Severity.CRITICAL or channel is None or channel.failover is None:
            continue
        if not Notification.objects.filter(pk=row.pk, failed_over=False).update(failed_over=True):
            continue
        first = row.origin or row
        if first.channel_id == channel.failover_id:
            continue
        count += len(enqueue([_stand_in(row, first, channel, channel.failover)], now=now))
    return count


def tell_of_disabled(channel: Channel, *, now: datetime) -> None:
    """Write the news that a channel is out of use to another one that works, its failover first."""
    other = _other_than(channel)
    if other is None:
        log.error("channel_disabled_and_nobody_to_tell", out_of_use=channel.name, reason=channel.disabled_reason)
        return
    message = Message(
        title=f"The channel “{channel.name}” is out of use",
        status="info",
        severity=Severity.HIGH,
        text=(
            f"The platform disabled it: {channel.disabled_reason}. What is waiting for it is kept and goes out when "
            "the channel is put right and enabled again."
        ),
        link=f"{settings.PUBLIC_URL}{reverse('admin:alerts_channel_change', args=[channel.pk])}",
    )
    key = f"disabled:{channel.pk}:{now.isoformat()}"
    enqueue([Outgoing(key, NotificationKind.META, message, Severity.HIGH, channel=other)], now=now)


def _stand_in(row: Notification, first: Notification, channel: Channel, other: Channel) -> Outgoing:
    message = Message.from_json(row.payload)
    note = f"Sent here because “{channel.name}” does not deliver."
    return Outgoing(
        dedup_key=f"failover:{first.pk}:{other.pk}",
        kind=row.kind,
        message=Message.from_json({**message.to_json(), "note": note}),
        severity=row.severity,
        channel=other,
        group=row.group,
        incident=row.incident,
        order_key=row.order_key,
        closes=row.closes,
        origin=first,
    )


def _other_than(channel: Channel) -> Channel | None:
    if channel.failover is not None and channel.failover.enabled:
        return channel.failover
    others = list(Channel.objects.filter(enabled=True).exclude(pk=channel.pk).order_by("failures", "name"))
    # People read mail; the log is where one looks last.
    rank = {ChannelKind.EMAIL: 0, ChannelKind.LOG: 2}
    return min(others, key=lambda other: rank.get(ChannelKind(other.kind), 1), default=None)
