"""Channels, messages and clocks for tests of delivery."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts.messages import Message, MessageAlert
from alerts.models import Channel
from alerts.services.outbox import Outgoing
from core.choices import Severity


def alert(now: datetime, name: str = "HighErrorRate", **labels: str) -> MessageAlert:
    """Return a firing alert of an agent."""
    return MessageAlert(
        labels={"alertname": name, "agent": "support", **labels},
        annotations={"summary": "7 % of calls fail"},
        starts_at=now,
        ends_at=None,
        fingerprint="0123456789abcdef",
        generator_url="https://factory.example.org/admin/alerts/alertrule/1/change/",
    )


def message(now: datetime, status: Any = "firing", *, title: str = "HighErrorRate", **fields: Any) -> Message:
    """Return a message about one alert."""
    return Message(
        **{
            "title": title,
            "status": status,
            "severity": Severity.HIGH,
            "text": "7 % of calls fail",
            "group_labels": {"alertname": "HighErrorRate"},
            "alerts": (alert(now),),
            "link": "https://factory.example.org/admin/alerts/alertgroup/1/change/",
            "runbook": "https://factory.example.org/runbooks/errors",
            **fields,
        }
    )


def channel(now: datetime, kind: str = "log", name: str = "the log", **fields: Any) -> Channel:
    """Make a channel."""
    return Channel.objects.create(name=name, kind=kind, created_at=now, **fields)


def outgoing(now: datetime, to: Channel, key: str = "1", **fields: Any) -> Outgoing:
    """Return a message to a channel."""
    return Outgoing(
        **{
            "dedup_key": key,
            "kind": "group",
            "message": message(now),
            "severity": Severity.HIGH,
            "channel": to,
            **fields,
        }
    )
