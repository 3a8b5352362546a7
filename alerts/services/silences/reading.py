"""Which silences hold now, and which alerts they hide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db.models import QuerySet

from alerts.choices import ACTIVE_STATES
from alerts.matching import Matcher, matches, stored_matchers
from alerts.models import Alert, Silence
from alerts.services.routetree import labels_of
from core.recurrence import Recurrence
from core.windows import Window

State = Literal["pending", "active", "expired"]
LOOKED_AT = 20_000


@dataclass(frozen=True, slots=True)
class Hiding:
    """A silence that holds now: what it hides, and the span that it hides it in."""

    id: UUID
    matchers: tuple[Matcher, ...]
    window: Window

    def hides(self, labels: Mapping[str, str]) -> bool:
        """Say whether an alert with these labels is hidden."""
        return matches(self.matchers, labels)


@dataclass(frozen=True, slots=True)
class Preview:
    """What matchers hide now: the first alerts, how many there are, and whether there were too many to look at all."""

    alerts: list[Alert]
    count: int
    complete: bool


def recurrence_of(silence: Silence) -> Recurrence:
    """Return when a silence holds."""
    first = Window(silence.starts_at, silence.ends_at)
    return Recurrence(first, silence.recurrence, silence.recurs_until, silence.time_zone)


def state_of(silence: Silence, now: datetime) -> State:
    """Return whether a silence holds now, is still to come (also: to come back), or is over for good."""
    if silence.expired_at is not None or silence.over_at <= now:
        return "expired"
    return "active" if recurrence_of(silence).at(now) is not None else "pending"


def span_of(silence: Silence, now: datetime) -> Window:
    """Return the span that holds now, else the next one, else the last there was."""
    recurrence = recurrence_of(silence)
    return recurrence.at(now) or recurrence.following(now) or list(recurrence.spans())[-1]


def current_silences(now: datetime) -> list[Hiding]:
    """Return the silences that hold now, with one query."""
    found = []
    for silence in Silence.objects.filter(expired_at=None, starts_at__lte=now, over_at__gt=now).order_by("pk"):
        window = recurrence_of(silence).at(now)
        if window is not None:
            found.append(Hiding(silence.pk, stored_matchers(silence.matchers), window))
    return found


def hidden_by(silences: Iterable[Hiding], labels: Mapping[str, str]) -> list[Hiding]:
    """Return the silences that hide an alert with these labels."""
    return [silence for silence in silences if silence.hides(labels)]


def preview(matchers: Sequence[Matcher], *, limit: int = 50) -> Preview:
    """Return the active alerts that matchers would hide now, the newest first; looks at the newest 20,000 at most."""
    rows = narrowed(matchers).defer("annotations", "generator_url").order_by("-pk")[:LOOKED_AT]
    found, count, looked_at = [], 0, 0
    for alert in rows.iterator(chunk_size=2000):
        looked_at += 1
        if matches(matchers, labels_of(alert)):
            count += 1
            found += [alert] if count <= limit else []
    return Preview(found, count, complete=looked_at < LOOKED_AT)


def narrowed(matchers: Iterable[Matcher]) -> QuerySet[Alert]:
    """Return the active alerts that can match at all, as far as columns with an index tell."""
    rows = Alert.objects.filter(state__in=ACTIVE_STATES)
    for matcher in matchers:
        if matcher.op == "=" and matcher.name == "alertname" and matcher.value:
            rows = rows.filter(name=matcher.value[:200])
    return rows
