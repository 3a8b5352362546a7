"""Real answers of providers, and the same questions asked of the genai-prices package: equal to the last digit."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from core.ids import uuid7
from core.money import quantized
from costs.importers import genai
from costs.importers.merge import read_all
from costs.importers.quotes import PriceList
from costs.importers.usage import extract
from costs.pricing import (
    INPUT_METERS,
    OUTPUT_METERS,
    Alias,
    Book,
    PriceResult,
    PriceTable,
    SkuEntry,
    Version,
    meters,
    provider_name,
)

BODIES = Path(settings.BASE_DIR).parent / "shared" / "data" / "genai-prices-usages-50.json"
# The expected prices were written down before mistral-medium-latest changed on 2026-06-16.
WRITTEN = datetime(2026, 6, 1, tzinfo=UTC)
INSTANTS = [
    datetime(2025, 3, 1, 3, tzinfo=UTC),
    datetime(2026, 3, 1, 12, tzinfo=UTC),
    datetime(2026, 11, 20, 2, 30, tzinfo=UTC),
    datetime(2026, 11, 20, 20, tzinfo=UTC),
]


@pytest.fixture(scope="module")
def listed() -> PriceList:
    return read_all()


@pytest.fixture(scope="module")
def table(listed: PriceList) -> PriceTable:
    """Return the price lists compiled as they are, without a database."""
    book = Book(1, "List prices", "list", "USD")
    ids = {key: number for number, key in enumerate(listed.models)}
    return PriceTable(
        skus=[SkuEntry(ids[key], model.provider, model.code) for key, model in listed.models.items()],
        aliases=[
            Alias(ids[key], model.provider, kind, pattern, built_in=True)
            for key, model in listed.models.items()
            for kind, pattern in model.aliases
        ],
        versions=[
            Version(
                uuid7(),
                ids[quote.provider, quote.code],
                book,
                quote.service_tier,
                quote.region,
                quote.valid_from,
                quote.valid_to,
                quote.components,
            )
            for quote in listed.quotes
        ],
    )


def expected_prices() -> Iterator[Any]:
    if not BODIES.exists():
        return
    for number, case in enumerate(json.loads(BODIES.read_text())):
        for extracted in case["extracted"]:
            for wanted in extracted["extractors"]:
                if "input_price" in wanted:
                    name = f"{number}-{wanted['provider_id']}-{wanted['api_flavor']}"
                    yield pytest.param(case, wanted, id=name)


@pytest.mark.skipif(not BODIES.exists(), reason="the outside cases are not here")
@pytest.mark.parametrize(("case", "wanted"), list(expected_prices()))
def test_bodies__answer_of_a_provider__costs_what_was_expected_to_the_last_digit(
    table: PriceTable, case: dict[str, Any], wanted: dict[str, str]
) -> None:
    extracted = extract(case["body"], provider=wanted["provider_id"], api_flavor=wanted["api_flavor"])

    found = table.price(
        provider=wanted["provider_id"],
        model=case.get("model") or extracted.model,
        at=WRITTEN,
        quantities=extracted.quantities,
    )

    assert found.status == "priced"
    assert part(found, INPUT_METERS) == Decimal(wanted["input_price"])
    assert part(found, OUTPUT_METERS) == Decimal(wanted["output_price"])


def part(found: PriceResult, names: frozenset[str]) -> Decimal:
    return sum((Decimal(text) for meter, text in found.breakdown.items() if meter in names), Decimal(0))


def test_bodies__price_since_changed__is_the_one_of_its_time(table: PriceTable) -> None:
    quantities = meters(input_tokens=254, output_tokens=99)

    amounts = [
        table.price(provider="mistral", model="mistral-medium-latest", at=at, quantities=quantities).amount
        for at in (WRITTEN, datetime(2026, 6, 16, tzinfo=UTC))
    ]

    assert amounts == [Decimal("0.0002996"), Decimal("0.0011235")]


def purely_listed(listed: PriceList) -> set[tuple[str, str]]:
    """Return the models whose prices come from genai-prices alone, nothing added."""
    standard = [quote for quote in listed.quotes if quote.service_tier == "standard" and not quote.region]
    mixed = {(quote.provider, quote.code) for quote in standard if quote.source != genai.SOURCE}
    return {(quote.provider, quote.code) for quote in standard} - mixed


def test_cross_check__random_models_dates_and_quantities__equal_the_package(
    table: PriceTable, listed: PriceList
) -> None:
    from genai_prices import Usage, calc_price

    chance = random.Random(20261120)
    ours = {key for key in purely_listed(listed) if not key[1].endswith(":free")}
    compared = 0
    for provider, code in chance.sample(sorted(ours), 600):
        total = chance.choice([1000, 150_000, 300_000, 1_500_000])
        counts: Any = {
            "input_tokens": total,
            "cache_read_tokens": chance.randrange(total // 2),
            "output_tokens": chance.randrange(1, 9000),
        }
        at = chance.choice(INSTANTS)
        try:
            theirs = calc_price(Usage(**counts), code, provider_id=provider, genai_request_timestamp=at)
        except LookupError:
            # A few of their models do not answer to their own name.
            continue
        if theirs.model.id != code or not {"input_mtok", "output_mtok"} <= vars(theirs.model_price).keys():
            continue
        found = table.price(provider=provider, model=code, at=at, quantities=meters(**counts))
        # Twelve places: their list has prices such as 1.0399999999999998, which are read as 1.04.
        assert found.amount == quantized(theirs.total_price), (provider, code, at, counts, found)
        compared += 1
    assert compared > 400


@pytest.mark.parametrize("tier", ["batch", "flex", "priority"])
def test_cross_check__service_tiers__equal_the_package(table: PriceTable, listed: PriceList, tier: str) -> None:
    from genai_prices import Usage
    from genai_prices.data import providers

    at = INSTANTS[-1]
    models = {(provider.id, model.id): model for provider in providers for model in provider.models}
    quotes = [
        quote
        for quote in listed.quotes
        if (quote.service_tier, quote.source) == (tier, genai.SOURCE)
        and {"input_tokens", "output_tokens"} <= {component.meter for component in quote.components}
    ]
    for quote in quotes:
        counts: Any = {"input_tokens": 250_001, "output_tokens": 777}
        model = models[quote.provider, quote.code]
        theirs = model.get_prices(at, genai.CONTEXTS[tier]).calc_price(Usage(**counts))["total_price"]
        found = table.price(
            provider=quote.provider, model=quote.code, service_tier=tier, at=at, quantities=meters(**counts)
        )
        assert found.amount == quantized(theirs), quote
    assert len(quotes) >= 20


def test_providers__their_names__are_no_other_providers_alias(listed: PriceList) -> None:
    names = {quote.provider for quote in listed.quotes if quote.source == genai.SOURCE}

    assert {name: provider_name(name) for name in names} == {name: name for name in names}


def test_providers__sellers_of_other_makers_models__are_those_of_the_package() -> None:
    from genai_prices.data import providers

    from costs.pricing.names import FALLBACK_PROVIDERS

    theirs = {provider.id: tuple(provider.fallback_model_providers or ()) for provider in providers}

    assert {name: others for name, others in theirs.items() if others} == dict(FALLBACK_PROVIDERS)


@pytest.mark.parametrize(
    ("provider", "model", "quantities", "amount"),
    [
        # Anthropic's list: 3 in, 15 out, 0.30 read, 3.75 and 6 written, per million.
        ("anthropic", "claude-sonnet-4-5-20250929", {"cache_write_1h_tokens": 100_000}, "0.6"),
        ("anthropic", "claude-sonnet-4-5", {"cache_write_tokens": 100_000, "cache_read_tokens": 100_000}, "0.405"),
        ("openai", "gpt-4o", {"input_tokens": 1_000_000, "cache_read_tokens": 1_000_000}, "3.75"),
        # Google's list: twice the price above 200,000 tokens of input.
        ("google", "gemini-2.5-pro", {"input_tokens": 200_000}, "0.25"),
        ("google", "gemini-2.5-pro", {"input_tokens": 200_001}, "0.5000025"),
        # Off-peak hours of DeepSeek, at 20:00 and so outside 01-04 and 06-10 UTC.
        ("deepseek", "deepseek-flash", {"output_tokens": 1_000_000}, "0.6"),
    ],
)
def test_lists__published_prices__come_out(
    table: PriceTable, provider: str, model: str, quantities: dict[str, int], amount: str
) -> None:
    found = table.price(provider=provider, model=model, at=INSTANTS[-1], quantities=quantities)

    assert (found.status, found.amount) == ("priced", Decimal(amount))
