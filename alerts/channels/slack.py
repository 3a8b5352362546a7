"""Slack, by an incoming webhook: a message of blocks, within the limits that Slack documents for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

from alerts.channels import texts
from alerts.channels.protocol import Delivery, HttpChannel, HttpRequest, Setting, Target
from alerts.messages import Message, shorten_utf16

# Slack's own: characters of a header, of a section and of the fallback text, and blocks of one message.
HEADER, SECTION, FALLBACK, BLOCKS = 150, 3000, 4000, 50
SHOWN_ALERTS = 20


class Slack(HttpChannel):
    """Posts to one Slack channel. Text from outside can neither format nor mention anybody."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "url",
            "Webhook address",
            "Of an incoming webhook: https://hooks.slack.com/services/…. Whoever has it can post.",
            secret=True,
            required=True,
            kind="url",
        ),
    )

    def render(self, target: Target, delivery: Delivery) -> HttpRequest:
        message = delivery.message
        blocks = list(_blocks(message))[:BLOCKS]
        body = {
            "text": _fitting(texts.headline(message, FALLBACK), FALLBACK),
            "blocks": blocks,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        return HttpRequest(str(target.secrets["url"]), json.dumps(body).encode())


def escape(text: str) -> str:
    """Escape the three characters that have a meaning in Slack's messages."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    # A header is plain text, in which nothing has a meaning.
    header = shorten_utf16(texts.headline(message, HEADER), HEADER)
    yield {"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}}
    if said := texts.introduction(message):
        yield _section(said)
    if group := texts.labels_text(message.group_labels):
        yield _section(group)
    shown = message.alerts[:SHOWN_ALERTS]
    for alert in shown:
        own = texts.labels_text(alert.labels, without=message.group_labels)
        yield _section("\n".join(part for part in (texts.alert_line(alert), own) if part))
    if hidden := texts.more_text(message, len(shown)):
        yield _section(hidden)
    if found := texts.links(message):
        yield {
            "type": "context",
            "elements": [{"type": "mrkdwn", "text": _link(words, address)} for words, address in found],
        }


def _link(words: str, address: str) -> str:
    for character, coded in (("|", "%7C"), ("<", "%3C"), (">", "%3E")):
        address = address.replace(character, coded)
    return f"<{escape(address)}|{escape(words)}>" if len(address) < SECTION // 2 else escape(words)


def _section(text: str) -> dict[str, Any]:
    # Plain text: neither *bold* nor <!channel> nor a link can come from a label.
    return {"type": "section", "text": {"type": "plain_text", "text": shorten_utf16(text, SECTION), "emoji": False}}


def _fitting(text: str, most: int) -> str:
    """Escape a text and cut it so that the escaped form fits, and no escape is cut in two."""
    escaped = escape(text)
    while len(escaped) > most:
        text = shorten_utf16(text, max(1, len(text) - max(1, (len(escaped) - most) // 5)))
        escaped = escape(text)
    return escaped
