"""PostgreSQL: the fold moves what transactions have committed into the rollups, each row exactly once.

Rows are told apart by the transaction that wrote them. Everything below the oldest transaction that still runs is
committed or gone for good, so rows from the horizon up to there can be folded, however late they were committed;
"the last id seen" would lose rows that commit out of order. The horizon moves in the same transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from core.ports.conditions import Condition, clear_condition, raise_condition
from costs.services.budgets.folding import fold_soft_spend
from costs.services.rollups.horizon import committed_up_to, lock_horizon
from costs.services.rollups.restored import realign_after_restore

# An event that no rollup holds after this long means that something keeps an old transaction open.
STUCK_SECONDS = 60.0

_COUNTS = "event_count, unpriced_count, unconverted_count"
_SUMMED = ", ".join(f"sum({name}) AS {name}" for name in _COUNTS.split(", "))
# The tail is read once and grouped finely; both rollups are made from the groups. Sorted, so that neighbours in an
# index are touched together.
_FOLD = f"""
WITH tail AS MATERIALIZED (
    SELECT entity_id, cost_type, provider, model, currency,
        (occurred_at AT TIME ZONE %(zone)s)::date AS day,
        date_bin('1 hour', occurred_at, TIMESTAMPTZ '2000-01-01 00:00:00+00') AS hour,
        COALESCE(sum(amount), 0) AS amount, COALESCE(sum(base_amount), 0) AS base_amount, count(*) AS row_count,
        {_SUMMED}, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
    FROM costs_costevent WHERE txid >= %(low)s::xid8 AND txid < %(high)s::xid8
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), entity_days AS (
    INSERT INTO costs_entitydayrollup AS r (entity_id, day, cost_type, currency, amount, base_amount, {_COUNTS})
    SELECT entity_id, day, cost_type, currency, sum(amount), sum(base_amount), {_SUMMED}
    FROM tail GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (entity_id, day, cost_type, currency) DO UPDATE SET
        amount = r.amount + EXCLUDED.amount, base_amount = r.base_amount + EXCLUDED.base_amount,
        event_count = r.event_count + EXCLUDED.event_count,
        unpriced_count = r.unpriced_count + EXCLUDED.unpriced_count,
        unconverted_count = r.unconverted_count + EXCLUDED.unconverted_count
), model_hours AS (
    INSERT INTO costs_modelhourrollup AS r (hour, cost_type, provider, model, currency, amount, base_amount, {_COUNTS},
        input_tokens, output_tokens)
    SELECT hour, cost_type, provider, model, currency, sum(amount), sum(base_amount), {_SUMMED}, sum(input_tokens),
        sum(output_tokens)
    FROM tail GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (hour, cost_type, provider, model, currency) DO UPDATE SET
        amount = r.amount + EXCLUDED.amount, base_amount = r.base_amount + EXCLUDED.base_amount,
        event_count = r.event_count + EXCLUDED.event_count,
        unpriced_count = r.unpriced_count + EXCLUDED.unpriced_count,
        unconverted_count = r.unconverted_count + EXCLUDED.unconverted_count,
        input_tokens = r.input_tokens + EXCLUDED.input_tokens,
        output_tokens = r.output_tokens + EXCLUDED.output_tokens
)
SELECT COALESCE(sum(row_count), 0) FROM tail
"""  # noqa: S608  # fixed text


@dataclass(frozen=True, slots=True)
class FoldReport:
    """What one fold did: how many events, up to which transaction; `busy` when another fold was at it."""

    event_count: int = 0
    horizon: int = 0
    busy: bool = False


def fold(*, now: datetime) -> FoldReport:
    """Bring everything that is committed into the rollups and the soft budgets; once, however many run at a time.

    Nothing to do on SQLite, where events are counted as they are written. Raises a condition while the horizon is
    held back by a transaction that does not end, naming it.
    """
    if connection.vendor != "postgresql":
        return FoldReport()
    realign_after_restore(now=now)
    with transaction.atomic():
        low = lock_horizon(wait=False)
        if low is None:
            return FoldReport(busy=True)
        high = committed_up_to()
        folded = _fold_range(low, high, now) if high > low else 0
        _advance(max(low, high), folded, now)
    _tell(fold_lag_seconds(now=now), now)
    return FoldReport(folded, max(low, high))


def fold_lag_seconds(*, now: datetime) -> float:
    """Return the age of the oldest event that no rollup holds yet; 0 when there is none."""
    if connection.vendor != "postgresql":
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(recorded_at) FROM costs_costevent WHERE txid >="
            " COALESCE((SELECT horizon FROM costs_foldstate WHERE id = 1), 0)::text::xid8"
        )
        oldest = cursor.fetchone()[0]
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def _fold_range(low: int, high: int, now: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_FOLD, {"zone": settings.ORGANISATION_TIME_ZONE, "low": str(low), "high": str(high)})
        folded = int(cursor.fetchone()[0])
    if folded:
        fold_soft_spend(low=low, high=high, now=now)
    return folded


def _advance(horizon: int, folded: int, now: datetime) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE costs_foldstate SET horizon = %s, folded_at = %s, event_count = event_count + %s WHERE id = 1",
            [horizon, now, folded],
        )


def _tell(lag: float, now: datetime) -> None:
    stuck = lag > STUCK_SECONDS
    condition = Condition(
        source="costs.fold",
        key="horizon",
        severity="high",
        summary=f"Rollups are {lag:.0f} seconds behind: {_oldest_transaction()}" if stuck else "Rollups are up to date",
    )
    if stuck:
        raise_condition(condition, now=now)
    else:
        clear_condition(condition, now=now)


def _oldest_transaction() -> str:
    """Say which transaction holds the horizon back, so that somebody can end it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, datname, state, now() - xact_start FROM pg_stat_activity"
            " WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY age(backend_xid) DESC LIMIT 1"
        )
        row = cursor.fetchone()
    if row is None:
        return "no running transaction explains it; look for prepared transactions"
    return f"process {row[0]} of database {row[1]} ({row[2]}) has had a transaction open for {row[3]}"
