"""Channels: made, changed, switched off and on, tried out. Secrets go in and are never given out again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError

from alerts.channels import secrets_of
from alerts.channels.checking import check, settings_of
from alerts.channels.webhook import new_secret
from alerts.choices import ChannelKind, NotificationKind
from alerts.messages import Message
from alerts.models import Channel, DeliveryAttempt
from alerts.services.delivery import deliver_one
from alerts.services.outbox import Outgoing, enqueue
from core import audit
from core.choices import Severity
from core.encryption import Undecryptable, encrypt
from core.errors import Conflict, FieldError, Forbidden, Invalid, Missing
from core.ids import uuid7

MOST_PER_MINUTE = 6000


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """What a channel is to be. `secrets` that are not named stay as they are; a blank one is taken out."""

    name: str
    kind: str
    config: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)
    rate_per_minute: int = 60
    failover: UUID | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A channel that was made; `shown_once` is the signing secret that was made with it, for the receiver's side."""

    channel: Channel
    shown_once: str = field(default="", repr=False)


@transaction.atomic
def create_channel(terms: ChannelTerms, *, superuser: bool, now: datetime) -> Made:
    """Make a channel; raises Invalid with what is wrong, and Forbidden for Apprise to anybody but a superuser."""
    _check_common(terms, None, superuser=superuser)
    secrets, made = _with_signing_secret(terms.kind, dict(terms.secrets))
    config = _without_blanks(terms.config)
    check(terms.kind, config, secrets)
    channel = Channel(
        name=terms.name.strip(),
        kind=terms.kind,
        config=config,
        secret=encrypt(json.dumps(secrets)) if secrets else "",
        rate_per_minute=terms.rate_per_minute,
        failover_id=terms.failover,
        created_at=now,
    )
    channel.save(force_insert=True)
    audit.record("channel.created", channel, now=now, after={**_on_record(channel), "secrets": sorted(secrets)})
    return Made(channel, made)


@transaction.atomic
def change_channel(channel_id: UUID, terms: ChannelTerms, *, superuser: bool, now: datetime) -> Channel:
    """Change a channel; its kind stays. A secret that cannot be read any more is replaced by giving all anew."""
    channel = _locked(channel_id)
    if terms.kind != channel.kind:
        raise Conflict("the kind of a channel does not change; make another channel")
    _check_common(terms, channel, superuser=superuser)
    before = _on_record(channel)
    secrets = {**_known_secrets(channel, replaced=terms.secrets), **terms.secrets}
    secrets = {name: value for name, value in secrets.items() if value not in ("", [], None)}
    config = _without_blanks(terms.config)
    check(terms.kind, config, secrets)
    channel.name, channel.config = terms.name.strip(), config
    channel.rate_per_minute, channel.failover_id = terms.rate_per_minute, terms.failover
    changed = ["name", "config", "rate_per_minute", "failover"]
    if terms.secrets:
        channel.secret = encrypt(json.dumps(secrets)) if secrets else ""
        changed.append("secret")
    channel.save(update_fields=changed)
    after = {**_on_record(channel), **({"secrets_replaced": sorted(terms.secrets)} if terms.secrets else {})}
    audit.record("channel.changed", channel, now=now, before=before, after=after)
    return channel


@transaction.atomic
def set_enabled(channel_id: UUID, *, enabled: bool, reason: str, now: datetime) -> Channel:
    """Switch a channel off, or on again with a clean record; what waits for it is kept meanwhile."""
    channel = _locked(channel_id)
    if channel.enabled == enabled:
        raise Conflict(f"the channel is {'enabled' if enabled else 'disabled'} already")
    channel.enabled = enabled
    channel.disabled_reason = "" if enabled else reason[:300]
    channel.failures = channel.refusals = 0
    channel.circuit_until = None
    channel.save(update_fields=["enabled", "disabled_reason", "failures", "refusals", "circuit_until"])
    action = "channel.enabled" if enabled else "channel.disabled"
    audit.record(action, channel, now=now, before={"enabled": not enabled}, after={"enabled": enabled}, reason=reason)
    return channel


@transaction.atomic
def rotate_signing_secret(channel_id: UUID, *, now: datetime) -> Made:
    """Give a webhook a new signing secret and keep the former: messages carry both signatures until it is dropped."""
    channel = _locked(channel_id)
    if channel.kind != ChannelKind.WEBHOOK:
        raise Conflict("only webhooks are signed")
    secrets = _known_secrets(channel, replaced={})
    made = new_secret()
    channel.secret = encrypt(json.dumps({**secrets, "secrets": [made, *secrets.get("secrets", [])][:2]}))
    channel.save(update_fields=["secret"])
    audit.record("channel.secret_rotated", channel, now=now)
    return Made(channel, made)


@transaction.atomic
def drop_former_secret(channel_id: UUID, *, now: datetime) -> Channel:
    """Sign with the newest secret alone; the receiver has changed to it."""
    channel = _locked(channel_id)
    secrets = _known_secrets(channel, replaced={})
    if len(secrets.get("secrets", [])) < 2:
        raise Conflict("there is no former secret")
    channel.secret = encrypt(json.dumps({**secrets, "secrets": secrets["secrets"][:1]}))
    channel.save(update_fields=["secret"])
    audit.record("channel.former_secret_dropped", channel, now=now)
    return channel


@transaction.atomic
def delete_channel(channel_id: UUID, *, reason: str = "", now: datetime) -> None:
    """Remove a channel and what was sent by it; refused while a receiver uses it or messages wait for it."""
    channel = _locked(channel_id)
    receivers = list(channel.receivers.order_by("name").values_list("name", flat=True))
    if receivers:
        raise Conflict(f"receivers use it: {', '.join(receivers[:10])}")
    if channel.notifications.filter(status="pending").exists():
        raise Conflict("messages wait for it: cancel them first, or let them be delivered")
    audit.record("channel.deleted", channel, now=now, before=_on_record(channel), reason=reason)
    try:
        channel.delete()
    except ProtectedError as error:
        users = ", ".join(sorted({str(row._meta.verbose_name) for row in error.protected_objects}))
        raise Conflict(f"it is used elsewhere: {users}") from error


def send_test(channel_id: UUID, *, by: str, now: datetime) -> DeliveryAttempt:
    """Send a test message now, the way every message goes, even by a disabled channel; returns the attempt.

    It is tried once, and counts for the channel's health.
    """
    channel = Channel.objects.filter(pk=channel_id).first()
    if channel is None:
        raise Missing("there is no such channel")
    message = Message(
        title=f"Test of the channel “{channel.name}”",
        status="info",
        severity=Severity.INFO,
        text=f"{by or 'Somebody'} sent this to see whether messages arrive. Nothing is wrong.",
    )
    with transaction.atomic():
        key = f"test:{channel.pk}:{uuid7()}"
        # Due later, so that no other worker takes it; should this process die, one of them does then.
        later = now + timedelta(minutes=2)
        outgoing = Outgoing(key, NotificationKind.TEST, message, Severity.INFO, channel=channel, due_at=later)
        (row,) = enqueue([outgoing], now=now)
        audit.record("channel.tested", channel, now=now)
    deliver_one(row, now=now)
    return DeliveryAttempt.objects.select_related("notification").filter(notification=row).latest("number")


def secret_names(channel: Channel) -> list[str]:
    """Return which secrets are set; none of a channel whose secrets cannot be read."""
    try:
        return sorted(secrets_of(channel))
    except Undecryptable:
        return []


def _check_common(terms: ChannelTerms, channel: Channel | None, *, superuser: bool) -> None:
    settings_of(terms.kind)
    if terms.kind == ChannelKind.APPRISE and not superuser:
        raise Forbidden("Apprise reaches private addresses: only superusers set such channels up, in the admin")
    mistakes = []
    others = Channel.objects.exclude(pk=channel.pk) if channel else Channel.objects.all()
    if not terms.name.strip() or len(terms.name) > 120 or not terms.name.isprintable():
        mistakes.append(FieldError("/name", "invalid", "a name of 1 to 120 characters in one line"))
    elif others.filter(name=terms.name.strip()).exists():
        mistakes.append(FieldError("/name", "taken", "another channel has this name"))
    if not 0 <= terms.rate_per_minute <= MOST_PER_MINUTE:
        mistakes.append(FieldError("/rate_per_minute", "out_of_range", f"between 0 (no limit) and {MOST_PER_MINUTE}"))
    if terms.failover is not None and not others.filter(pk=terms.failover).exists():
        mistakes.append(FieldError("/failover", "unknown", "another channel that exists"))
    if mistakes:
        raise Invalid("the channel cannot be kept like this", errors=mistakes)


def _with_signing_secret(kind: str, secrets: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if kind == ChannelKind.WEBHOOK and not secrets.get("secrets"):
        made = new_secret()
        return {**secrets, "secrets": [made]}, made
    return {name: value for name, value in secrets.items() if value not in ("", [], None)}, ""


def _known_secrets(channel: Channel, *, replaced: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return secrets_of(channel)
    except Undecryptable as error:
        if {setting.name for setting in settings_of(channel.kind) if setting.secret} <= set(replaced):
            return {}
        raise Conflict(str(error)) from error


def _without_blanks(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value not in ("", None, [])}


def _on_record(channel: Channel) -> dict[str, Any]:
    return {
        "name": channel.name,
        "kind": channel.kind,
        "config": channel.config,
        "rate_per_minute": channel.rate_per_minute,
        "failover": str(channel.failover_id) if channel.failover_id else None,
    }


def _locked(channel_id: UUID) -> Channel:
    channel = Channel.objects.select_for_update(of=("self",)).filter(pk=channel_id).first()
    if channel is None:
        raise Missing("there is no such channel")
    return channel
