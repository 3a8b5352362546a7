"""The decision on PostgreSQL: one statement, prepared once per connection.

It locks the current periods of all budgets that apply in the order of their ids, reads what is left from the locked
rows, and only if every hard budget has room writes the reservation with its lines and adds it to the periods. A
reader of this statement wants to know why it cannot overspend: whoever decides on one of these periods at the same
time holds or awaits the same row locks, and PostgreSQL evaluates a locked row anew once its lock is granted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection

from costs.services.reservations.asking import Room
from costs.services.reservations.decision import Decision, Wish

if TYPE_CHECKING:
    import psycopg

_RESERVE = """
WITH known AS (
  SELECT id FROM costs_reservation WHERE client = %(client)s AND key = %(key)s
), spender AS (
  SELECT id FROM costs_entity WHERE entity_type = %(entity_type)s AND entity_id = %(entity_id)s
), candidate AS (
  SELECT b.* FROM costs_budget b
  JOIN costs_entityclosure c ON c.ancestor_id = b.entity_id
  JOIN spender s ON s.id = c.descendant_id
  UNION ALL
  SELECT b.* FROM costs_budget b WHERE b.entity_id IS NULL
), applying AS MATERIALIZED (
  SELECT b.id, b.name, b.currency, b.mode = 'hard' AS hard
  FROM candidate b
  WHERE b.active AND b.archived_at IS NULL
    AND b.cost_type IN ('', %(cost_type)s) AND b.provider IN ('', %(provider)s) AND b.model IN ('', %(model)s)
    AND NOT EXISTS (SELECT 1 FROM known)
), period AS MATERIALIZED (
  SELECT p.id, a.id AS budget, a.name, a.currency, a.hard, p.limit_until, p.end_at,
    p."limit" - p.spent - p.reserved AS room,
    CASE WHEN a.currency = %(currency)s THEN %(amount)s::numeric
      WHEN a.currency = %(base)s THEN %(base_amount)s::numeric
      ELSE money_multiply(%(base_amount)s::numeric, p.rate) END AS asked
  FROM costs_budgetperiod p JOIN applying a ON a.id = p.budget_id
  WHERE p.end_at > %(now)s AND p.start_at <= %(now)s
  ORDER BY p.id FOR NO KEY UPDATE OF p
), verdict AS MATERIALIZED (
  SELECT CASE
    WHEN EXISTS (SELECT 1 FROM known) THEN 'known'
    WHEN NOT EXISTS (SELECT 1 FROM spender) THEN 'unknown_entity'
    WHEN (SELECT count(*) FROM applying) > (SELECT count(*) FROM period) THEN 'missing_period'
    WHEN EXISTS (SELECT 1 FROM period WHERE limit_until <= %(now)s) THEN 'stale_limit'
    WHEN EXISTS (SELECT 1 FROM period WHERE hard AND (asked IS NULL OR asked > room)) THEN 'refused'
    ELSE 'held' END AS outcome
), made AS (
  INSERT INTO costs_reservation (id, client, key, content_hash, status, entity_id, cost_type, provider, model, amount,
    currency, overrun, created_at, expires_at)
  SELECT %(id)s::uuid, %(client)s::uuid, %(key)s, %(content_hash)s::uuid, 'pending', s.id, %(cost_type)s, %(provider)s,
    %(model)s, COALESCE(%(amount)s::numeric, 0), %(currency)s, 0, %(now)s::timestamptz, %(expires_at)s::timestamptz
  FROM spender s, verdict WHERE verdict.outcome = 'held'
  ON CONFLICT (client, key) DO NOTHING RETURNING id
), line AS (
  INSERT INTO costs_reservationline (reservation_id, period_id, amount)
  SELECT made.id, period.id, COALESCE(period.asked, 0) FROM made, period
), added AS (
  UPDATE costs_budgetperiod p SET reserved = p.reserved + period.asked
  FROM made, period WHERE p.id = period.id AND period.asked <> 0
)
SELECT CASE WHEN verdict.outcome = 'held' AND NOT EXISTS (SELECT 1 FROM made) THEN 'taken' ELSE verdict.outcome END,
  (SELECT id FROM spender), tight.budget, tight.name, tight.hard, tight.currency, tight.room, tight.asked, tight.end_at
FROM verdict LEFT JOIN LATERAL (
  SELECT * FROM period WHERE hard ORDER BY asked IS NOT NULL, room - asked, id LIMIT 1
) tight ON TRUE
"""


def decide(wish: Wish) -> Decision:
    """Set the money aside, or say why not; commits at once unless the caller has a transaction."""
    ask, bound = wish.ask, wish.bound
    outcome, entity, *tightest = _execute(
        {
            "id": wish.id,
            "client": wish.client,
            "key": wish.key,
            "content_hash": wish.content_hash,
            "entity_type": ask.entity_type,
            "entity_id": ask.entity_id,
            "cost_type": ask.cost_type,
            "provider": ask.provider,
            "model": ask.model,
            "amount": bound.amount,
            "currency": bound.currency,
            "base_amount": bound.base_amount,
            "base": settings.BASE_CURRENCY,
            "now": wish.now,
            "expires_at": wish.expires_at,
        }
    )
    return Decision(outcome, entity, Room(*tightest) if tightest[0] is not None else None)


def _execute(values: dict[str, Any]) -> tuple[Any, ...]:
    """Run the statement prepared and with server-side parameters: planning it takes longer than running it.

    Django's own cursors put the parameters into the text and prepare nothing, so this one is made here. PgBouncer in
    front needs `max_prepared_statements` (1.21 or later).
    """
    from psycopg import Cursor  # the driver is there; on SQLite nobody comes here

    connection.ensure_connection()
    driver: psycopg.Connection[Any] = connection.connection
    usual, driver.prepare_threshold = driver.prepare_threshold, 0
    try:
        with connection.wrap_database_errors, Cursor(driver) as cursor:
            row: tuple[Any, ...] | None = cursor.execute(_RESERVE, values, prepare=True).fetchone()
    finally:
        driver.prepare_threshold = usual
    if row is None:
        raise RuntimeError("the decision has always one row")
    return row
