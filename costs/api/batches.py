"""Bodies with many costs: a JSON array, an object with `items`, or one JSON object a line (NDJSON).

All items are decoded at once by one typed decoder. Only when that fails are they taken one by one, so that the bad
ones are named and the good ones are not lost with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.conf import settings
from rest_framework.request import Request

from core.api.body import read_body, require_content_type
from core.api.decoding import Mistakes, decode_bytes
from core.api.problems import Problem
from core.errors import FieldError
from costs.inputs import CostItem, Rejected

JSON, NDJSON = "application/json", "application/x-ndjson"
LARGEST_KEPT_PAYLOAD = 64 * 1024

Items = list[CostItem | Rejected]


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    items: list[CostItem]
    all_or_nothing: bool = False


class _Unopened(msgspec.Struct, forbid_unknown_fields=True):
    items: list[msgspec.Raw]
    all_or_nothing: bool = False


_array = msgspec.json.Decoder(list[CostItem])
_envelope = msgspec.json.Decoder(_Envelope)
_line = msgspec.json.Decoder(CostItem)
_raw_array = msgspec.json.Decoder(list[msgspec.Raw])
_unopened = msgspec.json.Decoder(_Unopened)


@dataclass(frozen=True, slots=True)
class Batch:
    """The items of one request, in order; those that did not decode are Rejected with the reason."""

    items: Items
    all_or_nothing: bool = False


def read_batch(request: Request) -> Batch:
    """Return the batch in the body.

    Raises Problem 400 when the body as a whole is not JSON or not a list of items, 413 when it is too large or has
    more than MAX_BATCH_ITEMS items, 415 for another content type. A line of NDJSON that is not JSON is that item's
    fault alone.
    """
    content_type = require_content_type(request, (JSON, NDJSON))
    body = read_body(request, content_types=(JSON, NDJSON))
    if content_type == NDJSON:
        return Batch(_lines(body))
    return _object(body) if body.lstrip()[:1] == b"{" else Batch(_list(body))


def _list(body: bytes) -> Items:
    try:
        return _within_limit(_array.decode(body))
    except msgspec.ValidationError:
        return _one_by_one(_whole(_raw_array.decode, body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error


def _object(body: bytes) -> Batch:
    try:
        opened = _envelope.decode(body)
    except msgspec.ValidationError:
        unopened = _whole(_unopened.decode, body)
        return Batch(_one_by_one(unopened.items), unopened.all_or_nothing)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error
    return Batch(_within_limit(opened.items), opened.all_or_nothing)


def _lines(body: bytes) -> Items:
    try:
        return _within_limit(_line.decode_lines(body))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return _one_by_one([line for line in body.split(b"\n") if line.strip()])


def _whole(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise _malformed(error) from error


def _one_by_one(parts: Sequence[bytes | msgspec.Raw]) -> Items:
    _refuse_too_many(len(parts))
    return [_item(bytes(part)) for part in parts]


def _item(part: bytes) -> CostItem | Rejected:
    try:
        return decode_bytes(part, CostItem)
    except Mistakes as mistakes:
        return Rejected(payload=_payload(part), errors=mistakes.errors)


def _payload(part: bytes) -> Any:
    """Return what was sent for the reject queue: as JSON values, or as text when it is no JSON or very long."""
    if len(part) > LARGEST_KEPT_PAYLOAD:
        return {"truncated": part[:2000].decode(errors="replace"), "bytes": len(part)}
    try:
        return msgspec.json.decode(part)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {"text": part.decode(errors="replace")}


def _within_limit(items: Iterable[CostItem]) -> Items:
    found: Items = list(items)
    _refuse_too_many(len(found))
    return found


def _refuse_too_many(count: int) -> None:
    if count > settings.MAX_BATCH_ITEMS:
        raise Problem(
            413,
            f"the batch has {count} items; at most {settings.MAX_BATCH_ITEMS} are taken at once",
            code="batch_too_large",
            members={"max_items": settings.MAX_BATCH_ITEMS},
        )


def _malformed(error: Exception) -> Problem:
    detail = f"a batch is a JSON array of items, or an object with items: {str(error) or 'nested too deeply'}"
    return Problem(400, detail, code="malformed", errors=[FieldError("", "malformed_json", detail)])
