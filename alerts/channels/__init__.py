"""The kinds of channels, and how a channel or a person's contact becomes a target that one of them sends to."""

from __future__ import annotations

import json
from typing import Any

import structlog

from alerts.channels.apprise import Apprise
from alerts.channels.email import Email, with_people
from alerts.channels.logs import Log
from alerts.channels.pagerduty import PagerDuty
from alerts.channels.protocol import ChannelType, Delivery, Outcome, Setting, Target
from alerts.channels.slack import Slack
from alerts.channels.teams import Teams
from alerts.channels.webhook import Webhook
from alerts.choices import ChannelKind
from alerts.models import Channel, ContactMethod
from core.encryption import decrypt

log = structlog.get_logger(__name__)

TYPES: dict[str, ChannelType] = {
    ChannelKind.EMAIL: Email(),
    ChannelKind.SLACK: Slack(),
    ChannelKind.TEAMS: Teams(),
    ChannelKind.PAGERDUTY: PagerDuty(),
    ChannelKind.WEBHOOK: Webhook(),
    ChannelKind.APPRISE: Apprise(),
    ChannelKind.LOG: Log(),
}
# By which of its secrets or settings a kind is addressed, when all that is known is one address of a person.
_ADDRESS: dict[str, tuple[str, str]] = {
    ChannelKind.SLACK: ("secrets", "url"),
    ChannelKind.TEAMS: ("secrets", "url"),
    ChannelKind.APPRISE: ("secrets", "url"),
    ChannelKind.WEBHOOK: ("secrets", "url"),
    ChannelKind.PAGERDUTY: ("secrets", "routing_key"),
}


def target_of_channel(channel: Channel) -> Target:
    """Return the target with its secrets in the clear and its people looked up; raises Undecryptable.

    Whatever sending needs of the database is read here: senders run in threads that have no connection.
    """
    config = with_people(channel.config) if channel.kind == ChannelKind.EMAIL else channel.config
    return Target(channel.kind, channel.name, config, secrets_of(channel))


def target_of_contact(contact: ContactMethod) -> Target:
    """Return the target that one address of a person is."""
    name = f"{contact.get_kind_display()} of {contact.user_id}"
    if contact.kind == ChannelKind.EMAIL:
        return Target(contact.kind, name, {"addresses": [contact.address]})
    place, setting = _ADDRESS.get(contact.kind, ("config", "address"))
    told = {setting: contact.address}
    return Target(contact.kind, name, {} if place == "secrets" else told, told if place == "secrets" else {})


def secrets_of(channel: Channel) -> dict[str, Any]:
    """Return the channel's secrets in the clear; raises core.encryption.Undecryptable."""
    found: dict[str, Any] = json.loads(decrypt(channel.secret) or "{}")
    return found


def send(target: Target, delivery: Delivery) -> Outcome:
    """Try once to deliver; what a kind of channel did not foresee is an outcome too, tried again."""
    try:
        return TYPES[target.kind].send(target, delivery)
    except Exception as error:  # one message that breaks its channel must not stop the others
        log.exception("sender_broke", kind=target.kind, notification=delivery.id)
        return Outcome("retry", target.scrubbed(f"{type(error).__name__}: {error}")[:500])


__all__ = ["TYPES", "Delivery", "Outcome", "Setting", "Target", "secrets_of", "send", "target_of_channel",
           "target_of_contact"]  # fmt: skip
