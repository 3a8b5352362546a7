"""Writing drafts on PostgreSQL: COPY, because it is the cheapest way there is.

The keys decide: they are unique over all partitions. The optimistic way copies the events while they are still being
made and then the keys, straight into their tables, and falls back when one was taken; a failed COPY leaves dead rows
behind, so a sender who repeats keys goes the careful way, keys first, for some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from django.db import IntegrityError, connection

from core.ids import uuid7_texts
from costs.services.entities import Name
from costs.services.ingest.draft import Draft, Stored, texts
from costs.services.ingest.keys import stored_under
from costs.services.ingest.places import copy_escaped

if TYPE_CHECKING:
    from psycopg import Copy

CAREFUL_SECONDS = 300.0
MOST_CAREFUL = 10_000
_careful_until: dict[str, float] = {}
NULL = "\\N"
# Events that are sent at a time: some 30 kB.
PART = 125

_KEYS = "COPY costs_eventkey (digest, content_hash, event, occurred_at) FROM STDIN"
_EVENTS = (
    "COPY costs_costevent (id, occurred_at, recorded_at, source, entity_id, cost_type, provider, model, service_tier,"
    " region, input_tokens, output_tokens, amount, currency, base_amount, fx_rate_id, list_amount, price_status,"
    " price_version_id, quantities, breakdown, tags, metadata, trace_id, span_id, session_id, idempotency_key,"
    " reservation, unpriced_count, unconverted_count) FROM STDIN"
)
_CLAIM = """
INSERT INTO costs_eventkey (digest, content_hash, event, occurred_at)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::timestamptz[])
ON CONFLICT (digest) DO NOTHING RETURNING digest
"""


class KeyTakenError(Exception):
    """A key was taken and the transaction is lost; whoever owns it begins again, the careful way."""


def copy_events(drafts: Iterable[Draft], *, keys: Mapping[Name, int], source: str, now: datetime) -> None:
    """Write drafts as they are made, without their keys; `keys` are those of the entities.

    The database works on one part while the next is made, so they may come from a generator that asks no database.
    """
    common = _common(source, now)
    with _copying(_EVENTS) as copy:
        for part in _parts(drafts):
            _prepare(part, keys)
            copy.write(_event_lines(part, common))


def copy_keys(drafts: Iterable[Draft], *, source: str) -> None:
    """Take the keys of drafts whose events are written and whose digests are different from one another.

    Raises KeyTakenError when one was taken: the caller's transaction, or savepoint, is lost, and to begin again in the
    careful way is cheaper than a savepoint in every transaction.
    """
    keyed = _keyed(drafts)
    if not keyed:
        return
    try:
        with _copying(_KEYS) as copy:
            copy.write("".join([f"{d.digest}\t{d.content}\t{d.id}\t{d.at_text}\n" for d in keyed]))
    except IntegrityError as error:
        _take_care(source)
        raise KeyTakenError from error


def write_carefully(
    drafts: Sequence[Draft], *, keys: Mapping[Name, int], source: str, now: datetime
) -> Mapping[str, Stored]:
    """Write the drafts whose keys are free and return what the taken keys stand for."""
    _prepare(drafts, keys)
    keyed = _keyed(drafts)
    taken = _claimed(keyed) if keyed else {}
    written = [draft for draft in drafts if draft.digest not in taken] if taken else drafts
    if written:
        with _copying(_EVENTS) as copy:
            copy.write(_event_lines(written, _common(source, now)))
    return taken


def takes_care(source: str) -> bool:
    """Say whether this sender has repeated a key lately."""
    return _careful_until.get(source, 0.0) >= time.monotonic()


def forget() -> None:
    """Forget which senders repeat keys."""
    _careful_until.clear()


def _keyed(drafts: Iterable[Draft]) -> list[Draft]:
    # In the order of the digests, as everybody does: batches that overlap wait for each other and never deadlock.
    return sorted([draft for draft in drafts if draft.digest], key=_digest)


def _digest(draft: Draft) -> str:
    return draft.digest


def _take_care(source: str) -> None:
    if len(_careful_until) >= MOST_CAREFUL:
        _careful_until.clear()
    _careful_until[source] = time.monotonic() + CAREFUL_SECONDS


def _parts(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    rest = iter(drafts)
    while part := list(islice(rest, PART)):
        yield part


def _prepare(drafts: Sequence[Draft], keys: Mapping[Name, int]) -> None:
    instants = texts([draft.occurred_at for draft in drafts])
    for draft, key, instant in zip(drafts, uuid7_texts(len(drafts)), instants, strict=True):
        draft.id, draft.at_text, draft.entity = key, instant, keys[draft.place.entity]


def _claimed(keyed: Sequence[Draft]) -> Mapping[str, Stored]:
    columns = (
        [draft.digest for draft in keyed],
        [draft.content for draft in keyed],
        [draft.id for draft in keyed],
        [f'"{draft.at_text}"' for draft in keyed],
    )
    with connection.cursor() as cursor:
        # Array literals put together here: the driver takes ten times as long to adapt lists.
        cursor.execute(_CLAIM, ["{" + ",".join(column) + "}" for column in columns])
        won = {row[0].hex for row in cursor.fetchall()}
    lost = [draft.digest for draft in keyed if draft.digest not in won]
    return stored_under(lost) if lost else {}


@contextmanager
def _copying(statement: str) -> Iterator[Copy]:
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        yield copy


def _common(source: str, now: datetime) -> str:
    return f"{now}\t{copy_escaped(source)}"


def _event_lines(drafts: Sequence[Draft], common: str) -> str:
    r"""Return COPY text. NULL is \N; only JSON and free texts can hold a backslash, and neither holds a tab."""
    lines = []
    for d in drafts:
        item = d.item
        free = (
            f"{d.quantities}\t{d.breakdown}\t{d.tags}\t{d.metadata}\t{item.trace_id}\t{item.span_id}\t{item.session_id}\t"
            f"{item.idempotency_key or ''}"
        )
        if "\\" in free:
            free = free.replace("\\", "\\\\")
        amount = d.amount
        if amount is not None and d.base_amount is amount and d.list_amount is amount:
            text = d.amount_text or amount
            amounts, questions = f"{text}\t{d.currency}\t{text}\t{NULL}\t{text}", "0\t0"
        else:
            amounts, questions = _amounts(d), _open_questions(d)
        lines.append(
            f"{d.id}\t{d.at_text}\t{common}\t{d.entity}\t{d.place.copy_text}\t{item.input_tokens or 0}\t"
            f"{item.output_tokens or 0}\t{amounts}\t{d.price_status}\t{d.price_version or NULL}\t{free}\t"
            f"{item.reservation_id or NULL}\t{questions}\n"
        )
    return "".join(lines)


def _amounts(d: Draft) -> str:
    """Return amount, currency, base amount, rate and list amount."""
    amount, base, listed = d.amount, d.base_amount, d.list_amount
    if amount is None:
        return f"{NULL}\t{d.currency}\t{NULL}\t{NULL}\t{NULL}"
    rate = NULL if d.fx_rate is None else d.fx_rate
    return f"{amount}\t{d.currency}\t{NULL if base is None else base}\t{rate}\t{NULL if listed is None else listed}"


def _open_questions(d: Draft) -> str:
    if d.amount is None:
        return "1\t0"
    return "0\t1" if d.base_amount is None else "0\t0"
