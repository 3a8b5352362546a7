"""Recording of costs: one, or many at once with a verdict for each."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import Identity, caller
from core.api.decoding import decode
from core.api.idempotency import HEADER, REPLAYED
from core.api.pagination import DEFAULT_SIZE, Cursor, CursorPage, Limit, Order, PageQuery, paginate
from core.api.parameters import query
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import Conflict, FieldError, Invalid
from core.money import to_text
from costs import reader
from costs.api.batches import NDJSON, Batch, read_batch
from costs.api.events import CostRecord, shown
from costs.api.selection import Selection
from costs.inputs import CostItem, Rejected, Sender, Verdict
from costs.services.ingest import Batch as Recorded
from costs.services.ingest import record_batch, record_cost

LONGEST_KEY = 200
EXAMPLE = {
    "cost_type": "llm_api",
    "entity_type": "agent",
    "entity_id": "my-agent",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "input_tokens": 1200,
    "output_tokens": 300,
    "occurred_at": "2026-11-20T10:00:00Z",
}


class RecordedCost(msgspec.Struct, kw_only=True):
    """A cost that is in the ledger. `amount` is null while no price is known (`price_status` unpriced)."""

    record_id: UUID
    status: Literal["recorded"] = "recorded"
    amount: str | None
    currency: str
    price_status: str


RecordId = Annotated[str, Meta(extra_json_schema={"format": "uuid"})]


class BatchVerdict(msgspec.Struct, omit_defaults=True, gc=False):
    """What became of the item at `index`. A duplicate names the record its key was given the first time."""

    index: int
    status: Literal["recorded", "duplicate", "conflict", "rejected"]
    record_id: RecordId | None = None
    amount: str | None = None
    currency: str = ""
    price_status: str = ""
    errors: list[FieldError] = []


class BatchAnswer(msgspec.Struct, kw_only=True):
    """The verdicts in the order of the items, and how many there are of each kind."""

    recorded: int
    duplicate: int
    conflict: int
    rejected: int
    items: list[BatchVerdict]


class BatchEnvelope(msgspec.Struct, kw_only=True):
    """Many costs with options. A bare array of items, or NDJSON, does as well."""

    items: list[CostItem]
    all_or_nothing: bool = False


class BatchQuery(msgspec.Struct, kw_only=True):
    """Options of a batch that is a bare array or NDJSON."""

    all_or_nothing: Annotated[bool, Meta(description="Record nothing unless every item can be recorded.")] = False


class EventQuery(Selection, kw_only=True):
    """Which costs are listed: the window, the filters and the page."""

    limit: Limit = DEFAULT_SIZE
    cursor: Cursor = ""
    entity_type: str = ""
    entity_id: str = ""
    price_status: str | None = None


class CostList(ApiView):
    """All costs: record one, list them."""

    required_scopes = {"GET": "costs:read", "POST": "costs:write"}

    @operation("list_costs", "List cost events", query=EventQuery, answers={200: CursorPage[CostRecord]}, tag="costs")
    def get(self, request: Request) -> HttpResponse:
        """The events behind every total, newest first; of one entity when its type and id are given."""
        wanted = query(request, EventQuery)
        entity = _entity(wanted, caller(request))
        events = reader.events(wanted.filters(entity), wanted.window(timezone.now())).select_related("entity")
        if wanted.price_status is not None:
            events = events.filter(price_status=wanted.price_status)
        order = Order("occurred_at") if entity else Order()
        page = PageQuery(limit=wanted.limit, cursor=wanted.cursor)
        return answer(paginate(request, events, page=page, order=order, show=shown))

    @operation(
        "record_cost",
        "Record a cost",
        body=Annotated[CostItem, Meta(examples=[EXAMPLE])],
        answers={201: RecordedCost},
        idempotent=True,
        tag="costs",
    )
    def post(self, request: Request) -> HttpResponse:
        """Record what something cost: with an amount, or with quantities that the price book prices."""
        item = decode(request, CostItem)
        caller(request).require_entity(item.entity_type, item.entity_id)
        _give_key(item, request.headers.get(HEADER))
        return _answered(record_cost(item, sender=Sender(source=caller(request).source), now=timezone.now()))


class CostBatch(ApiView):
    """Many costs in one request."""

    required_scopes = {"POST": "costs:write"}

    @operation(
        "record_costs",
        "Record a batch of costs",
        body={"application/json": BatchEnvelope | list[CostItem], NDJSON: CostItem},
        query=BatchQuery,
        answers={200: BatchAnswer, 207: BatchAnswer},
        idempotent=True,
        tag="costs",
    )
    def post(self, request: Request) -> HttpResponse:
        """Record each item or say why not, in order: 200 when all are recorded, 207 when some are not.

        The body is a JSON array, an object with `items`, or NDJSON, also compressed. With `all_or_nothing` one bad
        item keeps all of them out (422). An `Idempotency-Key` counts for the items that have no key of their own.
        """
        options = query(request, BatchQuery)
        batch = read_batch(request)
        everything = batch.all_or_nothing or options.all_or_nothing
        _give_keys(batch, request.headers.get(HEADER))
        recorded = record_batch(
            _own_only(batch.items, caller(request)),
            sender=Sender(source=caller(request).source),
            now=timezone.now(),
            all_or_nothing=everything,
        )
        return _summed(recorded, all_or_nothing=everything)


def _entity(wanted: EventQuery, identity: Identity) -> tuple[str, str] | None:
    """Return whose costs are asked for; a key that is bound to an entity sees that one's and no other's."""
    if bool(wanted.entity_type) != bool(wanted.entity_id):
        detail = "an entity is named by its type and its id"
        raise Invalid(detail, errors=[FieldError("/entity_id", "required", detail)])
    if not wanted.entity_type:
        return identity.entity
    identity.require_entity(wanted.entity_type, wanted.entity_id)
    return wanted.entity_type, wanted.entity_id


def _give_key(item: CostItem, header: str | None) -> None:
    if header is None:
        return
    _refuse_bad_key(header)
    if item.idempotency_key not in {None, header}:
        detail = "the header and the body name different idempotency keys"
        raise Invalid(detail, errors=[FieldError("/idempotency_key", "different", detail)])
    item.idempotency_key = header


def _give_keys(batch: Batch, header: str | None) -> None:
    """Give each item without a key its own, made from the header and its place: the batch can be sent again whole."""
    if header is None:
        return
    _refuse_bad_key(header)
    stem = f"batch:{hashlib.sha256(header.encode()).hexdigest()}"
    for index, item in enumerate(batch.items):
        if isinstance(item, CostItem) and item.idempotency_key is None:
            item.idempotency_key = f"{stem}:{index}"


def _refuse_bad_key(header: str) -> None:
    if not (0 < len(header) <= LONGEST_KEY and header.isprintable()):
        detail = f"an idempotency key has 1 to {LONGEST_KEY} printable characters"
        raise Invalid(detail, errors=[FieldError("/Idempotency-Key", "invalid", detail)])


def _own_only(items: list[CostItem | Rejected], identity: Identity) -> list[CostItem | Rejected]:
    own = identity.entity
    if own is None:
        return items
    return [
        item if isinstance(item, Rejected) or (item.entity_type, item.entity_id) == own else _foreign(item, own)
        for item in items
    ]


def _foreign(item: CostItem, own: tuple[str, str]) -> Rejected:
    detail = f"this key is bound to {own[0]} {own[1]}"
    payload = msgspec.to_builtins(item)
    return Rejected(payload=payload, errors=(FieldError("/entity_id", "entity_forbidden", detail),))


def _answered(verdict: Verdict) -> HttpResponse:
    if verdict.status == "conflict":
        raise Conflict(
            f"this idempotency key recorded another cost before ({verdict.record_id}); nothing was recorded",
            code="idempotency_key_reused",
        )
    if verdict.status == "rejected" or verdict.record_id is None:
        raise _refused(verdict)
    recorded = RecordedCost(
        record_id=verdict.record_id,
        amount=None if verdict.amount is None else to_text(verdict.amount),
        currency=verdict.currency,
        price_status=verdict.price_status,
    )
    return answer(recorded, 201, {REPLAYED: "true"} if verdict.status == "duplicate" else None)


def _refused(verdict: Verdict) -> Invalid:
    named = "; ".join(f"{error.pointer}: {error.detail}".lstrip(": ") for error in verdict.errors)
    return Invalid(named or "this cost cannot be recorded", errors=verdict.errors)


def _summed(batch: Recorded, *, all_or_nothing: bool) -> HttpResponse:
    if batch.recorded is not None:
        # The common case, without a verdict in between for each item.
        recorded = [
            BatchVerdict(
                draft.position,
                "recorded",
                draft.id,
                draft.shown_amount(),
                draft.currency,
                draft.price_status,
            )
            for draft in batch.recorded
        ]
        return answer(BatchAnswer(recorded=len(recorded), duplicate=0, conflict=0, rejected=0, items=recorded))
    verdicts = batch.verdicts()
    counts = Counter(verdict.status for verdict in verdicts)
    given = BatchAnswer(
        recorded=counts["recorded"],
        duplicate=counts["duplicate"],
        conflict=counts["conflict"],
        rejected=counts["rejected"],
        items=[_shown(index, verdict) for index, verdict in enumerate(verdicts)],
    )
    if not (given.conflict or given.rejected):
        return answer(given)
    if all_or_nothing:
        detail = f"{given.conflict + given.rejected} of {len(verdicts)} items cannot be recorded; nothing was recorded"
        raise Problem(422, detail, code="batch_refused", members={"items": msgspec.to_builtins(given.items)})
    return answer(given, 207)


def _shown(index: int, verdict: Verdict) -> BatchVerdict:
    return BatchVerdict(
        index,
        verdict.status,
        None if verdict.record_id is None else str(verdict.record_id),
        None if verdict.amount is None else to_text(verdict.amount),
        verdict.currency,
        verdict.price_status,
        list(verdict.errors),
    )
