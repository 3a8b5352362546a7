"""How far the ledger is folded: the lock that everybody takes who reads or moves it, and how far it may move."""

from __future__ import annotations

from django.db import connection


def lock_horizon(*, wait: bool) -> int | None:
    """Lock the fold state for this transaction and return the horizon; None when it is locked and we do not wait."""
    lock = "SELECT horizon FROM costs_foldstate WHERE id = 1 FOR NO KEY UPDATE"
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(lock if wait else f"{lock} SKIP LOCKED")
            row = cursor.fetchone()
            if row is not None:
                return int(row[0])
            cursor.execute(
                "INSERT INTO costs_foldstate (id, horizon, event_count) VALUES (1, 0, 0) ON CONFLICT DO NOTHING"
            )
            if not cursor.rowcount:
                # The row is there and somebody holds it.
                return None
    return None


def committed_up_to() -> int:
    """Return the number below which every transaction has ended, as the ledger numbers them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + txid_offset"
            " FROM costs_foldstate WHERE id = 1"
        )
        return int(cursor.fetchone()[0])
