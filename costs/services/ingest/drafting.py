"""From items to drafts: one judgement of the values for every door, the price, the hashes. Asks no database.

This runs once per event, so it is written for speed: the common case is a straight line of cheap tests, and whatever
is unusual leaves it for a function of its own.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from core.errors import FieldError
from core.money import CONTEXT, LIMIT, QUANTUM, MoneyError, money
from costs.choices import PriceStatus
from costs.inputs import CostItem
from costs.pricing import FlatPrice, PriceTable, PricingInputError, Quantity, flat_price, meters
from costs.services.ingest.draft import Draft
from costs.services.ingest.places import Place, is_clean, place_of

FUTURE_TOLERANCE = timedelta(minutes=5)
MOST_TAGS = 50
LONGEST_TAG_KEY, LONGEST_TAG_VALUE = 64, 256
LARGEST_METADATA = 16 * 1024
_LONGEST = {"idempotency_key": 200, "trace_id": 32, "span_id": 16, "session_id": 200}
_ZERO = Decimal(0)
_REPORTED, _PRICED, _UNPRICED = (
    status.value for status in (PriceStatus.REPORTED, PriceStatus.PRICED, PriceStatus.UNPRICED)
)
# 26 digits, the point, 12 decimals.
_LONGEST_AMOUNT = 39
_NEVER = datetime.max.replace(tzinfo=UTC)
_UNKNOWN = FlatPrice(_NEVER, _NEVER, 0, 0, "", UUID(int=0), "")
# Amount, currency, status, list amount, price version in hexadecimal, quantities, breakdown, the amount as text.
_Priced = tuple[Decimal | None, str, str, Decimal | None, str | None, str, str, str]

_encode = msgspec.json.Encoder(decimal_format="string").encode
# The order of keys in tags and metadata is no content.
_canonical = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode


class UnfitError(Exception):
    """The item cannot be recorded, and why."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__(errors)
        self.errors = errors


class Drafting:
    """Turns the items of one batch into drafts; holds what all of them have in common."""

    def __init__(  # what a batch has in common
        self,
        *,
        source: str,
        now: datetime,
        base: str,
        currencies: frozenset[str],
        table: PriceTable,
        max_age: timedelta,
    ) -> None:
        self._now = now.astimezone(UTC)
        self._newest = now + FUTURE_TOLERANCE
        self._oldest = now - max_age
        self._max_age = max_age
        self._base = base
        self._currencies = currencies
        self._table = table
        self._namespace = f"{source}\0"
        self._flats: dict[str, FlatPrice | None] = {}

    def draft(self, item: CostItem, position: int) -> Draft:
        """Return the draft of an item, whose values are brought into their normal form; raises UnfitError."""
        place = place_of(item)
        if place.errors:
            raise UnfitError(*place.errors)
        self._normalise(item)
        key = item.idempotency_key or ""
        if (
            len(key) > 200
            or len(item.session_id) > 200
            or len(item.trace_id) > 32
            or len(item.span_id) > 16
            or not f"{key}{item.trace_id}{item.span_id}{item.session_id}".isprintable()
        ):
            _check_texts(item)
        tags = _tags(item.tags) if item.tags else "{}"
        metadata = _metadata(item.metadata) if item.metadata else "{}"
        occurred_at = item.occurred_at or self._now
        priced = self._flatly(item, place, occurred_at) or self._amount(item, place, occurred_at)
        amount, currency, status, list_amount, version, quantities, breakdown, amount_text = priced
        return Draft(
            position,
            item,
            place,
            occurred_at,
            amount,
            currency,
            amount if currency == self._base else None,
            list_amount,
            status,
            version,
            quantities,
            breakdown,
            tags,
            metadata,
            sha256((self._namespace + key).encode()).hexdigest()[:32] if key else "",
            sha256(_canonical(item)).hexdigest()[:32] if key else "",
            amount_text,
        )

    def _normalise(self, item: CostItem) -> None:
        """Bring amount, currency and instant into the form in which equal contents are equal."""
        amount = item.amount
        if amount is not None:
            try:
                normal = amount.quantize(QUANTUM, context=CONTEXT)
                fits = normal == amount and _ZERO <= normal < LIMIT
            except InvalidOperation:
                fits = False
            if not fits:
                raise UnfitError(_amount_mistake(amount))
            item.amount = normal
        if item.currency is None:
            item.currency = self._base
        elif item.currency not in self._currencies:
            raise UnfitError(
                FieldError("/currency", "unknown_currency", f"{item.currency!r:.20} is not a known currency")
            )
        at = item.occurred_at
        if at is not None:
            if at.tzinfo is not UTC and at.utcoffset() is None:
                raise UnfitError(FieldError("/occurred_at", "offset_missing", "an instant needs an offset, such as Z"))
            if not self._oldest <= at <= self._newest:
                raise UnfitError(self._time_mistake(at))
            if at.tzinfo is not UTC:
                item.occurred_at = at.astimezone(UTC)

    def _time_mistake(self, at: datetime) -> FieldError:
        if at > self._newest:
            return FieldError("/occurred_at", "in_the_future", "is more than 5 minutes in the future")
        return FieldError("/occurred_at", "too_old", f"is more than {self._max_age.days} days ago")

    def _flatly(self, item: CostItem, place: Place, at: datetime) -> _Priced | None:
        """Return the price of plain input and output tokens; None for everything that `_amount` has to look at."""
        given, made = item.input_tokens, item.output_tokens
        if given is None or made is None or item.amount is not None or not item.model:
            return None
        if item.quantities or _is_detailed(item):
            return None
        # The columns as one text name the model, and their hash is worked out once.
        flat = self._flats.get(place.copy_text, _UNKNOWN)
        if flat is not None and not flat.begin <= at < flat.end:
            route = self._table.route(place.provider, place.model, place.service_tier, place.region)
            flat = self._flats[place.copy_text] = flat_price(route, at)
        if flat is None:
            return None
        text, breakdown = flat.charge(given, made)
        if len(text) > _LONGEST_AMOUNT:
            return None
        amount = Decimal(text)
        quantities = f'{{"input_tokens":{given},"output_tokens":{made}}}'
        return amount, flat.currency, _PRICED, amount, flat.version_hex, quantities, breakdown, text

    def _amount(self, item: CostItem, place: Place, at: datetime) -> _Priced:
        """Return what the sender reports, and what the price book makes of the quantities."""
        quantities, text = _quantities(item)
        if quantities and item.model:
            return self._price(item, place, at, quantities, text)
        if item.amount is None:
            raise UnfitError(FieldError("/amount", "required", "give an amount, or a model and what was used of it"))
        return item.amount, item.currency or self._base, _REPORTED, None, None, text, "{}", ""

    def _price(self, item: CostItem, place: Place, at: datetime, quantities: dict[str, Quantity], text: str) -> _Priced:
        try:
            found = self._table.price(
                provider=place.provider,
                model=place.model,
                service_tier=place.service_tier,
                region=place.region,
                at=at,
                quantities=quantities,
            )
        except PricingInputError as error:
            raise UnfitError(FieldError("/quantities", "unfit", str(error))) from error
        reported, currency = item.amount, item.currency or self._base
        if reported is None and found.amount is None:
            return None, currency, _UNPRICED, None, None, text, "{}", ""
        breakdown = _encode(found.breakdown).decode()
        version = None if found.version_id is None else found.version_id.hex
        if reported is None:
            return found.amount, found.currency, found.status, found.list_amount, version, text, breakdown, ""
        if found.currency != currency:
            return reported, currency, _REPORTED, None, None, text, "{}", ""
        listed = found.amount if found.list_amount is None else found.list_amount
        return reported, currency, _REPORTED, listed, version, text, breakdown, ""


def _quantities(item: CostItem) -> tuple[dict[str, Quantity], str]:
    """Return the disjoint meters of an item and their JSON text."""
    if item.quantities or _is_detailed(item):
        found = _detailed(item)
        return found, _encode(found).decode() if found else "{}"
    given, made = item.input_tokens, item.output_tokens
    if given is not None and made is not None:
        return {"input_tokens": given, "output_tokens": made}, f'{{"input_tokens":{given},"output_tokens":{made}}}'
    if given is not None:
        return {"input_tokens": given}, f'{{"input_tokens":{given}}}'
    if made is not None:
        return {"output_tokens": made}, f'{{"output_tokens":{made}}}'
    return {}, "{}"


def _is_detailed(item: CostItem) -> bool:
    return not (
        item.cache_read_tokens is None
        and item.cache_write_tokens is None
        and item.cache_write_1h_tokens is None
        and item.reasoning_tokens is None
        and item.audio_input_tokens is None
        and item.audio_output_tokens is None
        and item.image_input_tokens is None
        and item.image_output_tokens is None
    )


def _detailed(item: CostItem) -> dict[str, Quantity]:
    for name, quantity in item.quantities.items():
        if not is_clean(name):
            raise UnfitError(FieldError("/quantities", "pattern", "the name of a meter holds no control characters"))
        try:
            item.quantities[name] = normal = money(quantity)
        except MoneyError as error:
            raise UnfitError(FieldError(_pointer("quantities", name), "invalid", str(error))) from error
        if normal < 0:
            raise UnfitError(FieldError(_pointer("quantities", name), "min_value", "a quantity is 0 or more"))
    others: dict[str, Quantity] = {name: _plain(value) for name, value in item.quantities.items()}
    try:
        return meters(
            input_tokens=item.input_tokens,
            output_tokens=item.output_tokens,
            cache_read_tokens=item.cache_read_tokens,
            cache_write_tokens=item.cache_write_tokens,
            cache_write_1h_tokens=item.cache_write_1h_tokens,
            reasoning_tokens=item.reasoning_tokens,
            audio_input_tokens=item.audio_input_tokens,
            audio_output_tokens=item.audio_output_tokens,
            image_input_tokens=item.image_input_tokens,
            image_output_tokens=item.image_output_tokens,
            others=others,
        )
    except PricingInputError as error:
        raise UnfitError(FieldError("/input_tokens", "unfit", str(error))) from error


def _plain(value: Decimal) -> Quantity:
    return int(value) if value == value.to_integral_value() else value.normalize()


def _amount_mistake(amount: Decimal) -> FieldError:
    try:
        money(amount)
    except MoneyError as error:
        return FieldError("/amount", "invalid", str(error))
    return FieldError("/amount", "min_value", "an amount is 0 or more; a correction is made in the admin")


def _check_texts(item: CostItem) -> None:
    """Look closer at texts that are not plainly printable: other spaces are fine, control characters are not."""
    for name, longest in _LONGEST.items():
        text = getattr(item, name) or ""
        if not is_clean(text):
            raise UnfitError(FieldError(f"/{name}", "pattern", "no control characters"))
        if len(text) > longest:
            raise UnfitError(FieldError(f"/{name}", "max_length", f"at most {longest} characters"))


def _tags(tags: dict[str, str]) -> str:
    if len(tags) > MOST_TAGS:
        raise UnfitError(FieldError("/tags", "max_length", f"at most {MOST_TAGS} tags"))
    text = _json(tags, "tags")
    if len(text) > LONGEST_TAG_KEY:
        for name, value in tags.items():
            if len(name) > LONGEST_TAG_KEY or len(value) > LONGEST_TAG_VALUE:
                detail = f"a tag has at most {LONGEST_TAG_KEY} characters, its value {LONGEST_TAG_VALUE}"
                raise UnfitError(FieldError(_pointer("tags", name), "max_length", detail))
    return text


def _metadata(metadata: dict[str, Any]) -> str:
    text = _json(metadata, "metadata")
    if len(text) > LARGEST_METADATA:
        raise UnfitError(FieldError("/metadata", "max_length", f"at most {LARGEST_METADATA} characters as JSON"))
    return text


def _json(value: object, name: str) -> str:
    try:
        text = _encode(value).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UnfitError(FieldError(f"/{name}", "not_json", str(error)[:200])) from error
    if "\\u0000" in text and _has_nul(value):
        raise UnfitError(FieldError(f"/{name}", "pattern", "a text holds no NUL character"))
    return text


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
    return isinstance(value, list | tuple) and any(_has_nul(inner) for inner in value)


def _pointer(name: str, key: str) -> str:
    return f"/{name}/{key.replace('~', '~0').replace('/', '~1')}"
