"""A message as words: its headline, and lines of plain text that every channel builds on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from alerts.messages import Message, MessageAlert, one_line, plain, shorten

WORDS = {"firing": "FIRING", "acknowledged": "ACKNOWLEDGED", "resolved": "RESOLVED", "info": "INFO"}
SHOWN_ALERTS = 20
LONGEST_LABEL = 200
LONGEST_SUMMARY = 500


def headline(message: Message, most: int) -> str:
    """Return the message in one line: status, incident, title."""
    count = f":{len(message.firing)}" if message.status == "firing" and len(message.firing) > 1 else ""
    incident = f" INC-{message.incident_number}" if message.incident_number else ""
    return shorten(one_line(f"[{WORDS[message.status]}{count}]{incident} {message.title}"), most)


def introduction(message: Message) -> str:
    """Return what is said before the alerts."""
    return "\n\n".join(plain(part).strip() for part in (message.note, message.text) if part.strip())


def alert_line(alert: MessageAlert) -> str:
    """Return one alert in one line: what is wrong, and since when."""
    state = "resolved" if alert.status == "resolved" else "since"
    moment = alert.ends_at if alert.status == "resolved" and alert.ends_at else alert.starts_at
    return f"{shorten(one_line(alert.summary), LONGEST_SUMMARY)} ({state} {instant(moment)})"


def labels_text(labels: Mapping[str, str], *, without: Mapping[str, str] | None = None) -> str:
    """Return labels as name=value, leaving out those that are said elsewhere."""
    known = without or {}
    return ", ".join(
        f"{one_line(name)}={shorten(one_line(value), LONGEST_LABEL)}"
        for name, value in sorted(labels.items())
        if known.get(name) != value
    )


def more_text(message: Message, shown: int) -> str:
    """Return how many alerts are not shown, or nothing."""
    hidden = max(message.alert_count, len(message.alerts)) - shown
    return f"… and {hidden} more" if hidden > 0 else ""


def links(message: Message) -> list[tuple[str, str]]:
    """Return the addresses that a person may follow, with their words; only of the web."""
    found = [("Open in Agent Factory", message.link), ("Runbook", message.runbook)]
    return [(words, address) for words, address in found if is_web(address)]


def is_web(address: str) -> bool:
    """Say whether this is an address that may be a link: http or https, without spaces and control characters."""
    return address.startswith(("https://", "http://")) and all(32 < ord(letter) != 127 for letter in address)


def lines(message: Message) -> Iterator[str]:
    """Return the message as lines of plain text."""
    yield headline(message, 300)
    if said := introduction(message):
        yield ""
        yield said
    if group := labels_text(message.group_labels):
        yield ""
        yield group
    if message.alerts:
        yield ""
    for alert in message.alerts[:SHOWN_ALERTS]:
        yield f"- {alert_line(alert)}"
        if own := labels_text(alert.labels, without=message.group_labels):
            yield f"  {own}"
    if hidden := more_text(message, min(len(message.alerts), SHOWN_ALERTS)):
        yield hidden
    if found := links(message):
        yield ""
        yield from (f"{words}: {address}" for words, address in found)


def instant(moment: datetime) -> str:
    """Return an instant as people write it, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
