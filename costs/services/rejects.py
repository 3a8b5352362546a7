"""The queue of items that could not be recorded: kept whole and once, mended and sent again, or set aside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
from django.db import connection, transaction

from core import audit
from core.errors import Conflict, Invalid
from core.ids import uuid7s
from costs.choices import QueueStatus, RejectKind
from costs.inputs import CostItem, FieldError, Rejected, Sender, Verdict, item_from
from costs.models import IngestReject

# Longer payloads are kept by their beginning: the queue is for people, and a sender must not fill the disk with it.
LONGEST_PAYLOAD = 64 * 1024
_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic", enc_hook=repr).encode

# The same payload again raises its count. One that was resolved is open again; an ignored one stays ignored.
_UPSERT = """
INSERT INTO costs_ingestreject (id, kind, source, payload_hash, payload, reasons, event_count, status, first_seen_at,
    last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 'open', %s, %s)
ON CONFLICT (source, kind, payload_hash) DO UPDATE SET
    event_count = costs_ingestreject.event_count + EXCLUDED.event_count,
    last_seen_at = EXCLUDED.last_seen_at,
    reasons = EXCLUDED.reasons,
    status = CASE costs_ingestreject.status WHEN 'resolved' THEN 'open' ELSE costs_ingestreject.status END
"""


class Reject(NamedTuple):
    """An item to be kept, as it was sent, and why it was not recorded."""

    kind: RejectKind
    payload: object
    errors: Sequence[FieldError]


def keep_rejects(rejects: Iterable[Reject], *, source: str, now: datetime) -> None:
    """Keep these items in the queue, each payload once with a count, in the caller's transaction."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for reject in rejects:
        payload = _payload(reject.payload)
        key = (reject.kind.value, sha256(payload.encode()).hexdigest())
        if key in rows:
            rows[key][1] += 1
        else:
            rows[key] = [payload, 1, _json([_error(error) for error in reject.errors])]
    at = connection.ops.adapt_datetimefield_value(now)
    # Sorted: two batches with the same rejects wait for each other and never deadlock.
    ordered = sorted(rows.items())
    values = [
        (_id(key), kind, source, digest, payload, reasons, count, at, at)
        for key, ((kind, digest), (payload, count, reasons)) in zip(uuid7s(len(ordered)), ordered, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_UPSERT, values)


def retry_reject(reject: IngestReject, *, now: datetime, payload: Any = None) -> Verdict:
    """Send a rejected item again, as it was or as mended in `payload`, under its sender's name.

    When it is recorded, or was recorded meanwhile, the reject is resolved; otherwise it stays with the new reasons.
    Raises Conflict when it is not open any more.
    """
    # The ledger takes items through this queue's module too.
    from costs.services.ingest import record_cost

    item = _item(reject.payload if payload is None else payload)
    with transaction.atomic():
        verdict = (
            Verdict("rejected", errors=item.errors)
            if isinstance(item, Rejected)
            else record_cost(item, sender=Sender(source=reject.source), now=now)
        )
        if verdict.status in {"recorded", "duplicate"}:
            _close(reject, QueueStatus.RESOLVED, now=now, after={"record": str(verdict.record_id)})
        else:
            reasons = [_error(error) for error in verdict.errors]
            IngestReject.objects.filter(pk=reject.pk, status=QueueStatus.OPEN).update(reasons=reasons)
    return verdict


def ignore_reject(reject: IngestReject, *, now: datetime, reason: str) -> None:
    """Set a reject aside for good, for a reason. Raises Invalid without one, Conflict when it is not open any more."""
    if not reason.strip():
        raise Invalid("say why this cost is not recorded", errors=[FieldError("/reason", "required", "say why")])
    with transaction.atomic():
        _close(reject, QueueStatus.IGNORED, now=now, reason=reason)


def _close(
    reject: IngestReject,
    status: QueueStatus,
    *,
    now: datetime,
    after: dict[str, object] | None = None,
    reason: str = "",
) -> None:
    changed = IngestReject.objects.filter(pk=reject.pk, status=QueueStatus.OPEN).update(status=status, resolved_at=now)
    if not changed:
        raise Conflict("this reject is not open any more")
    reject.status, reject.resolved_at = status, now
    audit.record(f"ingest_reject.{status.value}", reject, now=now, after=after, reason=reason)


def _item(payload: Any) -> CostItem | Rejected:
    if not isinstance(payload, dict):
        error = FieldError("", "wrong_type", "an item is a JSON object")
        return Rejected(payload=payload, errors=(error,))
    return item_from(payload)


def _payload(payload: object) -> str:
    if isinstance(payload, CostItem):
        # What was left out stays left out, so that the item can be sent again as it was.
        whole = {name: getattr(payload, name) for name in payload.__struct_fields__}
        payload = {name: value for name, value in whole.items() if value not in (None, {}, "")}
    text = _json(payload)
    return text if len(text) <= LONGEST_PAYLOAD else _json({"beginning": text[:1000], "length": len(text)})


def _json(value: object) -> str:
    """Return JSON of anything that was sent, with U+FFFD where a text cannot be kept as it is."""
    try:
        text = _encode(value).decode()
    except (UnicodeEncodeError, TypeError, RecursionError):
        text = _encode(repr(value).encode("utf-8", "replace").decode()).decode()
    # PostgreSQL keeps no NUL in a text.
    return text.replace("\\u0000", "\ufffd")


def _error(error: FieldError) -> dict[str, str]:
    return {"pointer": error.pointer, "code": error.code, "detail": error.detail}


def _id(key: Any) -> str:
    return str(key) if connection.vendor == "postgresql" else key.hex
