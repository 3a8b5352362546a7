"""The queue of models that were used and have no price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from costs.choices import QueueStatus
from costs.services.ingest.draft import Draft

# One that comes again after it was resolved is open again; one that was ignored stays ignored.
_UPSERT = """
INSERT INTO costs_unpricedmodel (provider, model, event_count, first_seen_at, last_seen_at, status)
VALUES (%s, %s, %s, %s, %s, 'open')
ON CONFLICT (provider, model) DO UPDATE SET
    event_count = costs_unpricedmodel.event_count + EXCLUDED.event_count,
    last_seen_at = EXCLUDED.last_seen_at,
    status = CASE costs_unpricedmodel.status WHEN %s THEN 'open' ELSE costs_unpricedmodel.status END
"""


def note_unpriced(drafts: Iterable[Draft], *, now: datetime) -> None:
    """Count the models of these written drafts that nobody knows a price for; in the caller's transaction."""
    counts = Counter((draft.place.provider, draft.place.model) for draft in drafts if draft.unpriced)
    if not counts:
        return
    at = connection.ops.adapt_datetimefield_value(now)
    # Sorted: two batches with the same unknown models wait for each other and never deadlock.
    rows = [
        (provider, model, count, at, at, QueueStatus.RESOLVED) for (provider, model), count in sorted(counts.items())
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, rows)
