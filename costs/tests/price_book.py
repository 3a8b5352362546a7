"""What tests of prices need: a price in the book, by few words, through the services."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from costs.models import PriceBook, PriceVersion, Sku
from costs.pricing import Component
from costs.services.prices import LIST_BOOK, Offer, publish_price
from costs.services.prices_upkeep import add_sku

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def list_book(currency: str = "USD") -> PriceBook:
    """Return the book of public prices."""
    return PriceBook.objects.get_or_create(name=LIST_BOOK, defaults={"currency": currency})[0]


def contract_book(currency: str = "USD", priority: int = 10) -> PriceBook:
    """Return a book of negotiated prices that wins over the list."""
    values = {"kind": PriceBook.Kind.CONTRACTED, "currency": currency, "priority": priority}
    return PriceBook.objects.get_or_create(name=f"Contract {currency}", defaults=values)[0]


def sku(provider: str = "openai", code: str = "gpt-test") -> Sku:
    """Return something that can be priced."""
    return add_sku(provider=provider, code=code, cost_type="llm_api", now=NOW)


def components(**prices: str) -> list[Component]:
    """Return prices per million: components(input_tokens="2.5")."""
    return [Component(meter, Decimal(price)) for meter, price in prices.items()]


def sell(provider: str, code: str, *, book: PriceBook | None = None, **values: Any) -> PriceVersion:
    """Put a price into the book that counts at once; prices per million by the meter's name."""
    terms = {name: values.pop(name) for name in ("service_tier", "region", "valid_from", "valid_to") if name in values}
    offer = Offer(book or list_book(), sku(provider, code), components(**values), **terms)
    return publish_price(offer, now=NOW)
