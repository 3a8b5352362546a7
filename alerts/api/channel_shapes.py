"""What channels and messages look like in the API. Secrets go in; only their names come out."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from alerts.channels import secrets_of
from alerts.models import Channel, DeliveryAttempt, Notification
from core.api.pagination import PageQuery
from core.encryption import Undecryptable

Kind = Literal["email", "slack", "teams", "pagerduty", "webhook", "apprise", "log"]
Status = Literal["pending", "sent", "dead", "superseded", "cancelled"]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Config = Annotated[dict[str, Any], Meta(description="What this kind of channel is told: the guide lists it per kind.")]
Secrets = Annotated[
    dict[str, Any], Meta(description="Kept encrypted and never given out. What is not named stays; null takes it out.")
]
EXAMPLE = {
    "name": "Operations on Slack",
    "kind": "slack",
    "secrets": {"url": "https://hooks.slack.com/services/T000/B000/XXXX"},
}


class NewChannel(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A way to reach people or machines. A webhook needs `secrets.secrets`: a list of one or two `whsec_…`."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    kind: Kind
    config: Config = {}
    secrets: Secrets = {}
    rate_per_minute: Annotated[int, Meta(ge=0, le=6000)] = 60
    failover: UUID | None = None


class ChannelPatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What is to be different. `config` replaces all settings; `enabled` needs a `reason`."""

    name: Annotated[str, Meta(min_length=1, max_length=120)] | UnsetType = UNSET
    config: Config | UnsetType = UNSET
    secrets: Secrets | UnsetType = UNSET
    rate_per_minute: Annotated[int, Meta(ge=0, le=6000)] | UnsetType = UNSET
    failover: UUID | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=500)] = ""


class ChannelHealth(msgspec.Struct, kw_only=True):
    """How a channel is doing: failures in a row, and until when it is left alone after too many."""

    failures: int
    circuit_until: datetime | None
    last_sent_at: datetime | None
    last_error: str
    last_error_at: datetime | None


class ChannelState(msgspec.Struct, kw_only=True):
    """A channel. `secrets_set` names the secrets it has; null when they cannot be decrypted."""

    id: UUID
    name: str
    kind: str
    config: dict[str, Any]
    secrets_set: list[str] | None
    rate_per_minute: int
    failover: UUID | None
    enabled: bool
    disabled_reason: str
    health: ChannelHealth
    created_at: datetime


class ChannelQuery(PageQuery, kw_only=True):
    """Which channels are listed."""

    kind: Kind | None = None
    enabled: bool | None = None


class Tested(msgspec.Struct, kw_only=True):
    """What came of a test message."""

    notification_id: UUID
    delivered: bool
    status_code: int | None
    milliseconds: int
    error: str
    answer: str


class NotificationQuery(PageQuery, kw_only=True):
    """Which messages are listed, the newest first."""

    status: Status | None = None
    channel: UUID | None = None
    incident: UUID | None = None


class Attempt(msgspec.Struct, kw_only=True):
    """One try to deliver a message."""

    number: int
    at: datetime
    delivered: bool
    status_code: int | None
    milliseconds: int
    error: str
    answer: str


class NotificationState(msgspec.Struct, kw_only=True):
    """One message on its way, or delivered. `id` is what receivers see as its stable id."""

    id: UUID
    kind: str
    title: str
    severity: str
    channel: UUID | None
    contact: int | None
    incident: UUID | None
    status: str
    attempts: int
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None
    last_error: str


class NotificationDetail(NotificationState, kw_only=True):
    """One message with what it says and every attempt."""

    text: str
    link: str
    superseded_by: UUID | None
    tries: list[Attempt]


class ReasonGiven(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Why it is done; kept in the audit log."""

    reason: Reason


def shown(channel: Channel) -> ChannelState:
    """Return a channel for an answer."""
    return ChannelState(
        id=channel.pk,
        name=channel.name,
        kind=channel.kind,
        config=channel.config,
        secrets_set=_names(channel),
        rate_per_minute=channel.rate_per_minute,
        failover=channel.failover_id,
        enabled=channel.enabled,
        disabled_reason=channel.disabled_reason,
        health=ChannelHealth(
            failures=channel.failures,
            circuit_until=channel.circuit_until,
            last_sent_at=channel.last_sent_at,
            last_error=channel.last_error,
            last_error_at=channel.last_error_at,
        ),
        created_at=channel.created_at,
    )


def listed(row: Notification) -> NotificationState:
    """Return a message for a list."""
    return NotificationState(**_common(row))


def detailed(row: Notification) -> NotificationDetail:
    """Return a message with its text and attempts."""
    return NotificationDetail(
        **_common(row),
        text=str(row.payload.get("text", "")),
        link=str(row.payload.get("link", "")),
        superseded_by=row.superseded_by_id,
        tries=[_attempt(attempt) for attempt in row.tries.order_by("number")],
    )


def tested(attempt: DeliveryAttempt) -> Tested:
    """Return what came of a test."""
    return Tested(
        notification_id=attempt.notification_id,
        delivered=attempt.delivered,
        status_code=attempt.status_code,
        milliseconds=attempt.milliseconds,
        error=attempt.error,
        answer=attempt.answer,
    )


def _names(channel: Channel) -> list[str] | None:
    try:
        return sorted(secrets_of(channel))
    except Undecryptable:
        return None


def _common(row: Notification) -> dict[str, Any]:
    return {
        "id": row.pk,
        "kind": row.kind,
        "title": str(row),
        "severity": row.severity,
        "channel": row.channel_id,
        "contact": row.contact_id,
        "incident": row.incident_id,
        "status": row.status,
        "attempts": row.attempts,
        "created_at": row.created_at,
        "due_at": row.due_at,
        "sent_at": row.sent_at,
        "last_error": row.last_error,
    }


def _attempt(attempt: DeliveryAttempt) -> Attempt:
    return Attempt(
        number=attempt.number,
        at=attempt.at,
        delivered=attempt.delivered,
        status_code=attempt.status_code,
        milliseconds=attempt.milliseconds,
        error=attempt.error,
        answer=attempt.answer,
    )
