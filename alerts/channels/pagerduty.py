"""PagerDuty, by its Events API version 2: trigger, acknowledge and resolve under one key per group or incident."""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from alerts.channels import texts
from alerts.channels.protocol import Delivery, HttpChannel, HttpRequest, Setting, Target
from alerts.messages import Message, shorten
from core.choices import Severity

EVENTS = "https://events.pagerduty.com/v2/enqueue"
# PagerDuty's own: characters of the summary and the key, bytes of the whole.
SUMMARY, KEY, BODY_BYTES = 1024, 255, 512 * 1024
# The labels that say where it comes from, the most telling first.
SOURCES = ("agent", "instance", "service", "source")
ACTIONS = {"firing": "trigger", "acknowledged": "acknowledge", "resolved": "resolve", "info": "trigger"}
SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
    Severity.INFO: "info",
}


class PagerDuty(HttpChannel):
    """Sends events to one PagerDuty service. Repeated ones of a key are one incident there."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "routing_key",
            "Integration key",
            "Of an Events API v2 integration of the service: 32 characters.",
            secret=True,
            required=True,
        ),
        Setting(
            "api_url",
            "Address of the API",
            f"Empty: {EVENTS}. In the EU region: https://events.eu.pagerduty.com/v2/enqueue.",
            kind="url",
        ),
    )

    def render(self, target: Target, delivery: Delivery) -> HttpRequest:
        message = delivery.message
        event: dict[str, Any] = {
            "routing_key": target.secrets["routing_key"],
            "event_action": ACTIONS[message.status],
            "dedup_key": dedup_key(delivery),
        }
        body = b""
        for shown in (100, 20, 5, 0):
            if event["event_action"] == "trigger":
                event |= {"payload": _payload(message, shown), "client": "Agent Factory", **_links(message)}
            body = json.dumps(event).encode()
            if len(body) <= BODY_BYTES:
                break
        return HttpRequest(str(target.config.get("api_url") or EVENTS), body)


def dedup_key(delivery: Delivery) -> str:
    """Return the key under which PagerDuty keeps what this message is about."""
    key = delivery.thread or delivery.id
    return key if len(key) <= KEY else hashlib.sha256(key.encode()).hexdigest()


def _payload(message: Message, shown: int) -> dict[str, Any]:
    first = message.alerts[0] if message.alerts else None
    labels = message.common_labels
    return {
        "summary": shorten(texts.headline(message, SUMMARY), SUMMARY),
        "source": shorten(
            labels.get("agent") or labels.get("instance") or labels.get("service") or "agent-factory", 255
        ),
        "severity": SEVERITIES[Severity(message.severity)],
        **({"timestamp": first.starts_at.isoformat()} if first else {}),
        "component": shorten(labels.get("service", ""), 255),
        "group": shorten(texts.labels_text(message.group_labels), 255),
        "class": shorten(labels.get("alertname", ""), 255),
        "custom_details": {
            "text": texts.introduction(message),
            "alerts": [
                {"summary": texts.alert_line(alert), "labels": texts.labels_text(alert.labels)}
                for alert in message.alerts[:shown]
            ],
            "not_shown": texts.more_text(message, min(shown, len(message.alerts))),
        },
    }


def _links(message: Message) -> dict[str, Any]:
    found = texts.links(message)
    linked = {"links": [{"href": address, "text": words} for words, address in found]} if found else {}
    return {**linked, **({"client_url": message.link} if texts.is_web(message.link) else {})}
