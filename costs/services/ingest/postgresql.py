"""Writing drafts on PostgreSQL: COPY, because it is the cheapest way there is.

Keys go first and decide: they are unique over all partitions. The optimistic way copies them straight into their
table and falls back when one was taken; a failed COPY leaves dead rows behind, so a sender who repeats keys goes the
careful way for some minutes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, connection, transaction

from core.ids import uuid7s
from costs.services.ingest.draft import Draft, Stored, texts
from costs.services.ingest.keys import stored_under
from costs.services.ingest.places import copy_escaped

CAREFUL_SECONDS = 300.0
MOST_CAREFUL = 10_000
_careful_until: dict[str, float] = {}
NULL = "\\N"

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
    """A key was taken and the transaction is lost; whoever owns it tries again, and the careful way is taken."""


def write(drafts: Sequence[Draft], *, source: str, now: datetime, careful: bool = False) -> Mapping[str, Stored]:
    """Write the drafts whose keys are free and return what the taken keys stand for; in the caller's transaction.

    The digests of the drafts are different from one another. Raises KeyTakenError, unless told to be careful, where the
    transaction holds nothing but this batch: to begin again is cheaper than a savepoint in every transaction.
    """
    ids = uuid7s(len(drafts))
    for draft, key, text in zip(drafts, ids, texts(ids), strict=True):
        draft.id, draft.id_text = key, text
    # In the order of the digests, as everybody does: batches that overlap wait for each other and never deadlock.
    keyed = sorted((draft for draft in drafts if draft.digest), key=_digest)
    if not keyed:
        _copy(_EVENTS, _event_lines(drafts, source, now))
        return {}
    if len(keyed) > 1 and not careful and _careful_until.get(source, 0.0) < time.monotonic():
        nested = bool(connection.savepoint_ids)
        try:
            with transaction.atomic() if nested else nullcontext():
                lines = _lines_with_keys(drafts, keyed, source, now)
        except IntegrityError as error:
            _take_care(source)
            if not nested:
                raise KeyTakenError from error
        else:
            _copy(_EVENTS, lines)
            return {}
    taken = _claimed(keyed)
    written = [draft for draft in drafts if draft.digest not in taken] if taken else drafts
    if written:
        _copy(_EVENTS, _event_lines(written, source, now))
    return taken


def forget() -> None:
    """Forget which senders repeat keys."""
    _careful_until.clear()


def _digest(draft: Draft) -> str:
    return draft.digest


def _take_care(source: str) -> None:
    if len(_careful_until) >= MOST_CAREFUL:
        _careful_until.clear()
    _careful_until[source] = time.monotonic() + CAREFUL_SECONDS


def _lines_with_keys(drafts: Sequence[Draft], keyed: Sequence[Draft], source: str, now: datetime) -> str:
    """Copy all keys and return the COPY text of the events; raises IntegrityError when a key was taken."""
    keys = "".join([f"{d.digest}\t{d.content}\t{d.id_text}\t{d.at_text}\n" for d in keyed])
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(_KEYS) as copy:
        copy.write(keys)
        # While the database is busy with the keys.
        return _event_lines(drafts, source, now)


def _claimed(keyed: Sequence[Draft]) -> Mapping[str, Stored]:
    columns = (
        [draft.digest for draft in keyed],
        [draft.content for draft in keyed],
        [draft.id_text for draft in keyed],
        [f'"{draft.at_text}"' for draft in keyed],
    )
    with connection.cursor() as cursor:
        # Array literals put together here: the driver takes ten times as long to adapt lists.
        cursor.execute(_CLAIM, ["{" + ",".join(column) + "}" for column in columns])
        won = {row[0].hex for row in cursor.fetchall()}
    lost = [draft.digest for draft in keyed if draft.digest not in won]
    return stored_under(lost) if lost else {}


def _copy(statement: str, lines: str) -> None:
    with connection.cursor() as cursor, connection.wrap_database_errors, cursor.copy(statement) as copy:
        copy.write(lines)


def _event_lines(drafts: Sequence[Draft], source: str, now: datetime) -> str:
    r"""Return COPY text. NULL is \N; only JSON and free texts can hold a backslash, and neither holds a tab."""
    common = f"{now}\t{copy_escaped(source)}"
    lines = []
    for d in drafts:
        free = (
            f"{d.quantities}\t{d.breakdown}\t{d.tags}\t{d.metadata}\t{d.trace_id}\t{d.span_id}\t{d.session_id}\t{d.key}"
        )
        if "\\" in free:
            free = free.replace("\\", "\\\\")
        amount = d.amount
        if amount is not None and d.base_amount is amount and d.list_amount is amount:
            text = d.amount_text or str(amount)
            amounts, questions = f"{text}\t{d.currency}\t{text}\t{NULL}\t{text}", "0\t0"
        else:
            amounts, questions = _amounts(d), _open_questions(d)
        lines.append(
            f"{d.id_text}\t{d.at_text}\t{common}\t{d.entity}\t{d.place.copy_text}\t{d.input_tokens}\t"
            f"{d.output_tokens}\t{amounts}\t{d.price_status}\t{_version(d.price_version)}\t{free}\t"
            f"{NULL if d.reservation is None else d.reservation}\t{questions}\n"
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


def _version(version: UUID | None) -> str:
    return NULL if version is None else version.int.to_bytes(16).hex()
