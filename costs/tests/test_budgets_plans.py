"""The plans of the hot statements of budgets over many rows: every table is reached by the index made for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from costs.models import Reservation
from costs.services.budgets import deltas, folding
from costs.services.reservations import closing, postgresql
from costs.tests.budgeting import AGENT, CLIENT, budget

pytestmark = [pytest.mark.django_db, pytest.mark.postgresql]

FILL = """
INSERT INTO costs_entity (entity_type, entity_id, name, demo, first_seen_at)
  SELECT 'agent', 'agent-' || n, '', false, %(now)s FROM generate_series(1, 5000) n;
INSERT INTO costs_entityclosure (ancestor_id, descendant_id, depth)
  SELECT id, id, 0 FROM costs_entity e WHERE entity_id LIKE 'agent-%%' ON CONFLICT DO NOTHING;
INSERT INTO costs_budget (id, name, entity_id, cost_type, provider, model, currency, period, anchor, time_zone, mode,
    active, demo, created_at)
  SELECT gen_random_uuid(), 'filler', id, '', '', '', 'USD', 'daily', 1, 'UTC', 'hard', true, false, %(now)s
  FROM costs_entity WHERE entity_id LIKE 'agent-%%';
INSERT INTO costs_budgetperiod (budget_id, start_at, end_at, "limit", spent, reserved, overrun, rate)
  SELECT b.id, %(now)s - n * interval '1 day', %(now)s - (n - 1) * interval '1 day', 10, 0, 0, 0, 1
  FROM costs_budget b, generate_series(1, 10) n WHERE b.name = 'filler';
INSERT INTO costs_reservation (id, client, key, content_hash, status, entity_id, cost_type, provider, model, amount,
    currency, overrun, created_at, expires_at)
  SELECT gen_random_uuid(), gen_random_uuid(), 'key', gen_random_uuid(), 'settled', e.id, 'llm_api', '', '', 1,
    'USD', 0, %(now)s, %(now)s FROM costs_entity e, generate_series(1, 4) n WHERE entity_id LIKE 'agent-%%';
INSERT INTO costs_reservationline (reservation_id, period_id, amount)
  SELECT r.id, p.id, 1 FROM costs_reservation r JOIN costs_budget b ON b.entity_id = r.entity_id
  JOIN LATERAL (SELECT id FROM costs_budgetperiod WHERE budget_id = b.id LIMIT 1) p ON true;
"""


@pytest.fixture
def _many(now: datetime) -> None:
    budget(now)
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"now": now})
        for table in ("entity", "entityclosure", "budget", "budgetperiod", "reservation", "reservationline"):
            cursor.execute(f"ANALYZE costs_{table}")


def scans(statement: str, values: Any) -> dict[str, set[str]]:
    """Return by table how the plan reaches it: index names, or "Seq Scan"."""
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    found: dict[str, set[str]] = {}
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        waiting += node.get("Plans", [])
        if "Relation Name" in node and "Scan" in node["Node Type"] and node["Node Type"] != "Bitmap Heap Scan":
            found.setdefault(node["Relation Name"], set()).add(node.get("Index Name", node["Node Type"]))
        if node["Node Type"] == "Bitmap Index Scan":
            found.setdefault("by bitmap", set()).add(node["Index Name"])
    return found


@pytest.mark.usefixtures("_many")
def test_plan__reserve__reaches_every_table_by_an_index(now: datetime) -> None:
    names = ("id", "client", "content_hash")
    values: dict[str, Any] = dict.fromkeys(names, CLIENT) | {
        "key": "k", "entity_type": AGENT[0], "entity_id": AGENT[1], "cost_type": "llm_api", "provider": "", "model": "",
        "amount": 1, "currency": "USD", "base_amount": 1, "base": "USD", "now": now, "expires_at": now,
    }  # fmt: skip

    found = scans(postgresql._RESERVE, values)

    assert found["costs_reservation"] == {"reservation_key_once"}
    assert found["costs_entity"] == {"entity_once"}
    assert not any("Seq Scan" in ways for ways in found.values())
    assert found["costs_budgetperiod"] <= {"budget_period_by_end", "budget_period_once", "costs_budgetperiod_pkey"}


@pytest.mark.usefixtures("_many")
def test_plan__changes_of_periods__go_by_their_keys() -> None:
    found = scans(deltas._APPLY, [[1, 2, 3], [1, 1, 1], [0, 0, 0], [True, True, True]])

    assert found["costs_budgetperiod"] == {"costs_budgetperiod_pkey"}


@pytest.mark.usefixtures("_many")
def test_plan__how_a_budget_stands__reads_only_what_is_not_folded(now: datetime) -> None:
    made = budget(now, mode="soft")
    statement = folding._attribution(f"e.txid >= {folding._HORIZON}", some=True) + folding._STANDING

    found = scans(statement, {"base": "USD", "budgets": [made.id], "now": now})

    assert found["costs_budgetperiod"] <= {"budget_period_by_end", "budget_period_once", "costs_budgetperiod_pkey"}
    events = set().union(*(ways for table, ways in found.items() if table.startswith("costs_costevent")))
    assert not {way for way in events if "entity" in way}


@pytest.mark.usefixtures("_many")
def test_plan__expiry__reads_pending_reservations_only(now: datetime) -> None:
    due = Reservation.objects.filter(status="pending", expires_at__lte=now + timedelta(days=1)).order_by("expires_at")

    statement, values = due[: closing.EXPIRE_AT_ONCE].query.sql_with_params()
    found = scans(statement, values)

    assert found["costs_reservation"] == {"reservation_pending"}
