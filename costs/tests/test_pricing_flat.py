"""The flat price of a model: equal to the general price to the last digit, or not there at all."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.pricing import Book, Component, PriceTable, SkuEntry, Tier, Version, flat_price

LIST = Book(1, "List", "list", "USD")
OTHER = Book(2, "Other list", "list", "EUR", 5)
CONTRACT = Book(3, "Contract", "contracted", "EUR", 10)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
prices = st.decimals("0", "200", places=6)
counts = st.integers(0, 10**15)
moments = st.none() | st.integers(-3, 3).map(lambda days: NOW + days * DAY)


def version(components: list[Component], **values: Any) -> Version:
    terms: dict[str, Any] = {"book": LIST, "service_tier": "standard", "region": "", "valid_from": None}
    return Version(id=uuid4(), sku_id=1, components=components, **{"valid_to": None, **terms, **values})


def plain(given_price: Any = "2.5", made_price: Any = "10") -> list[Component]:
    return [Component("input_tokens", Decimal(given_price)), Component("output_tokens", Decimal(made_price))]


def table(*versions: Version) -> PriceTable:
    return PriceTable(skus=[SkuEntry(1, "openai", "m")], versions=versions)


@given(rates=st.tuples(prices, prices), amounts=st.tuples(counts, counts))
def test_flat_price__any_rates_and_counts__charges_what_the_table_does(rates: Any, amounts: Any) -> None:
    book = table(version(plain(*rates)))
    found = book.price(
        provider="openai",
        model="m",
        at=NOW,
        quantities={"input_tokens": amounts[0], "output_tokens": amounts[1]},
    )

    flat = flat_price(book.route("openai", "m"), NOW)

    assert flat is not None
    amount, breakdown = flat.charge(*amounts)
    assert Decimal(amount).as_tuple() == found.amount.as_tuple()  # type: ignore[union-attr]  # it is priced
    assert breakdown == msgspec.json.encode(found.breakdown).decode()
    assert (flat.currency, flat.version_id) == (found.currency, found.version_id)
    assert (found.status, found.list_amount) == ("priced", found.amount)


@given(
    spans=st.lists(
        st.tuples(moments, moments, st.sampled_from([LIST, OTHER]), st.sampled_from(["", "eu"])), max_size=5
    ),
    hours=st.lists(st.integers(-100, 100), min_size=2, max_size=8),
)
def test_flat_price__any_versions__holds_for_the_whole_stretch_it_names(spans: Any, hours: list[int]) -> None:
    begun: dict[Any, Version] = {}
    for start, end, book, region in spans:
        terms = {"valid_from": start, "valid_to": end, "book": book, "region": region}
        begun.setdefault((start, book.id, region), version(plain(), **terms))
    route = table(*begun.values()).route("openai", "m", "standard", "eu")

    for at in (NOW + timedelta(hours=hour) for hour in hours):
        flat, general = flat_price(route, at), route.at(at)

        assert (flat and flat.version_id) == (general and general.id)
        for other in (NOW + timedelta(hours=hour) for hour in hours):
            if flat is not None and flat.begin <= other < flat.end:
                deciding = route.at(other)
                assert deciding is not None
                assert deciding.id == flat.version_id


@pytest.mark.parametrize(
    "components",
    [
        [*plain(), Component("requests", Decimal(1), per=1)],
        [plain()[0]],
        [plain()[0], Component("output_tokens", Decimal(10), mode="graduated", tiers=(Tier(Decimal(5), Decimal(1)),))],
        [plain()[0], Component("output_tokens", Decimal(10), window=(time(1), time(2)))],
        [plain()[0], Component("output_tokens", Decimal(1), per=7)],
        [plain()[0], Component("output_tokens", Decimal(10), mode="package", per=1000)],
    ],
    ids=["fee", "one meter", "tiers", "window", "fraction", "package"],
)
def test_flat_price__price_that_depends_on_more__is_not_flat(components: list[Component]) -> None:
    assert flat_price(table(version(components)).route("openai", "m"), NOW) is None


def test_flat_price__contract__is_not_flat_because_the_list_price_stands_beside_it() -> None:
    book = table(version(plain()), version(plain(), book=CONTRACT))

    assert flat_price(book.route("openai", "m"), NOW) is None
