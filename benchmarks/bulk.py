"""Fills a scratch database with many finished events, past the API: `python -m benchmarks.bulk COUNT [ENTITIES]`."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import django

DAYS = 60
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-pro"),
]
KINDS = ("llm_api", "tool_usage")
QUANTITIES = '{"input_tokens": 900, "output_tokens": 120}'
COLUMNS = (
    "id", "occurred_at", "recorded_at", "entity_id", "cost_type", "event_class", "provider", "model", "service_tier",
    "region", "quantities", "amount", "currency", "base_amount", "price_status", "breakdown", "tags", "metadata",
    "trace_id", "span_id", "session_id", "source", "idempotency_key",
)  # fmt: skip


def rows(count: int, entities: list[int]) -> Iterator[tuple[object, ...]]:
    """Yield `count` rows in the order of COLUMNS, spread over DAYS days that end now.

    Models and kinds take turns, so that ten thousand events fill nearly as many rollup rows as a million.
    """
    chance = random.Random(5)  # noqa: S311  # sample data, no secret
    newest = datetime.now(UTC).replace(microsecond=0)
    step = timedelta(days=DAYS) / count
    for number in range(count):
        at = newest - timedelta(days=DAYS) + step * number
        provider, model = MODELS[number % len(MODELS)]
        kind = KINDS[number // len(MODELS) % len(KINDS)]
        identifier = f"{int(at.timestamp() * 1000):012x}7{number & 0xFFF:03x}8{number:015x}"
        # Written as Django writes it, which both databases read as UTC.
        instant = str(at.replace(tzinfo=None))
        amount = f"0.{chance.randrange(10**12):012d}"
        yield (
            identifier, instant, instant, chance.choice(entities), kind, "usage", provider, model, "standard",
            "", QUANTITIES, amount, "USD", amount, "reported", "{}", '{"team": "search"}', "{}",
            "", "", "", "bulk", identifier,
        )  # fmt: skip


def main(count: int, entities: int = 1000) -> None:
    """Insert the entities and events and fold them."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection, transaction
    from django.utils import timezone as clock

    from costs.services.rollups import fold

    with transaction.atomic():
        filled = rows(count, _entities(entities))
        if connection.vendor == "postgresql":
            _copy(filled)
        else:
            marks = ",".join("?" * len(COLUMNS))
            with connection.cursor() as cursor:
                cursor.cursor.executemany(f"INSERT INTO costs_costevent ({','.join(COLUMNS)}) VALUES ({marks})", filled)  # noqa: S608
    # PostgreSQL moves committed rows into the rollups from its horizon on; a rebuild repeats what it has moved before.
    if connection.vendor == "sqlite":
        call_command("rebuild_rollups", verbosity=0)
    else:
        fold(now=clock.now())
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _entities(count: int) -> list[int]:
    from django.utils import timezone as clock

    from costs.models import Entity, EntityClosure

    known = {e.entity_id: e.pk for e in Entity.objects.filter(entity_type="agent", entity_id__startswith="bulk-")}
    if not known:
        now = clock.now()
        made = Entity.objects.bulk_create(
            [Entity(entity_type="agent", entity_id=f"bulk-{n}", first_seen_at=now) for n in range(count)]
        )
        EntityClosure.objects.bulk_create([EntityClosure(ancestor=e, descendant=e, depth=0) for e in made])
        return [e.pk for e in made]
    return list(known.values())


def _copy(filled: Iterator[tuple[object, ...]]) -> None:
    from django.db import connection

    connection.ensure_connection()
    with connection.connection.cursor().copy(f"COPY costs_costevent ({','.join(COLUMNS)}) FROM STDIN".encode()) as copy:
        for row in filled:
            copy.write_row(row)


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
