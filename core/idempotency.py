"""The same request twice is one piece of work with one answer, whichever of two at once comes first."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction

from core.errors import Conflict, FieldError, Invalid
from core.models import IdempotencyRecord

KEEP_FOR = timedelta(days=30)
LONGEST_KEY = 200
BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a piece of work answered: a status code and a JSON value."""

    status: int
    answer: Any
    replayed: bool = False


def once(
    work: Callable[[], Outcome],
    *,
    client: uuid.UUID,
    operation: str,
    key: str,
    content_hash: str,
    now: datetime,
) -> Outcome:
    """Do the work once per (client, operation, key), in one transaction with the record of its outcome.

    A repetition gets the stored outcome. Two at once do it once: the second waits for the first. Raises Conflict when
    the key was used with other content, Invalid for a key that is not 1 to 200 printable characters. Work that raises
    leaves nothing behind, so that it can be tried again under the same key.
    """
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise Invalid(
            "an idempotency key has 1 to 200 printable characters",
            errors=[FieldError("/Idempotency-Key", "invalid", "must have 1 to 200 printable characters")],
        )
    name = {"client": client, "operation": operation, "key": key}
    with transaction.atomic():
        found = IdempotencyRecord.objects.filter(**name).first()
        if found is None and not _claimed(name, content_hash, now):
            found = IdempotencyRecord.objects.get(**name)
        if found is not None:
            return _replayed(found, content_hash)
        outcome = work()
        IdempotencyRecord.objects.filter(**name).update(status_code=outcome.status, answer=outcome.answer)
    return outcome


def forget_old_keys(now: datetime) -> int:
    """Delete the records older than 30 days, in batches; returns how many. A key this old records anew."""
    total = 0
    while True:
        old = IdempotencyRecord.objects.filter(created_at__lt=now - KEEP_FOR).order_by("created_at", "pk")
        batch = list(old.values_list("pk", flat=True)[:BATCH])
        if not batch:
            return total
        total += IdempotencyRecord.objects.filter(pk__in=batch).delete()[0]


def _claimed(name: dict[str, Any], content_hash: str, now: datetime) -> bool:
    """Insert the record; False when another transaction did. On PostgreSQL this waits for that one's end."""
    try:
        with transaction.atomic():
            IdempotencyRecord.objects.create(**name, content_hash=content_hash, created_at=now)
    except IntegrityError:
        return False
    return True


def _replayed(found: IdempotencyRecord, content_hash: str) -> Outcome:
    if found.content_hash != content_hash:
        raise Conflict(
            "this idempotency key was used before with other content; nothing was recorded",
            code="idempotency_key_reused",
        )
    return Outcome(found.status_code or 200, found.answer, replayed=True)
