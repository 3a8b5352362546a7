"""Apprise: more than a hundred services behind one address each, when its library is installed beside the platform.

It tells success from failure and nothing more: no status, no Retry-After. It makes its own connections, which the
platform cannot hold back from private networks, so only superusers may set such a channel up.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any, ClassVar

from alerts.channels import texts
from alerts.channels.protocol import Delivery, Outcome, Setting, Target

LIBRARY = "apprise"
HOW_TO_INSTALL = "Apprise is not installed. Install it beside the platform: pip install apprise"
TITLE, BODY = 250, 4000
TYPES = {"firing": "failure", "acknowledged": "info", "resolved": "success", "info": "info"}


class Apprise:
    """Sends through one Apprise address, such as ntfy://topic or tgram://token/chat."""

    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            "url",
            "Apprise address",
            "In the form of Apprise: ntfy://topic, tgram://token/chat, matrix://… It reaches private addresses too.",
            secret=True,
            required=True,
        ),
    )

    def send(self, target: Target, delivery: Delivery) -> Outcome:
        """Try once; a failure is tried again, for Apprise does not say which kind it was."""
        if not installed():
            return Outcome("final", HOW_TO_INSTALL)
        library: Any = import_module(LIBRARY)
        service = library.Apprise()
        if not service.add(str(target.secrets["url"])):
            return Outcome("final", "Apprise does not understand the address of this channel")
        lines = list(texts.lines(delivery.message))
        sent = service.notify(
            title=texts.headline(delivery.message, TITLE),
            body="\n".join(lines[1:]).strip()[:BODY] or lines[0],
            notify_type=TYPES[delivery.message.status],
            body_format="text",
        )
        return Outcome("delivered") if sent else Outcome("retry", "Apprise reports a failure and no reason")


def installed() -> bool:
    """Say whether the library is there."""
    return find_spec(LIBRARY) is not None
