"""Leases: how several workers share rows that are due, on PostgreSQL and on SQLite alike.

A worker claims rows for a while in one short transaction, works outside of any transaction, and commits only while the
row still carries its token. The lease of a worker that died runs out, and the row is due again for another.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import models, transaction


class Leased(models.Model):
    """A row that one worker at a time may work on; the token fences off a worker whose lease has run out."""

    lease_token = models.UUIDField(null=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


Row = TypeVar("Row", bound=Leased)


def claim(
    due: models.QuerySet[Row], *, order_by: Sequence[str], limit: int, lease: timedelta, now: datetime
) -> list[Row]:
    """Take up to `limit` of the due rows that nobody holds, in the given order, for as long as `lease`.

    Never waits for rows that another worker is claiming just now. The rows carry the token to give to `held`.
    """
    free = due.filter(models.Q(lease_until=None) | models.Q(lease_until__lt=now))
    token, until = uuid.uuid4(), now + lease
    with transaction.atomic():
        # SQLite knows no row locks and needs none: its transactions here begin with the write lock.
        rows = list(free.select_for_update(skip_locked=True, of=("self",)).order_by(*order_by)[:limit])
        due.model._default_manager.filter(pk__in=[row.pk for row in rows]).update(lease_token=token, lease_until=until)
    for row in rows:
        row.lease_token, row.lease_until = token, until
    return rows


def held(row: Row) -> models.QuerySet[Row]:
    """Return the row while it is still this worker's: an UPDATE through it changes nothing once the lease was lost."""
    model: type[Row] = type(row)
    return model._default_manager.filter(pk=row.pk, lease_token=row.lease_token)


def release(**changes: object) -> dict[str, object]:
    """Return the changes together with those that give a row back, for the UPDATE that ends the work."""
    return dict(changes, lease_token=None, lease_until=None)
