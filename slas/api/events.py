"""Events of an indicator: many in one request, with a verdict for each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.body import read_body
from core.api.decoding import Mistakes, decode_bytes
from core.api.idempotency import idempotent
from core.api.problems import Problem
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Missing
from slas import buckets
from slas.buckets import Aggregate, Event, Verdict
from slas.models import Sli

MOST_EVENTS = 10_000


class EventBatch(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Events of one indicator, at most 10,000. A bare array of them does as well.

    Each has `at` and either `good` (true or false), or `value` where the indicator has a threshold. With `total`, an
    item stands for that many events of its minute, of which `good` is the number of good ones.
    """

    events: list[Event]


class EventVerdict(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What became of the event at `index`. Late ones are counted in the indicator's `late_dropped` and nowhere else."""

    index: int
    status: Literal["recorded", "late", "rejected"]
    errors: list[FieldError] = []


class EventsAnswer(msgspec.Struct, kw_only=True):
    """The verdicts in the order of the events, and how many there are of each kind."""

    recorded: int
    late: int
    rejected: int
    items: list[EventVerdict]


class _Unopened(msgspec.Struct, forbid_unknown_fields=True):
    events: list[msgspec.Raw]


_array = msgspec.json.Decoder(list[Event])
_envelope = msgspec.json.Decoder(EventBatch)
_raw_array = msgspec.json.Decoder(list[msgspec.Raw])
_unopened = msgspec.json.Decoder(_Unopened)


class SliEvents(ApiView):
    """The events of one indicator."""

    required_scopes = {"POST": "slas:write"}

    @operation(
        "send_sli_events",
        "Send events of an SLI",
        body=EventBatch | list[Event],
        answers={200: EventsAnswer, 207: EventsAnswer},
        problems=(404, 409),
        idempotent=True,
        tag="slas",
    )
    def post(self, request: Request, sli_id: UUID) -> HttpResponse:
        """Record each event or say why not, in order: 200 when all are recorded, 207 when some are not.

        Events count in the minute they happened in. With an `Idempotency-Key` a batch can be sent again whole.
        """
        sli = Sli.objects.select_related("service").filter(pk=sli_id).first()
        if sli is None:
            raise Missing("There is no such indicator.")
        caller(request).require_entity(sli.service.entity_type, sli.service.entity_id)
        items = _read(read_body(request))
        return idempotent(request, lambda now: _recorded(sli, items, now))


def _recorded(sli: Sli, items: Sequence[Event | Verdict], now: datetime) -> HttpResponse:
    sound: list[Event | Aggregate] = [item for item in items if isinstance(item, Event)]
    found = iter(buckets.record_events(sli, sound, now=now))
    verdicts = [item if isinstance(item, Verdict) else next(found) for item in items]
    shown = [
        EventVerdict(index=number, status=verdict.status, errors=list(verdict.errors))
        for number, verdict in enumerate(verdicts)
    ]
    kinds = [verdict.status for verdict in verdicts]
    counts = {"recorded": kinds.count("recorded"), "late": kinds.count("late"), "rejected": kinds.count("rejected")}
    return answer(EventsAnswer(**counts, items=shown), 200 if counts["recorded"] == len(kinds) else 207)


def _read(body: bytes) -> list[Event | Verdict]:
    """Return the events of a body; where they do not all decode, they are taken one by one."""
    bare = body.lstrip()[:1] != b"{"
    try:
        events = _array.decode(body) if bare else _envelope.decode(body).events
    except msgspec.ValidationError:
        return _one_by_one(body, bare=bare)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    _refuse_too_many(len(events))
    return list(events)


def _one_by_one(body: bytes, *, bare: bool) -> list[Event | Verdict]:
    try:
        parts = _raw_array.decode(body) if bare else _unopened.decode(body).events
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    _refuse_too_many(len(parts))
    return [_item(bytes(part)) for part in parts]


def _item(part: bytes) -> Event | Verdict:
    try:
        return decode_bytes(part, Event)
    except Mistakes as mistakes:
        return Verdict("rejected", mistakes.errors)


def _refuse_too_many(count: int) -> None:
    most = min(MOST_EVENTS, settings.MAX_BATCH_ITEMS)
    if count > most:
        detail = f"the batch has {count} events; at most {most} are taken at once"
        raise Problem(413, detail, code="batch_too_large", members={"max_items": most})


def _malformed(error: Exception) -> Problem:
    detail = f"a batch is a JSON array of events, or an object with events: {str(error) or 'nested too deeply'}"
    return Problem(400, detail, code="malformed", errors=[FieldError("", "malformed_json", detail)])
