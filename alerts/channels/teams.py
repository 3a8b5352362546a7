"""Microsoft Teams, by the webhook of a workflow: an Adaptive Card of at most 28 KB.

Text from outside is only ever in text runs, the one element of a card whose text is not read as Markdown.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from alerts.channels import texts
from alerts.channels.protocol import Delivery, HttpChannel, HttpRequest, Setting, Target
from alerts.messages import Message, shorten

CARD_BYTES = 28 * 1024
TEXT = 2000
COLOURS = {"firing": "attention", "acknowledged": "warning", "resolved": "good", "info": "accent"}


class Teams(HttpChannel):
    """Posts to one Teams channel or chat."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "url",
            "Webhook address",
            "Of the workflow “Post to a channel when a webhook request is received”. Whoever has it can post.",
            secret=True,
            required=True,
            kind="url",
        ),
    )

    def render(self, target: Target, delivery: Delivery) -> HttpRequest:
        body = b""
        for shown in (20, 10, 5, 2, 0):
            body = json.dumps(_posted(delivery.message, shown, TEXT if shown else TEXT // 4)).encode()
            if len(body) <= CARD_BYTES:
                break
        return HttpRequest(str(target.secrets["url"]), body)


def _posted(message: Message, shown: int, most: int) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": _body(message, shown, most),
        "actions": [
            {"type": "Action.OpenUrl", "title": words, "url": address}
            for words, address in texts.links(message)
            if len(address) <= most
        ],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(message: Message, shown: int, most: int) -> list[dict[str, Any]]:
    parts = [_runs(texts.headline(message, 300), weight="bolder", size="large", color=COLOURS[message.status])]
    if said := texts.introduction(message):
        parts.append(_runs(shorten(said, most)))
    if group := texts.labels_text(message.group_labels):
        parts.append(_runs(shorten(group, most), isSubtle=True))
    for alert in message.alerts[:shown]:
        parts.append(_runs(shorten(texts.alert_line(alert), most // 2)))
        if own := texts.labels_text(alert.labels, without=message.group_labels):
            parts.append(_runs(shorten(own, most // 2), isSubtle=True, size="small"))
    if hidden := texts.more_text(message, min(shown, len(message.alerts))):
        parts.append(_runs(hidden))
    return parts


def _runs(text: str, **look: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **look}]}
