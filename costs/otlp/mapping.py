"""Decides what a span costs: a model call, a tool call, or nothing of ours.

Follows the OpenTelemetry GenAI conventions: input tokens include cache reads and writes, output tokens include
reasoning. Only spans of calls are counted; agent and workflow spans repeat the tokens of the calls inside them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from core.errors import FieldError
from costs.inputs import CostItem, Rejected, item_from
from costs.otlp import vocabulary as names
from costs.otlp.spans import KIND_SERVER, Attributes, Scalar, Span
from costs.pricing import provider_name

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_EXACT = Decimal("1E-12")
_NANO = Decimal("1E-9")


@dataclass(frozen=True, slots=True)
class EntityRules:
    """Who pays for a span.

    `bound` is the entity of the key that sends, and then the only one. Otherwise `order` lists (attribute, entity
    type) in order of preference; an attribute of the span goes before the same one of its resource.
    """

    order: Sequence[tuple[str, str]]
    bound: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What an export holds: the items to record, in order, and how many spans are no cost of ours."""

    items: list[CostItem | Rejected]
    ignored: int


def entity_order(settings: Iterable[str], *, default_type: str = "agent") -> tuple[tuple[str, str], ...]:
    """Read "attribute" or "attribute=entity_type" entries into the order of `EntityRules`."""
    pairs = (entry.partition("=") for entry in settings if entry.strip())
    return tuple((name.strip(), kind.strip() or default_type) for name, _, kind in pairs)


def wanted(rules: EntityRules) -> Any:
    """Return the test by which a reader keeps attributes: the known names, the entity's and our own tags."""
    known = names.NAMES | {name for name, _ in rules.order}
    return lambda key: key in known or key.startswith(names.OWN_TAG_PREFIX)


def read_spans(spans: Iterable[Span], rules: EntityRules) -> Reading:
    """Turn spans into cost items; what looks like a cost and cannot be read is Rejected with the reason."""
    items: list[CostItem | Rejected] = []
    ignored = 0
    for span in spans:
        item = read_span(span, rules)
        if item is None:
            ignored += 1
        else:
            items.append(item)
    return Reading(items, ignored)


def read_span(span: Span, rules: EntityRules) -> CostItem | Rejected | None:
    """Return the cost of one span, None when it has none, Rejected when it should have one but cannot be read."""
    kind = _kind(span)
    if kind is None:
        return None
    try:
        cost = _tool_call(span) if kind == "tool_usage" else _model_call(span)
        if cost is None:
            return None
        return item_from({"cost_type": kind, **_entity(span, rules), **_circumstances(span), **cost})
    except _UnreadableError as problem:
        return Rejected(payload=_payload(span), errors=(problem.error,))


class _UnreadableError(Exception):
    def __init__(self, attribute: str, detail: str) -> None:
        super().__init__(detail)
        self.error = FieldError(
            pointer=f"/{attribute.replace('~', '~0').replace('/', '~1')}", code="invalid", detail=detail
        )


def _kind(span: Span) -> str | None:
    """Return the cost type of a span; None for everything that is not one call of a model or a tool."""
    attributes = span.attributes
    operation = _word(attributes, names.OPERATION)
    if operation in names.INFERENCE_OPERATIONS:
        return "llm_api"
    if operation == names.TOOL_OPERATION:
        # The server's side of a tool call repeats the caller's span.
        repeated = span.kind == KIND_SERVER and bool(_word(attributes, names.MCP_METHOD))
        return None if repeated else "tool_usage"
    if operation:
        return None
    described = _word(attributes, names.KIND_OF_SPAN)
    if described:
        return names.COST_TYPE_OF_KIND.get(described)
    # Before operations had names: a model and its usage are a model call.
    model = names.first(attributes, (*names.RESPONSE_MODEL, *names.REQUEST_MODEL))
    used = names.first(attributes, names.INPUT_TOKENS)
    return None if model is None or used is None else "llm_api"


def _word(attributes: Attributes, spellings: tuple[str, ...]) -> str:
    return str(names.first(attributes, spellings) or "").lower()


# --- Model calls ---------------------------------------------------------------------------------------------------
_COUNTS = {
    "input_tokens": names.INPUT_TOKENS,
    "output_tokens": names.OUTPUT_TOKENS,
    "cache_read_tokens": names.CACHE_READ_TOKENS,
    "cache_write_tokens": names.CACHE_WRITE_TOKENS,
    "reasoning_tokens": names.REASONING_TOKENS,
    "audio_input_tokens": names.AUDIO_INPUT_TOKENS,
    "audio_output_tokens": names.AUDIO_OUTPUT_TOKENS,
}


def _model_call(span: Span) -> dict[str, Any] | None:
    attributes = span.attributes
    counts = {field: _count(attributes, spellings) for field, spellings in _COUNTS.items()}
    usage = {field: count for field, count in counts.items() if count is not None}
    metadata: dict[str, str] = {}
    amount, currency = _reported(attributes, metadata, priceable=bool(usage))
    if not usage and amount is None:
        if span.failed:
            return None
        raise _UnreadableError(names.INPUT_TOKENS[0], "a model was called, but the span says neither tokens nor cost")
    requested = names.first(attributes, names.REQUEST_MODEL)
    answered = names.first(attributes, names.RESPONSE_MODEL)
    if requested and answered and requested != answered:
        metadata["request_model"] = str(requested)
    provider = str(names.first(attributes, names.PROVIDER) or "")
    return {
        "provider": provider_name(provider),
        "model": str(answered or requested or ""),
        "service_tier": _tier(attributes),
        **_inclusive(usage, metadata),
        **({} if amount is None else {"amount": amount, "currency": currency}),
        "metadata": metadata | _facts(span),
    }


def _count(attributes: Attributes, spellings: tuple[str, ...]) -> int | None:
    value = names.first(attributes, spellings)
    if value is None:
        return None
    try:
        number = Decimal(str(value))
        if number == number.to_integral_value() and 0 <= number <= 10**15:
            return int(number)
    except (InvalidOperation, ValueError):
        pass
    raise _UnreadableError(spellings[0], f"{str(value)[:40]!r} is not a number of tokens")


def _inclusive(usage: dict[str, int], metadata: dict[str, str]) -> dict[str, int]:
    """Return the counts with the whole input as input; some instrumentations leave the cached part out of it.

    Only where the figures cannot be read otherwise, because more was cached than the input is said to hold.
    """
    cached = usage.get("cache_read_tokens", 0) + usage.get("cache_write_tokens", 0)
    stated = usage.get("input_tokens", 0)
    if cached <= stated:
        return usage
    metadata["input_tokens_stated"] = str(stated)
    return usage | {"input_tokens": stated + cached}


def _tier(attributes: Attributes) -> str:
    return names.SERVICE_TIERS.get(_word(attributes, names.SERVICE_TIER), "standard")


def _reported(
    attributes: Attributes, metadata: dict[str, str], *, priceable: bool
) -> tuple[Decimal | None, str | None]:
    """Return the amount the span reports and its currency, or None where the price book knows better.

    What the provider charged is taken as it is. What the sender worked out from a price list of its own is kept
    beside the event, and counts only when there is no usage to price.
    """
    value, currency = names.first(attributes, names.COST_AMOUNT), names.first(attributes, names.COST_CURRENCY)
    attribute = names.COST_AMOUNT[0]
    if value is None:
        value, currency = names.first(attributes, names.COST_IN_DOLLARS), "USD"
        attribute = names.COST_IN_DOLLARS[0]
    if value is None:
        return None, None
    amount = _amount(value, attribute)
    if priceable and names.first(attributes, names.COST_SOURCE) == "local":
        metadata["cost_stated_by_sender"] = f"{amount.normalize():f} {currency or ''}".strip()
        return None, None
    return amount, None if currency is None else str(currency).upper()


def _amount(value: object, attribute: str) -> Decimal:
    """Return an amount that travelled as a double through its shortest decimal text, to 12 decimals."""
    try:
        amount = Decimal(repr(value) if isinstance(value, float) else str(value))
        if amount.is_finite() and abs(amount) < Decimal(10) ** 26:
            return amount.quantize(_EXACT, rounding=ROUND_HALF_EVEN)
    except (InvalidOperation, ValueError):
        pass
    raise _UnreadableError(attribute, f"{str(value)[:40]!r} is not an amount")


# --- Tool calls ----------------------------------------------------------------------------------------------------
def _tool_call(span: Span) -> dict[str, Any]:
    metadata: dict[str, str] = {}
    amount, currency = _reported(span.attributes, metadata, priceable=False)
    duration = Decimal(max(span.end_ns - span.start_ns, 0)) * _NANO
    return {
        "provider": "tool",
        "model": str(names.first(span.attributes, names.TOOL_NAME) or span.name)[:160],
        "quantities": {"calls": Decimal(1), "duration_seconds": duration},
        **({} if amount is None else {"amount": amount, "currency": currency}),
        "metadata": metadata | _facts(span),
    }


# --- Common to both ------------------------------------------------------------------------------------------------
def _entity(span: Span, rules: EntityRules) -> dict[str, str]:
    if rules.bound is not None:
        return {"entity_type": rules.bound[0], "entity_id": rules.bound[1]}
    own = _either(span, names.OWN_ENTITY_ID)
    if own is not None:
        return {"entity_type": str(_either(span, names.OWN_ENTITY_TYPE) or "agent"), "entity_id": str(own)}
    for attribute, entity_type in rules.order:
        value = _either(span, (attribute,))
        if value is not None:
            return {"entity_type": entity_type, "entity_id": str(value)[:200]}
    tried = ", ".join(attribute for attribute, _ in rules.order)
    raise _UnreadableError(names.OWN_ENTITY_ID[0], f"nothing says who pays; looked for {tried}")


def _either(span: Span, spellings: tuple[str, ...]) -> Scalar | None:
    value = names.first(span.attributes, spellings)
    return value if value is not None else names.first(span.resource, spellings)


def _circumstances(span: Span) -> dict[str, Any]:
    if not _TRACE_ID.fullmatch(span.trace_id):
        raise _UnreadableError("traceId", "a trace id is 16 bytes, not all zero")
    if not _SPAN_ID.fullmatch(span.span_id):
        raise _UnreadableError("spanId", "a span id is 8 bytes, not all zero")
    reservation = names.first(span.attributes, names.OWN_RESERVATION)
    return {
        "occurred_at": _instant(span),
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "session_id": str(_either(span, names.SESSION) or "")[:200],
        "tags": _tags(span),
        "idempotency_key": f"{span.trace_id}:{span.span_id}",
        **({} if reservation is None else {"reservation_id": str(reservation)}),
    }


def _instant(span: Span) -> datetime:
    """Return when the call was over: that is when it cost."""
    nanoseconds = span.end_ns or span.start_ns
    try:
        if nanoseconds > 0:
            return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        pass
    raise _UnreadableError("endTimeUnixNano", "the span has no usable time")


def _tags(span: Span) -> dict[str, str]:
    found = {
        "service": _either(span, names.SERVICE),
        "environment": _either(span, names.ENVIRONMENT),
        "agent": _either(span, names.AGENT_NAME),
    }
    tags = {key: str(value)[:256] for key, value in found.items() if value is not None}
    for attributes in (span.resource, span.attributes):
        for name, value in attributes.items():
            if name.startswith(names.OWN_TAG_PREFIX):
                tags[name.removeprefix(names.OWN_TAG_PREFIX)] = str(value)[:256]
    return tags


def _facts(span: Span) -> dict[str, str]:
    facts = {"span": span.name[:200]}
    return facts | {"status": "error"} if span.failed else facts


def _payload(span: Span) -> Mapping[str, Any]:
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name[:200],
        "attributes": {name: _safe(value) for name, value in span.attributes.items()},
        "resource": {name: _safe(value) for name, value in span.resource.items()},
    }


def _safe(value: Scalar) -> Scalar:
    # JSON columns hold no NaN, and nobody mends an item by its ten-thousandth character.
    return value[:200] if isinstance(value, str) else str(value) if isinstance(value, float) else value
