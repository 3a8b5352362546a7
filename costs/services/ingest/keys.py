"""What is stored under idempotency keys: looked up once per batch, for the keys that came before."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db import connection

from core.money import money
from costs.services.ingest.draft import Stored

_COLUMNS = "k.digest, k.content_hash, k.event, e.amount, e.currency, e.price_status"
# The bounds of the instants let PostgreSQL look into the partitions that can hold the events and no others.
_POSTGRESQL = f"""
WITH k AS MATERIALIZED (
    SELECT * FROM costs_eventkey WHERE digest = ANY(%s::uuid[])
)
SELECT {_COLUMNS} FROM k LEFT JOIN LATERAL (
    SELECT amount, currency, price_status FROM costs_costevent c
    WHERE c.id = k.event AND c.occurred_at = k.occurred_at
) e ON TRUE
"""  # noqa: S608  # fixed text
_SQLITE = f"""
SELECT {_COLUMNS} FROM json_each(%s) wanted JOIN costs_eventkey k ON k.digest = wanted.value
LEFT JOIN costs_costevent e ON e.id = k.event
"""  # noqa: S608  # fixed text


def stored_under(digests: Collection[str]) -> dict[str, Stored]:
    """Return what is stored under those of the keys that are taken."""
    postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        if postgresql:
            cursor.execute(_POSTGRESQL, ["{" + ",".join(digests) + "}"])
        else:
            cursor.execute(_SQLITE, [json.dumps(list(digests))])
        return {_hex(row[0]): _stored(row) for row in cursor.fetchall()}


def _stored(row: tuple[Any, ...]) -> Stored:
    _, content, event, amount, currency, status = row
    # An event that retention has removed leaves its key: it is a duplicate still, its amount is no longer known.
    return Stored(
        _hex(content),
        event if isinstance(event, UUID) else UUID(event),
        None if amount is None else money(amount),
        currency or "",
        status or "",
    )


def _hex(value: UUID | str) -> str:
    return value.hex if isinstance(value, UUID) else value
