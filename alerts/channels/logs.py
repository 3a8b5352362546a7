"""The log as a channel: for trying things out, and as the last resort that is always there."""

from __future__ import annotations

from typing import ClassVar

import structlog

from alerts.channels import texts
from alerts.channels.protocol import Delivery, Outcome, Setting, Target

log = structlog.get_logger("alerts.notification")


class Log:
    """Writes one line per message to the platform's log."""

    settings: ClassVar[tuple[Setting, ...]] = ()

    def send(self, target: Target, delivery: Delivery) -> Outcome:
        """Write the line."""
        message = delivery.message
        log.warning(
            texts.headline(message, 300),
            notification=delivery.id,
            to=target.name,
            severity=message.severity,
            text=texts.introduction(message),
            labels=texts.labels_text(message.group_labels),
            alerts=len(message.alerts),
        )
        return Outcome("delivered")
