"""One of several processes that record overlapping batches as fast as they can: `python -m costs.tests.ledger_race`.

The content of an item depends on its number alone, so every process agrees on it. Prints its counts as JSON.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import django

from costs.inputs import CostItem

NUMBERS = 6_000
BATCH = 1_000
BATCHES = 6


def record(seed: int, started: datetime) -> dict[str, int]:
    """Record batches of random numbers, most of which others record too; every tenth batch is late by weeks."""
    from costs.inputs import Sender
    from costs.services.ingest import record_costs

    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    for _ in range(BATCHES):
        numbers = [chance.randrange(NUMBERS) for _ in range(BATCH)]
        items = [item_of(number, started) for number in numbers]
        verdicts = record_costs(items, sender=Sender(source="race"), now=datetime.now(UTC))
        counts.update(verdict.status for verdict in verdicts)
    return dict(counts)


def fold(seconds: float) -> dict[str, int]:
    """Fold without a pause, to meet as many transactions half-way as can be."""
    from costs.services.rollups import fold as fold_once

    folded, until = 0, datetime.now(UTC) + timedelta(seconds=seconds)
    while datetime.now(UTC) < until:
        folded += fold_once(now=datetime.now(UTC)).event_count
    return {"folded": folded}


def item_of(number: int, started: datetime) -> CostItem:
    """Return the item of a number: amounts with 12 decimals, some late, some in a currency without a rate."""

    chance = random.Random(number)
    late = timedelta(days=chance.randrange(60)) if number % 10 == 0 else timedelta(seconds=chance.randrange(600))
    return CostItem(
        cost_type="llm_api",
        entity_type="agent",
        entity_id=f"agent-{chance.randrange(300)}",
        amount=Decimal(chance.randrange(10**14)).scaleb(-12),
        currency="EUR" if number % 17 == 0 else "USD",
        occurred_at=started - late,
        provider="openai",
        model=f"model-{number % 5}",
        input_tokens=number,
        output_tokens=1,
        idempotency_key=f"race-{number}",
    )


if __name__ == "__main__":
    django.setup()
    role, argument, begun = sys.argv[1:]
    result = fold(float(argument)) if role == "fold" else record(int(argument), datetime.fromisoformat(begun))
    print(json.dumps(result))
