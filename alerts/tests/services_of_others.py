"""The services that messages go to, played on loopback: each checks what the real one documents, and answers as it."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from standardwebhooks import Webhook, WebhookVerificationError

from core.tests.listeners import Listener, Received, Reply, listening


class Service:
    """One service: answers `queued` replies first, then judges what it gets."""

    def __init__(self) -> None:
        self.queued: list[Reply] = []
        self.accepted: list[Any] = []
        self.refused: list[str] = []
        self.url = ""

    def respond(self, request: Received) -> Reply:
        if self.queued:
            return self.queued.pop(0)
        mistake = self.mistake(request)
        if mistake:
            self.refused.append(mistake)
            return self.refusal(mistake)
        self.accepted.append(self.read(request))
        return self.acceptance()

    def read(self, request: Received) -> Any:
        return json.loads(request.body)

    def mistake(self, request: Received) -> str:
        return ""

    def refusal(self, mistake: str) -> Reply:
        return Reply(400, mistake.encode())

    def acceptance(self) -> Reply:
        return Reply(200, b"ok")


class Slack(Service):
    """Slack's incoming webhooks: limits of Block Kit (docs.slack.dev, reference/block-kit/blocks)."""

    def mistake(self, request: Received) -> str:
        body = self.read(request)
        blocks = body.get("blocks", [])
        if len(blocks) > 50 or len(body["text"]) > 40_000:
            return "invalid_blocks"
        return next((found for block in blocks if (found := self._wrong(block))), "")

    def _wrong(self, block: dict[str, Any]) -> str:
        if block["type"] == "header":
            text = block["text"]
            return "" if text["type"] == "plain_text" and 1 <= _units(text["text"]) <= 150 else "invalid_blocks"
        if block["type"] == "section":
            return "" if 1 <= _units(block["text"]["text"]) <= 3000 else "invalid_blocks"
        if block["type"] == "context":
            return "" if 1 <= len(block["elements"]) <= 10 else "invalid_blocks"
        return "invalid_blocks"


class Teams(Service):
    """The webhook of a Teams workflow: an Adaptive Card in a message of at most 28 KB."""

    def mistake(self, request: Received) -> str:
        if len(request.body) > 28 * 1024:
            return "RequestEntityTooLarge"
        body = self.read(request)
        (attachment,) = body["attachments"]
        card = attachment["content"]
        if body["type"] != "message" or attachment["contentType"] != "application/vnd.microsoft.card.adaptive":
            return "InvalidBotData"
        return "" if card["type"] == "AdaptiveCard" and card["version"] in {"1.2", "1.3", "1.4", "1.5"} else "BadCard"

    def refusal(self, mistake: str) -> Reply:
        return Reply(413 if mistake == "RequestEntityTooLarge" else 400, mistake.encode())

    def acceptance(self) -> Reply:
        return Reply(202, b"")


class PagerDuty(Service):
    """PagerDuty's Events API v2: required fields and their lengths, and its open incidents by key."""

    def __init__(self) -> None:
        super().__init__()
        self.open: dict[str, str] = {}

    def mistake(self, request: Received) -> str:
        if len(request.body) > 512 * 1024:
            return "body too large"
        event = self.read(request)
        if len(event["routing_key"]) != 32:
            return "routing_key is not valid"
        if event["event_action"] not in {"trigger", "acknowledge", "resolve"} or len(event["dedup_key"]) > 255:
            return "event_action or dedup_key is not valid"
        return self._wrong(event["payload"]) if event["event_action"] == "trigger" else ""

    def _wrong(self, payload: dict[str, Any]) -> str:
        if not payload["source"] or not 1 <= len(payload["summary"]) <= 1024:
            return "payload is not valid"
        return "" if payload["severity"] in {"critical", "error", "warning", "info"} else "severity is not valid"

    def read(self, request: Received) -> Any:
        return json.loads(request.body)

    def acceptance(self) -> Reply:
        event = self.accepted[-1]
        key, action = event["dedup_key"], event["event_action"]
        if action == "resolve":
            self.open.pop(key, None)
        elif action == "trigger":
            self.open.setdefault(key, "triggered")
        elif key in self.open:
            self.open[key] = "acknowledged"
        return Reply(202, json.dumps({"status": "success", "dedup_key": key}).encode())


class Sink(Service):
    """A receiver of signed webhooks that believes nothing which the reference library does not verify."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self.secret = secret
        self.ids: list[str] = []

    def mistake(self, request: Received) -> str:
        try:
            Webhook(self.secret).verify(request.body, request.headers)
        except WebhookVerificationError as error:
            return f"signature: {error}"
        self.ids.append(request.headers["webhook-id"])
        return ""

    def refusal(self, mistake: str) -> Reply:
        return Reply(401, mistake.encode())


class Mailbox:
    """A mail server that keeps what it accepts; `codes` are answered first, instead of accepting."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.codes: list[str] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # its name
        if self.codes:
            return self.codes.pop(0)
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=policy.default))
        self.envelopes.append(envelope)
        return "250 OK"


@contextlib.contextmanager
def serving(settings: Any, service: Service) -> Iterator[Listener]:
    """Play a service on loopback."""
    with listening(settings, service.respond) as listener:
        service.url = listener.url
        yield listener


@contextlib.contextmanager
def mail_server(settings: Any) -> Iterator[Mailbox]:
    """Run a real mail server on loopback and make it the platform's."""
    mailbox = Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=_free_port())
    controller.start()
    try:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST = "127.0.0.1"
        settings.EMAIL_PORT = controller.port
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        yield mailbox
    finally:
        controller.stop()


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2
