"""The compiled price book: time, tiers, regions, books, reasons, bounds."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.pricing import (
    Book,
    Component,
    PriceTable,
    PricingInputError,
    SkuEntry,
    Tier,
    Version,
    meters,
)

LIST = Book(1, "List", "list", "USD")
CONTRACT = Book(2, "Contract", "contracted", "EUR", 10)
MODEL = SkuEntry(1, "openai", "m", max_output_tokens=1000)
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def flat(**prices: str) -> list[Component]:
    return [Component(meter, Decimal(price)) for meter, price in prices.items()]


def version(components: list[Component], **values: Any) -> Version:
    terms: dict[str, Any] = {
        "book": LIST,
        "service_tier": "standard",
        "region": "",
        "valid_from": None,
        "valid_to": None,
    }
    return Version(id=uuid4(), sku_id=1, components=components, **{**terms, **values})


def table(*versions: Version) -> PriceTable:
    return PriceTable(skus=[MODEL], versions=versions)


def priced(book: PriceTable, at: datetime = NOW, **values: Any) -> Any:
    terms: dict[str, Any] = {"provider": "openai", "model": "m", "quantities": {"input_tokens": 1_000_000}}
    return book.price(at=at, **{**terms, **values})


def test_price__known_model__has_amount_breakdown_version_and_status() -> None:
    prices = version(flat(input_tokens="2.5", output_tokens="10", cache_read_tokens="1.25"))

    found = priced(table(prices), quantities=meters(input_tokens=1000, output_tokens=100, cache_read_tokens=600))

    assert (found.status, found.amount, found.currency) == ("priced", Decimal("0.00275"), "USD")
    assert found.breakdown == {"cache_read_tokens": "0.00075", "input_tokens": "0.001", "output_tokens": "0.001"}
    assert (found.version_id, found.list_amount, found.reason) == (prices.id, found.amount, "")
    assert found.amount is not None
    assert found.amount.as_tuple().exponent == -12


def test_price__ranges__begin_is_included_and_end_is_not() -> None:
    change = datetime(2026, 6, 1, tzinfo=UTC)
    book = table(version(flat(input_tokens="1"), valid_to=change), version(flat(input_tokens="2"), valid_from=change))

    amounts = [priced(book, at).amount for at in (change - timedelta(microseconds=1), change)]

    assert amounts == [1, 2]


def test_price__gap_between_ranges__is_unpriced_with_a_reason() -> None:
    book = table(version(flat(input_tokens="1"), valid_to=NOW))

    found = priced(book)

    assert (found.status, found.amount, found.version_id) == ("unpriced", None, None)
    assert found.reason == "openai/m has no price for service tier 'standard' at that time"


def test_price__unknown_model__is_unpriced_with_a_reason() -> None:
    found = priced(table(), model="m2")

    assert (found.status, found.amount) == ("unpriced", None)
    assert found.reason == "the price book has no model 'm2' of provider 'openai'"


def test_price__tier_without_prices__is_never_priced_as_standard() -> None:
    book = table(version(flat(input_tokens="1")), version(flat(input_tokens="0.5"), service_tier="batch"))

    assert priced(book, service_tier="batch").amount == Decimal("0.5")
    assert priced(book, service_tier="default").amount == 1
    assert (
        priced(book, service_tier="flex").reason
        == "openai/m has no price for service tier 'flex' (it has: batch, standard)"
    )


def test_price__region__own_price_first_else_that_of_all_regions() -> None:
    book = table(version(flat(input_tokens="1")), version(flat(input_tokens="1.1"), region="eu-west-1"))

    amounts = [priced(book, region=region).amount for region in ("", "us-east-1", "EU-West-1")]

    assert amounts == [1, 1, Decimal("1.1")]


def test_price__contracted_book__wins_and_the_list_price_stands_beside_it() -> None:
    half = version(flat(input_tokens="0.4"), book=CONTRACT, valid_from=NOW)
    book = table(version(flat(input_tokens="1")), half)

    before, after = priced(book, NOW - timedelta(seconds=1)), priced(book)

    assert (before.amount, before.currency, before.list_amount) == (1, "USD", 1)
    assert (after.amount, after.currency, after.list_amount) == (Decimal("0.4"), "EUR", 1)


def test_price__contract_for_all_regions__wins_over_a_list_price_of_the_region() -> None:
    regional = version(flat(input_tokens="1.1"), region="eu")
    book = table(regional, version(flat(input_tokens="0.4"), book=CONTRACT))

    assert priced(book, region="eu").amount == Decimal("0.4")


def test_price__part_without_a_price__costs_what_its_whole_costs() -> None:
    found = priced(
        table(version(flat(input_tokens="1", output_tokens="2"))),
        quantities={"cache_read_audio_tokens": 1_000_000, "reasoning_tokens": 500_000},
    )

    assert (found.status, found.amount) == ("priced", 2)


def test_price__long_cache_write_without_a_price__is_charged_as_short_and_marked() -> None:
    prices = version(flat(input_tokens="1", cache_write_tokens="1.25"))

    found = priced(table(prices), quantities={"cache_write_1h_tokens": 1_000_000})

    assert (found.status, found.amount) == ("partial", Decimal("1.25"))
    assert found.reason == "no price of its own for cache_write_1h_tokens, charged as cache_write_tokens"


def test_price__meter_nobody_prices__is_partial_with_the_known_part() -> None:
    found = priced(table(version(flat(input_tokens="1"))), quantities={"input_tokens": 1_000_000, "web_searches": 3})

    assert (found.status, found.amount, found.reason) == ("partial", 1, "no price for web_searches")
    assert found.breakdown == {"input_tokens": "1"}


def test_price__nothing_that_has_a_price__is_unpriced_not_nought() -> None:
    found = priced(table(version(flat(input_tokens="1"))), quantities={"web_searches": 3})

    assert (found.status, found.amount) == ("unpriced", None)


def test_price__counted_for_its_own_sake__needs_no_price() -> None:
    quantities = {"input_tokens": 1_000_000, "calls": 1, "duration_seconds": Decimal("1.5"), "web_searches": 0}

    assert priced(table(version(flat(input_tokens="1"))), quantities=quantities).status == "priced"


def test_price__fee_per_request__is_due_once_unless_counted() -> None:
    fee = Component("requests", Decimal(5), 1000)
    book = table(version([*flat(input_tokens="1"), fee]))

    assert priced(book).breakdown == {"input_tokens": "1", "requests": "0.005"}
    assert priced(book, quantities={"input_tokens": 0, "requests": 3}).amount == Decimal("0.015")


def test_price__threshold__counts_all_input_cached_or_not() -> None:
    tiers = (Tier(Decimal(200_000), Decimal(6)),)
    book = table(
        version([Component("output_tokens", Decimal(3), mode="threshold_all", tiers=tiers), *flat(input_tokens="0")])
    )

    def output(cached: int) -> Any:
        quantities = meters(input_tokens=100_000 + cached, cache_read_tokens=cached, output_tokens=1_000_000)
        return priced(book, quantities=quantities).amount

    assert [output(100_000), output(100_001)] == [3, 6]


def test_price__threshold_on_another_meter__is_the_one_that_counts() -> None:
    tiers = (Tier(Decimal(10), Decimal(2)),)
    seconds = Component("seconds", Decimal(1), 1, "threshold_all", tiers, "images")

    found = [
        priced(table(version([seconds])), quantities={"seconds": 3, "images": images}).amount for images in (10, 11)
    ]

    assert found == [3, 6]


@pytest.mark.parametrize(
    ("clock", "amount"),
    [("00:29", "1"), ("00:30", "2"), ("16:29", "2"), ("16:30", "1"), ("23:59", "1")],
)
def test_price__window__is_a_time_of_day_in_utc(clock: str, amount: str) -> None:
    peak = Component("input_tokens", Decimal(2), window=(time(0, 30), time(16, 30)))
    at = datetime.fromisoformat(f"2026-11-20T{clock}:00+00:00")

    # The same instant told by another clock.
    elsewhere = at.astimezone(datetime.fromisoformat("2026-01-01T00:00:00+09:30").tzinfo)

    assert priced(table(version([*flat(input_tokens="1"), peak])), elsewhere).amount == Decimal(amount)


def test_price__window_over_midnight__wraps() -> None:
    night = Component("input_tokens", Decimal(1), window=(time(22, 0), time(6, 0)))
    book = table(version([*flat(input_tokens="3"), night]))
    hours = [21, 22, 23, 0, 5, 6]

    amounts = [priced(book, datetime(2026, 11, 20, hour, tzinfo=UTC)).amount for hour in hours]

    assert amounts == [3, 1, 1, 1, 1, 3]


def test_price__amount_that_does_not_end__is_rounded_once_half_even() -> None:
    third = Component("seconds", Decimal("0.000000000001"), 2)
    book = table(version([third]))

    amounts = [priced(book, quantities={"seconds": seconds}).amount for seconds in (1, 3, 5)]

    # 0.5, 1.5 and 2.5 units of the twelfth decimal.
    assert amounts == [Decimal(0), Decimal("2e-12"), Decimal("2e-12")]


@given(quantities=st.lists(st.integers(0, 10**9), min_size=3, max_size=3), per=st.sampled_from([3, 7, 60, 3600]))
def test_price__breakdown__adds_up_to_the_amount(quantities: list[int], per: int) -> None:
    names = ("seconds", "pages", "images")
    book = table(version([Component(name, Decimal("0.111"), per) for name in names]))

    found = priced(book, quantities=dict(zip(names, quantities, strict=True)))

    assert sum(Decimal(text) for text in found.breakdown.values()) == found.amount


@pytest.mark.parametrize("quantity", [-1, Decimal("-0.5"), Decimal("NaN"), 1.5, True])
def test_price__senseless_quantity__is_refused(quantity: Any) -> None:
    with pytest.raises(PricingInputError):
        priced(table(version(flat(input_tokens="1"))), quantities={"input_tokens": quantity})


def test_price__amount_too_large_to_hold__is_refused() -> None:
    with pytest.raises(PricingInputError, match="26 digits"):
        priced(table(version(flat(input_tokens="1000000"))), quantities={"input_tokens": 10**27})


def test_upper_bound__every_input_token_may_be_the_dearest_and_output_may_reason() -> None:
    prices = flat(
        input_tokens="1", cache_read_tokens="0.1", cache_write_1h_tokens="2", output_tokens="4", reasoning_tokens="5"
    )

    found = table(version(prices)).upper_bound(provider="openai", model="m", at=NOW, input_tokens=500_000)

    assert found.breakdown == {"input_tokens": "1", "output_tokens": "0.005"}
    assert (found.status, found.amount) == ("priced", Decimal("1.005"))


def test_upper_bound__fees_tiers_and_windows__are_in_it() -> None:
    components = [
        Component("input_tokens", Decimal(1), mode="threshold_all", tiers=(Tier(Decimal(100), Decimal(3)),)),
        Component("output_tokens", Decimal(1)),
        Component("output_tokens", Decimal(8), window=(time(12, 30), time(13, 30))),
        Component("web_searches", Decimal(10), 1000),
    ]

    found = table(version(components)).upper_bound(
        provider="openai", model="m", at=NOW, input_tokens=101, max_output_tokens=10, quantities={"web_searches": 2}
    )

    assert found.breakdown == {"input_tokens": "0.000303", "output_tokens": "0.00008", "web_searches": "0.02"}


def test_upper_bound__no_known_limit_of_output__is_unpriced_never_nought() -> None:
    book = PriceTable(skus=[SkuEntry(1, "openai", "m")], versions=[version(flat(input_tokens="1", output_tokens="1"))])

    found = book.upper_bound(provider="openai", model="m", at=NOW, input_tokens=5)

    assert (found.status, found.amount) == ("unpriced", None)
    assert found.reason == "openai/m has no known output limit: give one"


@given(
    total=st.integers(0, 400_000),
    shares=st.lists(st.floats(0, 1), min_size=4, max_size=4),
    used=st.integers(0, 1000),
    minutes=st.integers(0, 59),
)
def test_upper_bound__whatever_a_call_turns_out_to_be__costs_no_more(
    total: int, shares: list[float], used: int, minutes: int
) -> None:
    tiers = (Tier(Decimal(200_000), Decimal("4.5")),)
    dear = Component("output_tokens", Decimal(20), window=(time(12, 30), time(18, 0)))
    inputs = [
        Component("input_tokens", Decimal(3), mode="threshold_all", tiers=tiers),
        *flat(cache_read_tokens="0.3", cache_write_tokens="3.75", cache_write_1h_tokens="6", output_tokens="15"),
    ]
    book = table(version([*inputs, dear]))
    read, write, write_1h, reasoning = (int(total * share / 3) for share in shares)
    quantities = meters(
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=write + write_1h,
        cache_write_1h_tokens=write_1h,
        output_tokens=used,
        reasoning_tokens=min(reasoning, used),
    )

    bound = book.upper_bound(provider="openai", model="m", at=NOW, input_tokens=total, max_output_tokens=1000)
    actual = priced(book, NOW + timedelta(minutes=minutes), quantities=quantities)

    assert actual.amount is not None
    assert bound.amount is not None
    assert actual.amount <= bound.amount


def test_route__more_combinations_than_it_remembers__answers_stay_right() -> None:
    book = table(version(flat(input_tokens="1")))
    book.MEMORY = 2

    amounts = [priced(book, region=str(region)).amount for region in (1, 2, 3, 4, 1)]

    assert amounts == [1, 1, 1, 1, 1]


def test_pricing__imported_alone__brings_no_django() -> None:
    import subprocess

    code = "import sys, costs.pricing; print(any(name.split('.')[0] == 'django' for name in sys.modules))"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"


def test_version_id__is_the_one_that_priced() -> None:
    old, new = version(flat(input_tokens="1"), valid_to=NOW), version(flat(input_tokens="2"), valid_from=NOW)

    assert isinstance(old.id, UUID)
    assert priced(table(old, new)).version_id == new.id
