"""PostgreSQL: a ledger restored into another cluster, where the numbers of transactions begin again.

The rows keep the numbers of the old cluster and the horizon stands far above the new ones: new rows would count as
folded for ever. Then all new numbers are raised by an offset, above everything that came with the restore.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection, transaction

from core import audit
from costs.services.rollups.horizon import committed_up_to, lock_horizon
from costs.services.rollups.rebuild import rebuild_all

log = structlog.get_logger(__name__)


def realign_after_restore(*, now: datetime) -> bool:
    """Notice that the horizon belongs to another cluster and start again from the events; True when that happened.

    Everybody who writes events waits while the rollups are built again: rows that were written since the restore
    carry numbers that say nothing. Costs one query when there is nothing to do.
    """
    if not _is_ahead_of_cluster():
        return False
    with transaction.atomic(), connection.cursor() as cursor:
        # In the order in which budgets take these locks.
        cursor.execute("LOCK TABLE costs_costevent IN ACCESS EXCLUSIVE MODE")
        lock_horizon(wait=True)
        if not _is_ahead_of_cluster():
            return False
        cursor.execute(
            "SELECT greatest(horizon, (SELECT max(txid)::text::bigint FROM costs_costevent)) FROM costs_foldstate"
            " WHERE id = 1"
        )
        offset = int(cursor.fetchone()[0])
        cursor.execute(
            "ALTER TABLE costs_costevent ALTER COLUMN txid"
            f" SET DEFAULT ((pg_current_xact_id()::text::bigint + {offset})::text::xid8)"
        )
        cursor.execute("UPDATE costs_foldstate SET txid_offset = %s WHERE id = 1", [offset])
        events = rebuild_all(committed_up_to())
        cursor.execute("UPDATE costs_foldstate SET horizon = %s, folded_at = %s WHERE id = 1", [committed_up_to(), now])
        audit.record("ledger.realigned", ("costs.foldstate", "1"), now=now, after={"offset": offset, "events": events})
    log.warning("ledger_realigned_after_restore", offset=offset, events=events)
    return True


def _is_ahead_of_cluster() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT horizon > pg_snapshot_xmax(pg_current_snapshot())::text::bigint + txid_offset FROM costs_foldstate"
            " WHERE id = 1"
        )
        row = cursor.fetchone()
        return row is not None and bool(row[0])
