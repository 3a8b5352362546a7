"""Writing drafts on SQLite: one writer at a time, so keys are looked up first and rollups are written at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from core.ids import uuid7_texts
from costs.services.entities import Name
from costs.services.ingest.draft import Draft, Stored, texts
from costs.services.ingest.keys import stored_under
from costs.services.rollups.deltas import Addend, add_to_rollups

_KEYS = "INSERT INTO costs_eventkey (digest, content_hash, event, occurred_at) VALUES (%s, %s, %s, %s)"
_COLUMNS = (
    "id, occurred_at, recorded_at, source, entity_id, cost_type, provider, model, service_tier, region, quantities,"
    " input_tokens, output_tokens, amount, currency, base_amount, fx_rate_id, list_amount, price_status,"
    " price_version_id, breakdown, tags, metadata, trace_id, span_id, session_id, reservation, idempotency_key,"
    " unpriced_count, unconverted_count"
)
_EVENTS = f"INSERT INTO costs_costevent ({_COLUMNS}) VALUES ({', '.join(['%s'] * len(_COLUMNS.split(',')))})"  # noqa: S608


def write(drafts: Sequence[Draft], *, keys: Mapping[Name, int], source: str, now: datetime) -> Mapping[str, Stored]:
    """Write the drafts whose keys are free and return what the taken keys stand for; in the caller's transaction."""
    digests = [draft.digest for draft in drafts if draft.digest]
    taken = stored_under(digests) if digests else {}
    written = [draft for draft in drafts if draft.digest not in taken] if taken else drafts
    if written:
        instants = texts([draft.occurred_at for draft in written])
        for draft, key, instant in zip(written, uuid7_texts(len(written)), instants, strict=True):
            draft.id, draft.entity = key, keys[draft.place.entity]
            # As Django stores instants here: UTC, without saying so.
            draft.at_text = instant[:-1].replace("T", " ")
        with connection.cursor() as cursor:
            cursor.executemany(_KEYS, sorted(_key_rows(written)))
            cursor.executemany(_EVENTS, list(_event_rows(written, source, now)))
        add_to_rollups(_addend(draft) for draft in written)
    return taken


def _key_rows(drafts: Sequence[Draft]) -> Iterator[tuple[str, str, str, str]]:
    for draft in drafts:
        if draft.digest:
            yield draft.digest, draft.content, draft.id.replace("-", ""), draft.at_text


def _event_rows(drafts: Sequence[Draft], source: str, now: datetime) -> Iterator[tuple[Any, ...]]:
    recorded_at = connection.ops.adapt_datetimefield_value(now)
    for d in drafts:
        item, place, amount, base, listed = d.item, d.place, d.amount, d.base_amount, d.list_amount
        text = _money(amount)
        yield (
            d.id.replace("-", ""),
            d.at_text,
            recorded_at,
            source,
            d.entity,
            place.cost_type,
            place.provider,
            place.model,
            place.service_tier,
            place.region,
            d.quantities,
            item.input_tokens or 0,
            item.output_tokens or 0,
            text,
            d.currency,
            text if base is amount else _money(base),
            d.fx_rate,
            text if listed is amount else _money(listed),
            d.price_status,
            d.price_version,
            d.breakdown,
            d.tags,
            d.metadata,
            item.trace_id,
            item.span_id,
            item.session_id,
            _hex(item.reservation_id),
            item.idempotency_key or "",
            int(d.unpriced),
            int(d.unconverted),
        )


def _addend(d: Draft) -> Addend:
    place = d.place
    return Addend(
        d.entity,
        place.cost_type,
        place.provider,
        place.model,
        d.occurred_at,
        d.currency,
        d.amount,
        d.base_amount,
        1,
        int(d.unpriced),
        int(d.unconverted),
        d.item.input_tokens or 0,
        d.item.output_tokens or 0,
    )


def _hex(value: UUID | None) -> str | None:
    return None if value is None else value.hex


def _money(value: Decimal | None) -> str | None:
    return None if value is None else format(value, "f")
