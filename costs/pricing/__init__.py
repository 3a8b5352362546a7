"""Prices without a database: names, meters, rates and the compiled table. No Django here; all amounts are exact."""

from costs.pricing.catalog import Alias, Catalog, Resolution, SkuEntry
from costs.pricing.flat import FlatPrice, flat_price
from costs.pricing.meters import INPUT_METERS, OUTPUT_METERS, PricingInputError, Quantity, meters
from costs.pricing.names import provider_name, service_tier
from costs.pricing.rates import Component, Tier
from costs.pricing.table import Book, PriceResult, PriceTable, Version

__all__ = [
    "INPUT_METERS",
    "OUTPUT_METERS",
    "Alias",
    "Book",
    "Catalog",
    "Component",
    "FlatPrice",
    "PriceResult",
    "PriceTable",
    "PricingInputError",
    "Quantity",
    "Resolution",
    "SkuEntry",
    "Tier",
    "Version",
    "flat_price",
    "meters",
    "provider_name",
    "service_tier",
]
