"""A webhook of one's own, signed as Standard Webhooks describes, with a body that Alertmanager's receivers can read."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar

from alerts.channels import texts
from alerts.channels.protocol import Delivery, HttpChannel, HttpRequest, Setting, Target
from alerts.messages import MessageAlert

PREFIX = "whsec_"
SECRET_BYTES = 32
BODY_BYTES = 512 * 1024
NEVER = "0001-01-01T00:00:00Z"


class Webhook(HttpChannel):
    """Posts JSON, signed with each of the channel's secrets, so that a receiver can change from one to the next."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting("url", "Address", "https://… of your own service.", required=True, kind="url"),
        Setting(
            "secrets",
            "Signing secret",
            "Empty: one is made and shown once. Your own: whsec_ and 24 to 64 bytes in Base64.",
            secret=True,
        ),
    )

    def render(self, target: Target, delivery: Delivery) -> HttpRequest:
        body = b""
        for shown in (200, 50, 10, 0):
            body = json.dumps(_content(target, delivery, shown), ensure_ascii=False).encode("utf-8", "replace")
            if len(body) <= BODY_BYTES:
                break
        headers = signed(delivery.id, delivery.at, body, list(target.secrets.get("secrets") or []))
        return HttpRequest(str(target.config.get("url") or target.secrets.get("url")), body, headers)


def signed(identifier: str, at: datetime, body: bytes, keys: list[str]) -> dict[str, str]:
    """Return the headers of Standard Webhooks: one signature for each secret, the newest first."""
    timestamp = str(int(at.timestamp()))
    content = b".".join((identifier.encode(), timestamp.encode(), body))
    signatures = [
        "v1," + base64.b64encode(hmac.new(key_of(key), content, hashlib.sha256).digest()).decode() for key in keys
    ]
    signature = {"webhook-signature": " ".join(signatures)} if signatures else {}
    return {"webhook-id": identifier, "webhook-timestamp": timestamp, **signature}


def new_secret() -> str:
    """Return a signing secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def key_of(secret: str) -> bytes:
    """Return the bytes of a signing secret; raises ValueError when it is none of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("it is not Base64") from error
    if not secret.startswith(PREFIX) or not 24 <= len(key) <= 64:
        raise ValueError(f"it is not {PREFIX} and 24 to 64 bytes in Base64")
    return key


def _content(target: Target, delivery: Delivery, shown: int) -> dict[str, Any]:
    message = delivery.message
    alerts = message.alerts[:shown]
    return {
        "version": "4",
        "id": delivery.id,
        "kind": delivery.kind,
        "groupKey": delivery.thread,
        "truncatedAlerts": max(message.alert_count, len(message.alerts)) - len(alerts),
        # Alertmanager knows two; whatever is not over is firing.
        "status": "resolved" if message.status == "resolved" else "firing",
        "receiver": target.name,
        "groupLabels": dict(message.group_labels),
        "commonLabels": message.common_labels if shown else {},
        "commonAnnotations": dict(message.common_annotations) if shown else {},
        "externalURL": message.link,
        "alerts": [_alert(alert) for alert in alerts],
        "title": message.title,
        "state": message.status,
        "severity": message.severity,
        "text": texts.introduction(message),
        "runbook": message.runbook,
        "incident": message.incident_number,
    }


def _alert(alert: MessageAlert) -> dict[str, Any]:
    return {
        "status": "resolved" if alert.status == "resolved" else "firing",
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "startsAt": _moment(alert.starts_at),
        "endsAt": _moment(alert.ends_at) if alert.ends_at else NEVER,
        "generatorURL": alert.generator_url,
        "fingerprint": alert.fingerprint,
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
