"""PostgreSQL plans of the hot statements: each uses the index made for it, and only the partitions it needs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet

from core.money import MoneySum
from core.windows import Window
from costs.models import CostEvent, EntityDayRollup, EventKey, FoldState, ModelHourRollup
from costs.services import partitions

pytestmark = [pytest.mark.postgresql, pytest.mark.django_db]

MARCH = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
FILLED = {"2026_02", "2026_03", "2026_04", "2026_05"}
# Enough rows that reading everything is dearer than an index, few enough to write quickly.
FILL = """
INSERT INTO costs_costevent (id, occurred_at, recorded_at, entity_id, cost_type, provider, model, service_tier, region,
    quantities, amount, currency, base_amount, price_status, breakdown, tags, metadata, trace_id, span_id, session_id,
    source, idempotency_key, adjusts, txid)
SELECT gen_random_uuid(), timestamptz '2026-02-01 00:00+00' + n * interval '7 minutes', now(), n % 500, 'llm_api',
    'p', 'm', 'standard', '', '{}', CASE WHEN n % 5000 = 0 THEN NULL ELSE n / 1000.0 END, 'USD',
    CASE WHEN n % 2500 = 0 THEN NULL ELSE n / 1000.0 END, CASE WHEN n % 5000 = 0 THEN 'unpriced' ELSE 'reported' END,
    '{}', '{}', '{}', '', '', '', 's', '', CASE WHEN n % 4000 = 0 THEN gen_random_uuid() END,
    (1000 + n / 10)::text::xid8
FROM generate_series(1, 20000) n
"""


@pytest.fixture(autouse=True)
def a_filled_ledger() -> Iterator[None]:
    for month in (2, 3, 4, 5):
        partitions.create_partition(datetime(2026, month, 1, tzinfo=UTC).date())
    with connection.cursor() as cursor:
        cursor.execute(FILL)
        cursor.execute("ANALYZE costs_costevent")
    yield
    partitions.forget()


def test_plan__totals_of_an_entity_in_a_window__uses_its_index_in_one_partition() -> None:
    rows = CostEvent.objects.filter(entity_id=7).within(MARCH).order_by().values("cost_type")

    plan = _plan(rows.annotate(total=MoneySum("base_amount")))

    assert _indexes(plan, "entity_id_occurred_at_idx")
    assert _partitions(plan) == {"costs_costevent_2026_03"}


def test_plan__window_over_all_entities__reads_its_month_only() -> None:
    plan = _plan(CostEvent.objects.within(MARCH).order_by())

    assert _partitions(plan) == {"costs_costevent_2026_03"}


def test_plan__few_hours_of_a_month__uses_the_block_range_index() -> None:
    hours = Window(datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 3, 5, 3, tzinfo=UTC))

    plan = _plan(CostEvent.objects.within(hours).order_by(), without="seqscan")

    assert _indexes(plan, "occurred_at_idx")


def test_plan__unfolded_tail__uses_the_transaction_index() -> None:
    FoldState.objects.update_or_create(id=1, defaults={"horizon": 2990})

    plan = _plan(CostEvent.objects.unfolded().order_by())

    assert _indexes(plan, "txid_idx")


def test_plan__unfolded_tail_with_a_known_horizon__is_taken_for_as_small_as_it_is() -> None:
    FoldState.objects.update_or_create(id=1, defaults={"horizon": 2990})

    guessed, known = (_plan(CostEvent.objects.unfolded(known_horizon=horizon).order_by()) for horizon in (0, 2990))

    assert _indexes(known, "txid_idx")
    assert known["Plan Rows"] * 10 < guessed["Plan Rows"]


def test_plan__range_that_a_fold_reads__uses_the_transaction_index() -> None:
    plan = _explained("SELECT sum(amount) FROM costs_costevent WHERE txid >= '2990'::xid8 AND txid < '2995'::xid8")

    assert _indexes(plan, "txid_idx")


def test_plan__events_without_a_price__reads_the_few_from_their_own_index() -> None:
    plan = _plan(CostEvent.objects.filter(price_status="unpriced").order_by("id")[:100])

    assert _partial(plan) == {"(price_status)::text = 'unpriced'::text"}


def test_plan__events_without_a_rate__reads_the_few_from_their_own_index() -> None:
    pending = CostEvent.objects.filter(amount__isnull=False, base_amount__isnull=True).order_by("id")

    plan = _plan(pending[:100])

    assert _partial(plan) == {"(amount IS NOT NULL) AND (base_amount IS NULL)"}


def test_plan__adjustments_of_an_event__uses_their_index() -> None:
    adjusted = CostEvent.objects.exclude(adjusts=None).values_list("adjusts", flat=True)[:1].get()

    plan = _plan(CostEvent.objects.filter(adjusts=adjusted).order_by())

    assert _partial(plan) == {"adjusts IS NOT NULL"}


def test_plan__one_event_by_id_and_instant__uses_the_key_of_one_partition() -> None:
    event = CostEvent.objects.within(MARCH).order_by("occurred_at")[:1].get()

    plan = _plan(CostEvent.objects.filter(id=event.id, occurred_at=event.occurred_at).order_by())

    assert _indexes(plan, "pkey")
    assert _partitions(plan) == {"costs_costevent_2026_03"}


def test_plan__keys_of_a_batch__uses_the_key_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO costs_eventkey SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now()"
            " FROM generate_series(1, 5000)"
        )
        cursor.execute("ANALYZE costs_eventkey")
    digests = list(EventKey.objects.values_list("digest", flat=True)[:10])

    plan = _explained("SELECT * FROM costs_eventkey WHERE digest = ANY(%s)", [digests])

    assert _indexes(plan, "costs_eventkey_pkey")


def test_plan__rollup_of_an_entity__uses_its_unique_index() -> None:
    EntityDayRollup.objects.bulk_create(
        EntityDayRollup(day=MARCH.start.date(), entity_id=n, cost_type="llm_api", currency="USD") for n in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE costs_entitydayrollup")

    plan = _plan(EntityDayRollup.objects.filter(entity_id=7, day__gte=MARCH.start.date()).order_by())

    assert _indexes(plan, "entity_day_once")


def test_plan__hours_of_a_window__uses_their_unique_index() -> None:
    ModelHourRollup.objects.bulk_create(
        ModelHourRollup(hour=datetime(2025, 1 + n % 12, 1 + n // 400, n % 24, tzinfo=UTC), cost_type="llm_api",
                        provider="p", model=f"m{n}", currency="USD")
        for n in range(3000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE costs_modelhourrollup")
    day = datetime(2025, 3, 2, tzinfo=UTC)

    plan = _plan(ModelHourRollup.objects.filter(hour__gte=day, hour__lt=day.replace(hour=3)).order_by())

    assert _indexes(plan, "model_hour_once")


def _plan(rows: QuerySet[Any, Any], *, without: str = "") -> dict[str, Any]:
    sql, parameters = rows.query.sql_with_params()
    return _explained(sql, parameters, without=without)


def _explained(sql: str, parameters: Any = (), *, without: str = "") -> dict[str, Any]:
    with connection.cursor() as cursor:
        if without:
            cursor.execute(f"SET LOCAL enable_{without} = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", parameters)
        plan: dict[str, Any] = cursor.fetchone()[0][0]["Plan"]
        return plan


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _indexes(plan: dict[str, Any], ending: str) -> bool:
    """Say whether every table with rows is read by an index of this name's ending, and by nothing else."""
    readers = [node for node in _nodes(plan) if "Scan" in node["Node Type"] and not _is_idle(node)]
    return bool(readers) and all(node.get("Index Name", "").endswith(ending) for node in readers)


def _is_idle(node: dict[str, Any]) -> bool:
    """Say whether a scan is of an empty partition or of one row, or is the half of a bitmap scan without the index."""
    table = node.get("Relation Name", "")
    empty = table.startswith("costs_costevent_") and table.removeprefix("costs_costevent_") not in FILLED
    return empty or table == "costs_foldstate" or node["Node Type"] == "Bitmap Heap Scan"


def _partitions(plan: dict[str, Any]) -> set[str]:
    found = {node.get("Relation Name", "") for node in _nodes(plan)}
    return {name for name in found if name.startswith("costs_costevent")}


def _partial(plan: dict[str, Any]) -> set[str]:
    """Return the conditions of the partial indexes that the plan reads."""
    names = [node["Index Name"] for node in _nodes(plan) if "Index Name" in node]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid::regclass::text = ANY(%s)",
            [names],
        )
        return {str(row[0]).removeprefix("(").removesuffix(")") for row in cursor.fetchall()}
