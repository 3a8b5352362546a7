"""What a call would cost: nothing is recorded, nothing is set aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Literal

from core.errors import FieldError, Invalid
from core.windows import Window
from costs import reader
from costs.pricebook import current_table
from costs.pricing import PriceResult, PriceTable, PricingInputError, meters
from costs.reader import Filters, Question

HISTORY = timedelta(days=30)
DEFAULT_INPUT_SHARE = Decimal("0.75")  # three parts input to one part output
SplitSource = Literal["given", "history", "default"]


class UnknownModel(Invalid):
    """The price book has no such model; `nearest` are names it has, for a person to choose from."""

    code = "unknown_model"

    def __init__(self, detail: str, nearest: list[str], pointer: str = "/model") -> None:
        super().__init__(detail, errors=[FieldError(pointer, self.code, detail)])
        self.nearest = nearest


@dataclass(frozen=True, slots=True)
class Split:
    """How a number of tokens was divided into input and output, and by whose experience."""

    source: SplitSource
    input_tokens: int
    output_tokens: int
    input_share: Decimal | None
    event_count: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """The price of a call at an instant, and how its tokens were divided."""

    price: PriceResult
    split: Split


@dataclass(frozen=True, slots=True)
class Call:
    """What is asked: a model, and either `tokens` in all or exact `counts` (as `costs.pricing.meters` takes them)."""

    entity: tuple[str, str]
    provider: str
    model: str
    service_tier: str
    region: str
    tokens: int | None
    counts: Mapping[str, int]


def estimate(call: Call, *, at: datetime, now: datetime) -> Estimate:
    """Return what the call would cost at `at`; it is priced as the model it names or not at all.

    Raises UnknownModel, and Invalid when there is no price for the tier or time, or the counts contradict each other.
    """
    table = current_table()
    require_known(table, call.provider, call.model)
    split = _split(call, table, now)
    counts: dict[str, Any] = dict(call.counts) if call.tokens is None else _counts(split)
    try:
        price = table.price(
            provider=call.provider,
            model=call.model,
            service_tier=call.service_tier,
            region=call.region,
            at=at,
            quantities=meters(**counts),
        )
    except PricingInputError as error:
        raise Invalid(str(error), errors=[FieldError("", "contradictory", str(error))]) from error
    if price.amount is None:
        raise Invalid(price.reason, code="unpriced", errors=[FieldError("/model", "unpriced", price.reason)])
    return Estimate(price, split)


def require_known(table: PriceTable, provider: str, model: str, *, pointer: str = "/model") -> None:
    """Raise UnknownModel, naming the nearest known names, unless the price book knows this model."""
    found = table.resolve(provider, model)
    if found.sku is not None:
        return
    nearest = table.nearest(model, provider)
    hint = f"; the nearest are {', '.join(nearest)}" if nearest else ""
    raise UnknownModel(f"{found.reason}{hint}", nearest, pointer)


def _split(call: Call, table: PriceTable, now: datetime) -> Split:
    if call.tokens is None:
        given = call.counts
        return Split("given", given.get("input_tokens", 0), given.get("output_tokens", 0), None)
    entered, produced, events = _experience(call, table, now)
    if entered + produced:
        return _divided("history", call.tokens, Decimal(entered) / Decimal(entered + produced), events)
    return _divided("default", call.tokens, DEFAULT_INPUT_SHARE, 0)


def _divided(source: SplitSource, tokens: int, share: Decimal, events: int) -> Split:
    entered = int((tokens * share).to_integral_value(ROUND_HALF_EVEN))
    return Split(source, entered, tokens - entered, share, events)


def _experience(call: Call, table: PriceTable, now: datetime) -> tuple[int, int, int]:
    """Return the tokens in and out, and the calls, of this entity with this model in the last 30 days."""
    wanted = table.resolve(call.provider, call.model).sku
    filters = Filters(entity=call.entity)
    window = Window(now - HISTORY, now)
    answer = reader.ask(Question(window, filters, ("provider", "model"), tokens=True, original=False))
    # The same model under another of its names counts as well.
    alike = [
        group.measures
        for group in answer.groups
        if table.resolve(group.keys[0].value, group.keys[1].value).sku == wanted
    ]
    return (
        sum(measures.input_tokens or 0 for measures in alike),
        sum(measures.output_tokens or 0 for measures in alike),
        sum(measures.event_count for measures in alike),
    )


def _counts(split: Split) -> dict[str, int]:
    return {"input_tokens": split.input_tokens, "output_tokens": split.output_tokens}
