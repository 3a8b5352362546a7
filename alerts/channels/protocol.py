"""What delivery and the kinds of channels say to each other: a target, a delivery, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal, Protocol

from alerts.messages import Message
from core.outbound import Answer, OutboundError, Refused, request

Verdict = Literal["delivered", "retry", "final", "gone"]
RETRIED = frozenset({408, 425, 429})
GONE = frozenset({401, 404, 410})
LONGEST_ANSWER = 1024
LONGEST_RETRY_AFTER = 24 * 3600.0
REDACTED = "[redacted]"


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a channel of a kind must or may be told, as forms and the API ask for it."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = False
    kind: Literal["text", "url", "addresses", "number", "choice"] = "text"
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: the kind of channel, what it was told, and its secrets in the clear."""

    kind: str
    name: str
    config: Mapping[str, Any]
    secrets: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def scrubbed(self, text: str) -> str:
        """Return a text that others will read, without this target's secrets."""
        for value in self.secrets.values():
            for secret in value if isinstance(value, list | tuple) else (value,):
                if len(str(secret)) >= 6:
                    text = text.replace(str(secret), REDACTED)
        return text


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way: its stable `id`, the `thread` it belongs to, and the instant of this attempt."""

    id: str
    message: Message
    at: datetime
    thread: str = ""
    kind: str = "group"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. `retry_after` is what the other side asked for, in seconds."""

    verdict: Verdict
    error: str = ""
    status_code: int | None = None
    answer: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent to an HTTP service."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class ChannelType(Protocol):
    """One kind of channel: what it must be told, and how it sends."""

    settings: ClassVar[tuple[Setting, ...]]

    def send(self, target: Target, delivery: Delivery) -> Outcome:
        """Try once; everything that can go wrong is an outcome."""
        ...


class HttpChannel:
    """A channel that is one POST: `render` writes the request, `interpret` reads the answer."""

    settings: ClassVar[tuple[Setting, ...]] = ()

    def render(self, target: Target, delivery: Delivery) -> HttpRequest:
        """Return the request that tells the message."""
        raise NotImplementedError

    def interpret(self, answer: Answer, *, at: datetime) -> Outcome:
        """Return what the answer means, by its status."""
        return interpret(answer, at=at)

    def send(self, target: Target, delivery: Delivery) -> Outcome:
        """Try once. What the platform itself refuses is final, what nobody answered is tried again."""
        wanted = self.render(target, delivery)
        headers = {"Content-Type": "application/json", **wanted.headers}
        try:
            answer = request("POST", wanted.url, headers=headers, body=wanted.body)
        except Refused as error:
            return Outcome("final", target.scrubbed(str(error)))
        except OutboundError as error:
            return Outcome("retry", target.scrubbed(str(error)))
        found = self.interpret(answer, at=delivery.at)
        shown = target.scrubbed(answer.text.replace("\x00", ""))[:LONGEST_ANSWER]
        return Outcome(found.verdict, found.error, answer.status, shown, found.retry_after)


def interpret(answer: Answer, *, at: datetime) -> Outcome:
    """Return what a status means: 2xx delivered; 408, 425, 429 and 5xx later; 401, 404 and 410 gone; others never."""
    status = answer.status
    if 200 <= status < 300:
        return Outcome("delivered")
    if status in RETRIED or status >= 500:
        return Outcome(
            "retry", f"answered {status}", retry_after=retry_after(answer.headers.get("retry-after", ""), at)
        )
    if status in GONE:
        return Outcome("gone", f"answered {status}: the address or its key is not known there")
    if 300 <= status < 400:
        return Outcome("final", f"answered {status}: redirects are not followed; enter the final address")
    return Outcome("final", f"answered {status}")


def retry_after(value: str, at: datetime) -> float | None:
    """Return the seconds of a Retry-After header, given as seconds or as a date (RFC 9110, 10.2.3); at most a day."""
    text = value.strip()
    if not text:
        return None
    try:
        if text.isascii() and text.isdigit():
            seconds = float(text)
        else:
            moment = parsedate_to_datetime(text)
            seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - at).total_seconds()
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)
