"""The bodies of Alertmanager's API v2, with its field names, and how ours become them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from alerts.matching import Matcher, stored_matchers
from alerts.models import Alert, Silence
from alerts.reports import Report
from alerts.services.silences.reading import span_of, state_of
from core.choices import Severity
from core.errors import FieldError, Invalid

SOURCE = "alertmanager"
RESOLVE_TIMEOUT = timedelta(minutes=5)
MOST_LABELS = 100
LONGEST_VALUE = 10_240
LONGEST_NAME = 200
# What senders write into the label `severity`, in the words of this platform.
SEVERITIES: Mapping[str, str] = {
    **dict.fromkeys(("critical", "page", "fatal", "emergency", "disaster"), Severity.CRITICAL),
    **dict.fromkeys(("high", "error", "major"), Severity.HIGH),
    **dict.fromkeys(("medium", "warning", "warn", "minor", "average"), Severity.MEDIUM),
    **dict.fromkeys(("low", "notice"), Severity.LOW),
    **dict.fromkeys(("info", "information", "informational", "none", "debug"), Severity.INFO),
}

Moment = Annotated[datetime, Meta(tz=True)]
Labels = dict[str, str]


class PostableAlert(msgspec.Struct, rename="camel"):
    """An alert as it is sent. Times of the year 1 are those of senders that left them out."""

    labels: Labels
    annotations: Labels = {}
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    generator_url: str = msgspec.field(default="", name="generatorURL")


class ReceiverName(msgspec.Struct):
    """A receiver by its name."""

    name: str


class AlertStatus(msgspec.Struct, rename="camel"):
    """Whether an alert is told of, and what hides it."""

    state: Literal["unprocessed", "active", "suppressed"]
    silenced_by: list[str]
    inhibited_by: list[str]


class GettableAlert(msgspec.Struct, rename="camel"):
    """An alert that fires."""

    annotations: Labels
    ends_at: datetime
    fingerprint: str
    receivers: list[ReceiverName]
    starts_at: datetime
    status: AlertStatus
    updated_at: datetime
    labels: Labels
    generator_url: str = msgspec.field(name="generatorURL")


class AlertGroupShape(msgspec.Struct):
    """Alerts that are told of together."""

    labels: Labels
    receiver: ReceiverName
    alerts: list[GettableAlert]


class MatcherShape(msgspec.Struct, rename="camel"):
    """One condition of a silence."""

    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class PostableSilence(msgspec.Struct, rename="camel"):
    """A silence as it is sent; with the id of one that exists, it is changed."""

    matchers: list[MatcherShape]
    starts_at: Moment
    ends_at: Moment
    created_by: str
    comment: str
    id: str = ""


class SilenceState(msgspec.Struct):
    """Whether a silence holds."""

    state: Literal["expired", "active", "pending"]


class GettableSilence(msgspec.Struct, rename="camel"):
    """A silence. Of one that recurs, the times are those of the span that holds or comes next."""

    id: str
    status: SilenceState
    updated_at: datetime
    comment: str
    created_by: str
    ends_at: datetime
    starts_at: datetime
    matchers: list[MatcherShape]


class SilenceCreated(msgspec.Struct):
    """The id of the silence."""

    silence_id: str = msgspec.field(name="silenceID")


class ClusterStatus(msgspec.Struct):
    """How many servers take part: they share a database and need no gossip."""

    status: Literal["ready", "settling", "disabled"]
    peers: list[dict[str, str]]
    name: str = ""


class VersionInfo(msgspec.Struct, rename="camel"):
    """What runs here."""

    version: str
    revision: str
    branch: str
    build_user: str
    build_date: str
    go_version: str


class OriginalConfig(msgspec.Struct):
    """The routing tree, as Alertmanager's configuration file would have it."""

    original: str


class AlertmanagerStatus(msgspec.Struct, rename="camel"):
    """What clients ask for before they ask for anything else."""

    cluster: ClusterStatus
    version_info: VersionInfo
    config: OriginalConfig
    uptime: datetime


def report_of(alert: PostableAlert, now: datetime) -> Report:
    """Return an alert that was sent as a report; raises Invalid for one that Alertmanager would refuse as well."""
    labels = {name: value for name, value in alert.labels.items() if value}
    _require_sound(labels, alert.annotations)
    starts, ends = _given(alert.starts_at), _given(alert.ends_at)
    if starts is None:
        starts = ends if ends is not None and ends < now else now
    if ends is not None and ends < starts:
        raise _invalid("the start time must be before the end time")
    return Report(
        labels=labels,
        severity=SEVERITIES.get(labels.get("severity", "").lower(), Severity.MEDIUM),
        source=SOURCE,
        active=ends is None or ends > now,
        starts_at=starts,
        annotations=alert.annotations,
        ends_at=ends or now + RESOLVE_TIMEOUT,
        generator_url=alert.generator_url,
    )


def _given(at: datetime | None) -> datetime | None:
    """Return a time in UTC, or None for the year 1, by which Go's clients say that they have none."""
    return None if at is None or at.year <= 1 else at.astimezone(UTC)


def _require_sound(labels: Labels, annotations: Labels) -> None:
    if not labels:
        raise _invalid("at least one label pair required")
    if len(labels) > MOST_LABELS or len(annotations) > MOST_LABELS:
        raise _invalid(f"at most {MOST_LABELS} labels and {MOST_LABELS} annotations")
    for pairs in (labels, annotations):
        for name, value in pairs.items():
            if not 0 < len(name) <= LONGEST_NAME or len(value) > LONGEST_VALUE or "\x00" in name or "\x00" in value:
                raise _invalid(
                    f"{name[:50]!r}: a name has 1 to 200 characters, a value at most 10,240, none of them NUL"
                )


def shown_alert(alert: Alert, status: AlertStatus, receivers: list[str], now: datetime) -> GettableAlert:
    """Return an active alert as Alertmanager shows it; without an end of its own it lasts for the next minutes."""
    return GettableAlert(
        annotations=alert.annotations,
        ends_at=alert.ends_at or now + RESOLVE_TIMEOUT,
        fingerprint=alert.fingerprint,
        receivers=[ReceiverName(name) for name in receivers],
        starts_at=alert.starts_at,
        status=status,
        updated_at=alert.last_seen_at,
        labels=alert.labels,
        generator_url=alert.generator_url,
    )


def matcher_of(shape: MatcherShape) -> dict[str, str]:
    """Return a matcher in our words."""
    op = {(False, True): "=", (False, False): "!=", (True, True): "=~", (True, False): "!~"}
    return {"name": shape.name, "op": op[shape.is_regex, shape.is_equal], "value": shape.value}


def shown_matcher(matcher: Matcher) -> MatcherShape:
    """Return a matcher in Alertmanager's words."""
    return MatcherShape(
        matcher.name, matcher.value, is_regex="~" in matcher.op, is_equal=not matcher.op.startswith("!")
    )


def shown_silence(silence: Silence, now: datetime) -> GettableSilence:
    """Return a silence as Alertmanager shows it."""
    span = span_of(silence, now)
    ends_at = silence.expired_at if silence.expired_at is not None else span.end
    return GettableSilence(
        id=str(silence.pk),
        status=SilenceState(state_of(silence, now)),
        updated_at=silence.updated_at,
        comment=silence.comment,
        created_by=silence.created_by,
        ends_at=ends_at,
        starts_at=min(span.start, ends_at),
        matchers=[shown_matcher(matcher) for matcher in stored_matchers(silence.matchers)],
    )


def _invalid(detail: str) -> Invalid:
    return Invalid(detail, errors=[FieldError("", "invalid_alert", detail)])
