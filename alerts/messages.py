"""What is told, whatever it is told by: one message with its alerts, as data. Knows neither tables nor channels.

Labels and annotations come from outside. Everything here is plain text; each channel escapes it in its own way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Status = Literal["firing", "acknowledged", "resolved", "info"]
ELLIPSIS = "…"
# The longest value that is kept of a label, an annotation or a text: what is longer was never meant to be read.
LONGEST_VALUE = 4000
MOST_ALERTS = 200
# Control characters, and those that turn the direction of what follows.
_UNWANTED: dict[int, str | int | None] = dict.fromkeys(
    (*range(32), *range(127, 160), *range(0x2028, 0x202F), *range(0x2066, 0x206A), 0xFEFF)
)
_FOR_LINES = {**_UNWANTED, **dict.fromkeys((9, 10, 13, 0x2028, 0x2029), " ")}
_FOR_TEXTS = {**_UNWANTED, 9: 9, 10: 10, 0x2028: "\n", 0x2029: "\n"}


@dataclass(frozen=True, slots=True)
class MessageAlert:
    """One alert as it was when the message was written."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    fingerprint: str
    generator_url: str = ""
    status: Status = "firing"

    @property
    def name(self) -> str:
        """What the alert is called."""
        return self.labels.get("alertname", "") or self.fingerprint

    @property
    def summary(self) -> str:
        """The sentence that says what is wrong, by the annotations that are usual for it."""
        return self.annotations.get("summary") or self.annotations.get("description") or self.name


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a title, a text, and the alerts it is about.

    `status` acknowledged and resolved also tell machines that page people to be quiet. `link` leads to the platform,
    `runbook` to what to do. `note` is a sentence that delivery adds when it combines messages.
    """

    title: str
    status: Status
    severity: str
    text: str = ""
    group_labels: Mapping[str, str] = field(default_factory=dict)
    common_annotations: Mapping[str, str] = field(default_factory=dict)
    alerts: tuple[MessageAlert, ...] = ()
    link: str = ""
    runbook: str = ""
    incident_number: int | None = None
    note: str = ""
    alert_count: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the message as it is kept: at most 200 alerts and 4,000 characters of each value."""
        return {
            "title": shorten(one_line(self.title), 300),
            "status": self.status,
            "severity": self.severity,
            "text": shorten(plain(self.text), LONGEST_VALUE),
            "group_labels": _kept(self.group_labels),
            "common_annotations": _kept(self.common_annotations),
            "alerts": [_alert_to_json(alert) for alert in self.alerts[:MOST_ALERTS]],
            "alert_count": max(self.alert_count, len(self.alerts)),
            "link": self.link,
            "runbook": self.runbook,
            "incident_number": self.incident_number,
            "note": shorten(plain(self.note), LONGEST_VALUE),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Message:
        """Return the message that was kept."""
        return cls(**{**kept, "alerts": tuple(_alert_from_json(alert) for alert in kept["alerts"])})

    @property
    def firing(self) -> tuple[MessageAlert, ...]:
        """The alerts that are wrong still."""
        return tuple(alert for alert in self.alerts if alert.status != "resolved")

    @property
    def resolved(self) -> tuple[MessageAlert, ...]:
        """The alerts that are over."""
        return tuple(alert for alert in self.alerts if alert.status == "resolved")

    @property
    def common_labels(self) -> dict[str, str]:
        """The labels that all alerts agree in."""
        if not self.alerts:
            return dict(self.group_labels)
        first = self.alerts[0].labels
        return {
            name: value
            for name, value in sorted(first.items())
            if all(alert.labels.get(name) == value for alert in self.alerts)
        }


def one_line(text: object) -> str:
    """Return text that fits a subject or a title: no line breaks and no control characters."""
    return " ".join(str(text).translate(_FOR_LINES).split())


def plain(text: object) -> str:
    """Return text without control characters; line breaks and tabs stay."""
    return str(text).replace("\r\n", "\n").replace("\r", "\n").translate(_FOR_TEXTS)


def shorten(text: str, most: int) -> str:
    """Return at most so many characters, with an ellipsis where something was cut off."""
    return text if len(text) <= most else text[: max(0, most - 1)].rstrip() + ELLIPSIS


def shorten_utf16(text: str, most: int) -> str:
    """Return at most so many UTF-16 units, by which services written in JavaScript count."""
    if len(text) * 2 <= most or len(text.encode("utf-16-le", "surrogatepass")) // 2 <= most:
        return text
    cut = text.encode("utf-16-le", "surrogatepass")[: max(0, most - 1) * 2].decode("utf-16-le", "ignore")
    return cut.rstrip() + ELLIPSIS


def _kept(values: Mapping[str, str]) -> dict[str, str]:
    return {shorten(one_line(name), 200): shorten(plain(value), LONGEST_VALUE) for name, value in values.items()}


def _alert_to_json(alert: MessageAlert) -> dict[str, Any]:
    return {
        "labels": _kept(alert.labels),
        "annotations": _kept(alert.annotations),
        "starts_at": alert.starts_at.isoformat(),
        "ends_at": alert.ends_at.isoformat() if alert.ends_at else None,
        "fingerprint": alert.fingerprint,
        "generator_url": alert.generator_url,
        "status": alert.status,
    }


def _alert_from_json(kept: Mapping[str, Any]) -> MessageAlert:
    ends_at = kept["ends_at"]
    return MessageAlert(
        **{
            **kept,
            "starts_at": datetime.fromisoformat(kept["starts_at"]),
            "ends_at": datetime.fromisoformat(ends_at) if ends_at else None,
        }
    )
