"""What a price list says, in the same words whatever its source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from costs.choices import CostType
from costs.pricing import Component

Key = tuple[str, str, str, str]
_SIX = Decimal("0.000001")
_TWELVE = Decimal("0.000000000001")
_DUST = Decimal("0.000000001")


class SourceError(ValueError):
    """A price source says something we do not understand; nothing of it is imported."""


@dataclass(slots=True)
class ListedModel:
    """A model as a source describes it; `aliases` are (kind, pattern)."""

    provider: str
    code: str
    name: str = ""
    cost_type: str = CostType.LLM_API
    context_window: int | None = None
    max_output_tokens: int | None = None
    aliases: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Quote:
    """The prices of one model, tier and region from one instant to another, by one source."""

    provider: str
    code: str
    service_tier: str
    region: str
    valid_from: datetime | None
    valid_to: datetime | None
    components: tuple[Component, ...]
    source: str
    source_ref: str = ""

    @property
    def key(self) -> Key:
        """What may have one price at a time."""
        return self.provider, self.code, self.service_tier, self.region

    def digest(self) -> str:
        """Return a hash of the prices alone, so that a change of them is seen and nothing else is."""
        return digest(self.components)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sources name different prices for the same meter; the first one is used."""

    provider: str
    code: str
    service_tier: str
    meter: str
    used_source: str
    used_price: Decimal
    other_source: str
    other_price: Decimal


@dataclass(slots=True)
class PriceList:
    """Everything one source, or several merged, says."""

    source: str
    models: dict[tuple[str, str], ListedModel] = field(default_factory=dict)
    quotes: list[Quote] = field(default_factory=list)
    disagreements: list[Disagreement] = field(default_factory=list)
    rounded: int = 0

    def add(self, model: ListedModel) -> ListedModel:
        """Add a model unless it is known, and return the known one."""
        return self.models.setdefault((model.provider, model.code), model)

    def tidy(self, price: Decimal) -> Decimal:
        """Return a price without the dust of binary floating point, and count what was rounded."""
        clean = tidy(price)
        self.rounded += clean != price
        return clean


def tidy(price: Decimal) -> Decimal:
    """Return a price with at most six decimals where the rest is floating-point dust, with at most twelve otherwise.

    0.29999999999999998 becomes 0.3; 0.0000003625 is a price and stays. Raises SourceError for what is no price.
    """
    if not price.is_finite() or price < 0:
        raise SourceError(f"{price} is not a price")
    short = price.quantize(_SIX, rounding=ROUND_HALF_EVEN)
    if abs(short - price) <= price * _DUST:
        return short.normalize()
    return price.quantize(_TWELVE, rounding=ROUND_HALF_EVEN).normalize()


def digest(components: Iterable[Component]) -> str:
    """Return SHA-256 over prices in one canonical form: order and trailing zeros do not matter."""
    text = json.dumps(sorted(canonical(component) for component in components))
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(component: Component) -> list[object]:
    """Return a component as plain values that are equal exactly when the prices are."""
    return [
        component.meter,
        _text(component.unit_price),
        component.per,
        component.mode,
        [[_text(tier.above), _text(tier.price), _text(tier.flat)] for tier in component.tiers],
        component.threshold_meter,
        [edge.isoformat() for edge in component.window or ()],
    ]


def _text(value: Decimal) -> str:
    return format(value.normalize(), "f")
