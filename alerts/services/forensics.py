"""Everything one person, key or address did in a window: security events and the audit log on one line of time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.urls import reverse

from alerts.models import SecurityEvent
from core.errors import FieldError, Invalid
from core.keyguard import find_key
from core.models import ApiKey, AuditEntry
from core.ports.metrics import metrics
from core.security import plain_address
from core.windows import Window

KINDS = ("user", "api_key", "address")
# The audit log has no addresses; it is reached by the requests that came from one.
MOST_REQUESTS = 5_000
LONGEST_SPEND = timedelta(days=31)
SPEND = "costs.spend_by_sender"


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose acts are looked at: a person, a key with its rotations, or an address; `search` finds it in the list."""

    kind: str
    value: str
    label: str
    events: Q
    entries: Q
    about: Q | None = None
    senders: tuple[str, ...] = ()
    search: str = ""
    events_about: Q | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One act, from either record; `link` leads to it."""

    at: datetime
    source: str
    what: str
    outcome: str
    actor: str
    address: str
    detail: str
    request_id: str
    link: str


@dataclass(frozen=True, slots=True)
class Looked:
    """A part of a timeline, the newest first, and how much of each record the window holds."""

    lines: Sequence[Line]
    more: bool
    event_count: int
    entry_count: int


def subject_of(kind: str, value: str) -> Subject:
    """Return whom a word names. Raises Invalid for a kind that is none and Missing for a key that does not exist."""
    value = value.strip()
    if kind == "user" and value:
        return _person(value)
    if kind == "api_key" and value:
        return _key(value)
    if kind == "address" and value:
        return _address(value)
    detail = f"look for one of {', '.join(KINDS)}, and say which"
    raise Invalid(detail, errors=[FieldError(f"/{kind}", "invalid", detail)])


def timeline(subject: Subject, window: Window, *, limit: int, about: bool = False, word: str = "") -> Looked:
    """Return the newest lines of a window; with `about` also what others did to the subject."""
    events, entries = _rows(subject, window, about=about, word=word)
    lines = list(islice(_merged(events[: limit + 1], entries[: limit + 1]), limit + 1))
    return Looked(lines[:limit], len(lines) > limit, events.count(), entries.count())


def every_line(subject: Subject, window: Window, *, about: bool = False, word: str = "") -> Iterator[Line]:
    """Yield all lines of a window, the newest first, read from the database as they are asked for."""
    events, entries = _rows(subject, window, about=about, word=word)
    return _merged(events.iterator(chunk_size=2000), entries.iterator(chunk_size=2000))


def spend(subject: Subject, window: Window) -> Decimal | None:
    """Return what a key recorded in a window of at most 31 days, in the base currency; None for anything else."""
    if not subject.senders or SPEND not in metrics or window.end - window.start > LONGEST_SPEND:
        return None
    samples = metrics.get(SPEND).read(window, [{"sender": sender} for sender in subject.senders], None)
    return sum((sample.value for sample in samples if sample.value is not None), Decimal(0))


def _rows(
    subject: Subject, window: Window, *, about: bool, word: str
) -> tuple[QuerySet[SecurityEvent], QuerySet[AuditEntry]]:
    within = Q(at__gte=window.start, at__lt=window.end)
    told = subject.events | subject.events_about if about and subject.events_about is not None else subject.events
    events = SecurityEvent.objects.filter(told & within)
    wanted = subject.entries | subject.about if about and subject.about is not None else subject.entries
    entries = AuditEntry.objects.filter(wanted & within)
    if subject.kind == "address":
        numbers = events.exclude(request_id="").order_by("-at").values_list("request_id", flat=True)
        entries = AuditEntry.objects.filter(within, request_id__in=set(numbers[:MOST_REQUESTS]))
    if word:
        events, entries = events.filter(kind__startswith=word), entries.filter(action__startswith=word)
    return events.order_by("-at", "-pk"), entries.order_by("-at", "-pk")


def _merged(events: Any, entries: Any) -> Iterator[Line]:
    parts = (map(_of_event, events), map(_of_entry, entries))
    return heapq.merge(*parts, key=lambda line: line.at, reverse=True)


def _of_event(event: SecurityEvent) -> Line:
    shown = {name: value for name, value in event.data.items() if value not in ("", None) and name != "worker"}
    if event.count > 1:
        shown["count"] = event.count
    return Line(
        event.at,
        "security",
        event.kind,
        event.outcome,
        event.actor_label or event.actor_kind,
        event.address or "",
        "; ".join(f"{name}: {value}" for name, value in shown.items()),
        event.request_id,
        reverse("admin:alerts_securityevent_change", args=[event.pk]),
    )


def _of_entry(entry: AuditEntry) -> Line:
    about = f"{entry.subject_type} {entry.subject_id}"
    return Line(
        entry.at,
        "audit",
        entry.action,
        "",
        entry.actor_label or entry.actor_kind,
        "",
        f"{about}; {entry.reason}" if entry.reason else about,
        entry.request_id,
        reverse("admin:core_auditentry_change", args=[entry.pk]),
    )


def _person(value: str) -> Subject:
    user = User.objects.filter(Q(username=value) | (Q(pk=int(value)) if value.isdecimal() else Q(pk=None))).first()
    name, key = (user.get_username(), str(user.pk)) if user is not None else (value, value)
    own = Q(actor_kind="user")
    return Subject(
        "user",
        value,
        name,
        own & (Q(actor_id=key) | Q(actor_id="", actor_label=name)),
        own & Q(actor_id=key),
        Q(subject_type="auth.user", subject_id=key),
        search=key,
    )


def _key(value: str) -> Subject:
    key = find_key(value)
    rows = list(ApiKey.objects.filter(family=key.family).order_by("created_at", "pk"))
    ids, prefixes = [str(row.pk) for row in rows], [row.prefix for row in rows]
    return Subject(
        "api_key",
        value,
        f"{key.name} ({', '.join(prefixes)})",
        Q(actor_kind="api_key") & (Q(api_key__in=prefixes) | Q(actor_id__in=ids)),
        Q(actor_kind="api_key", actor_id__in=ids),
        Q(subject_type="core.apikey", subject_id__in=ids),
        (f"key:{key.family.hex}",),
        search=key.prefix,
        events_about=Q(api_key__in=prefixes),
    )


def _address(value: str) -> Subject:
    network = "/" in value
    plain = value if network else plain_address(value)
    if not plain:
        detail = f"{value} is not an address such as 198.51.100.7, nor a network such as 198.51.100.0/24"
        raise Invalid(detail, errors=[FieldError("/address", "invalid", detail)])
    return Subject(
        "address",
        value,
        plain,
        Q(network=plain) if network else Q(address=plain),
        Q(pk=None),
        search="" if network else plain,
    )
