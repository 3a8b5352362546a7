"""Security events: kept as they are told, forgotten after a set time, and made nobody's when a person asks for it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from alerts.models import SecurityEvent
from core.ports.privacy import Row, Subject
from core.ports.security import SecurityFact

BATCH = 1000
ERASED = "erased person"
# What the data of an event may say of a person.
PERSONAL_DATA = ("name", "to", "reason")


def write(fact: SecurityFact) -> None:
    """Keep one fact: one insert."""
    SecurityEvent.objects.create(
        at=fact.at,
        kind=fact.kind[:40],
        outcome=fact.outcome,
        actor_kind=fact.actor.kind,
        actor_id=fact.actor.identifier[:64],
        actor_label=fact.actor.label[:200],
        api_key=fact.api_key[:64],
        address=fact.address or None,
        network=fact.network,
        channel=fact.channel,
        count=fact.count,
        user_agent=fact.user_agent,
        request_id=fact.request_id[:64],
        data=dict(fact.data),
    )


def prune(*, now: datetime) -> int:
    """Delete what is older than SECURITY_EVENT_DAYS; return how many rows."""
    return expire(now - timedelta(days=settings.SECURITY_EVENT_DAYS))


def expire(before: datetime) -> int:
    """Delete the events before an instant, in small transactions; return how many. Safe to run twice at once."""
    total = 0
    while True:
        oldest = SecurityEvent.objects.filter(at__lt=before).order_by("at").values_list("pk", flat=True)[:BATCH]
        found = sorted(oldest)
        if not found:
            return total
        total += SecurityEvent.objects.filter(pk__in=found).delete()[0]


def export(subject: Subject) -> Iterator[Row]:
    """Yield what is kept about a person, the oldest first."""
    for event in _about(subject).order_by("pk").iterator():
        yield {
            "at": event.at.isoformat(),
            "kind": event.kind,
            "outcome": event.outcome,
            "name": event.actor_label,
            "address": event.address,
            "client": event.user_agent,
            "data": event.data,
        }


def erase(subject: Subject) -> int:
    """Put a pseudonym in the place of a person; kinds, times and counts stay. Return how many events changed.

    Events cannot be updated, so each is replaced by a copy under its own number, in one transaction per batch.
    """
    pseudonym = f"erased-{uuid.uuid4().hex[:16]}"
    total = 0
    while True:
        with transaction.atomic():
            rows = list(_about(subject).order_by("pk").select_for_update()[:BATCH])
            SecurityEvent.objects.filter(pk__in=[row.pk for row in rows]).delete()
            SecurityEvent.objects.bulk_create([_anonymous(row, pseudonym) for row in rows])
        total += len(rows)
        if len(rows) < BATCH:
            return total


def _about(subject: Subject) -> QuerySet[SecurityEvent]:
    if subject.kind != "user":
        return SecurityEvent.objects.none()
    person = Q(actor_kind="user", actor_id=subject.identifier) | Q(
        actor_kind="user", actor_label__iexact=subject.identifier
    )
    given = Q(data__to_id=subject.identifier) | Q(data__to__iexact=subject.identifier)
    return SecurityEvent.objects.filter(person | given)


def _anonymous(row: SecurityEvent, pseudonym: str) -> SecurityEvent:
    row.actor_id = pseudonym
    row.actor_label = ERASED
    row.address = None
    row.network = ""
    row.user_agent = ""
    row.data = {name: value for name, value in row.data.items() if name not in (*PERSONAL_DATA, "to_id")}
    row._state.adding = True
    return row
