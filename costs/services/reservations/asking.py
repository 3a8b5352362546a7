"""What is asked to be set aside, what it may cost at most, and the ways to be refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Literal
from uuid import UUID

import msgspec
from django.conf import settings

from core.errors import Conflict, FieldError, Invalid, OverLimit
from core.money import MoneyError, money, to_text
from costs.pricebook import current_table
from costs.pricing import PricingInputError
from costs.services import fx

DEFAULT_TTL = timedelta(minutes=15)
LONGEST_TTL = timedelta(hours=24)
_LONGEST = {
    "entity_type": 32,
    "entity_id": 200,
    "cost_type": 32,
    "provider": 64,
    "model": 160,
    "region": 40,
    "key": 200,
}

Reason = Literal["exceeded", "unpriced", "unconvertible"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A spend to come. Give `amount`, or a model with `input_tokens` and perhaps `max_output_tokens`.

    The price book then works out the most the call can cost. `quantities` are fees beside tokens (tool calls).
    """

    entity_type: str
    entity_id: str
    cost_type: str = "llm_api"
    provider: str = ""
    model: str = ""
    service_tier: str = "standard"
    region: str = ""
    amount: Decimal | None = None
    currency: str = ""
    input_tokens: int = 0
    max_output_tokens: int | None = None
    quantities: Mapping[str, Decimal | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a spend can cost, in its currency and the organisation's; None where that is not known."""

    amount: Decimal | None
    currency: str
    base_amount: Decimal | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Room:
    """What one budget has left, in its own currency, and what is asked of it there."""

    budget: UUID
    name: str
    hard: bool
    currency: str
    room: Decimal
    asked: Decimal | None
    resets_at: datetime

    @property
    def refuses(self) -> bool:
        """Whether this budget does not let the spend pass."""
        return self.hard and (self.asked is None or self.asked > self.room)


class BudgetExceeded(OverLimit):
    """A hard budget has no room for the spend, or cannot know that it has.

    `tightest` is the budget that is short of most; `reason` is "exceeded", "unpriced" (nobody knows what the call may
    cost) or "unconvertible" (there is no exchange rate). Nothing was set aside.
    """

    def __init__(self, tightest: Room, *, reason: Reason = "exceeded", why: str = "") -> None:
        super().__init__(_sentence(tightest, reason, why))
        self.tightest = tightest
        self.reason = reason


class ReservationConflict(Conflict):
    """The key was used for another content."""

    code = "idempotency_conflict"


def check_ask(ask: Ask, *, key: str, ttl: timedelta) -> None:
    """Raise Invalid with everything that makes no sense."""
    mistakes = [*_text_mistakes(ask, key), *_amount_mistakes(ask)]
    if not timedelta(seconds=1) <= ttl <= LONGEST_TTL:
        mistakes.append(FieldError("/ttl_seconds", "out_of_range", "A reservation lasts 1 second to 24 hours."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _text_mistakes(ask: Ask, key: str) -> list[FieldError]:
    found = [
        FieldError(f"/{name}", "required", "A reservation names who spends, on what, under which key.")
        for name, text in (("entity_type", ask.entity_type), ("entity_id", ask.entity_id), ("cost_type", ask.cost_type))
        if not text
    ]
    if not key:
        found.append(FieldError("/idempotency_key", "required", "A reservation needs an idempotency key."))
    for name, longest in _LONGEST.items():
        text = key if name == "key" else getattr(ask, name)
        if len(text) > longest or not text.isprintable():
            found.append(FieldError(f"/{name}", "invalid", f"At most {longest} printable characters."))
    return found


def _amount_mistakes(ask: Ask) -> list[FieldError]:
    if ask.amount is None:
        if not ask.model:
            return [FieldError("/amount", "required", "Give an amount, or a model and its tokens.")]
        counts = (("input_tokens", ask.input_tokens), ("max_output_tokens", ask.max_output_tokens or 0))
        return [FieldError(f"/{name}", "min_value", "A count is 0 or more.") for name, count in counts if count < 0]
    try:
        negative = money(ask.amount) < 0
    except MoneyError as error:
        return [FieldError("/amount", "invalid", str(error))]
    return [FieldError("/amount", "min_value", "An amount is 0 or more.")] if negative else []


def bound_of(ask: Ask, *, now: datetime) -> Bound:
    """Return the most that the spend can cost; the amount is None when the price book cannot say so for all of it.

    Raises Invalid for quantities that are no quantities.
    """
    amount, currency, reason = _asked(ask, now)
    if amount is None or currency == settings.BASE_CURRENCY:
        return Bound(amount, currency, amount, reason)
    quote = fx.rate_on(currency, settings.BASE_CURRENCY, now.date())
    return Bound(amount, currency, None if quote is None else quote.convert(amount), reason)


def _asked(ask: Ask, now: datetime) -> tuple[Decimal | None, str, str]:
    if ask.amount is not None:
        return money(ask.amount), ask.currency.upper() or settings.BASE_CURRENCY, ""
    try:
        price = current_table().upper_bound(
            provider=ask.provider,
            model=ask.model,
            service_tier=ask.service_tier,
            region=ask.region,
            at=now,
            input_tokens=ask.input_tokens,
            max_output_tokens=ask.max_output_tokens,
            quantities=ask.quantities,
        )
    except PricingInputError as error:
        raise Invalid(str(error), errors=[FieldError("/quantities", "invalid", str(error))]) from error
    # A bound on a part of the call is no bound.
    known = price.amount if price.status == "priced" else None
    return known, price.currency or settings.BASE_CURRENCY, price.reason


def content_hash(ask: Ask, ttl: timedelta) -> UUID:
    """Return what tells one content of a key from another: what was asked, not what it was priced at."""
    plain = msgspec.to_builtins(ask, builtin_types=(Decimal,))
    plain["amount"] = None if ask.amount is None else f"{money(ask.amount):f}"
    text = msgspec.json.encode([plain, ttl.total_seconds()], order="deterministic")
    return UUID(bytes=sha256(text).digest()[:16])


def _sentence(tightest: Room, reason: Reason, why: str) -> str:
    name = f"The budget {tightest.name!r}"
    if reason == "unconvertible":
        return f"{name} is a hard limit in {tightest.currency}, and there is no exchange rate for this amount."
    if tightest.asked is None:
        return f"{name} is a hard limit, and nobody knows what this call may cost: {why or 'it has no price'}."
    return (
        f"{name} has {to_text(tightest.room)} {tightest.currency} left and {to_text(tightest.asked)} is asked;"
        f" it begins anew at {tightest.resets_at.isoformat()}."
    )
