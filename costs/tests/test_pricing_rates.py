"""From quantities to amounts: every mode, exactly."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.pricing import Component, Tier
from costs.pricing.rates import UNITS, Rate, to_decimal, to_text

MILLION = 10**6


def rate(price: str, *tiers: tuple[int, str, str], mode: str = "flat", per: int = MILLION) -> Rate:
    steps = tuple(Tier(Decimal(above), Decimal(cost), Decimal(flat)) for above, cost, flat in tiers)
    return Rate(Component("input_tokens", Decimal(price), per, mode, steps))


def dollars(units: int | Fraction) -> Decimal:
    return Decimal(Fraction(units).numerator) / Fraction(units).denominator / UNITS


@pytest.mark.parametrize(
    ("price", "per", "quantity", "amount"),
    [
        ("3", MILLION, 1, "0.000003"),
        ("0.0000003625", MILLION, 4, "0.00000000000145"),
        ("0.15", MILLION, 123_456_789, "18.51851835"),
        ("35", 1000, 3, "0.105"),
        ("0.04", 1, 7, "0.28"),
        ("0", MILLION, 10**12, "0"),
    ],
)
def test_rate__flat__is_price_times_quantity(price: str, per: int, quantity: int, amount: str) -> None:
    assert dollars(rate(price, per=per).charge(quantity, 0)) == Decimal(amount)


def test_rate__price_that_does_not_divide__stays_exact() -> None:
    assert rate("0.111", per=3600).charge(1, 0) == Fraction(111 * 10**9, 3600)


@pytest.mark.parametrize(("total", "price"), [(199_999, "3"), (200_000, "3"), (200_001, "6"), (500_001, "9")])
def test_rate__threshold_all__every_unit_at_the_tier_strictly_above(total: int, price: str) -> None:
    tiered = rate("3", (200_000, "6", "0"), (500_000, "9", "0"), mode="threshold_all")

    assert dollars(tiered.charge(1000, total)) == Decimal(price) / 1000


@pytest.mark.parametrize(("quantity", "amount"), [(100, "1"), (101, "1.005"), (300, "2"), (301, "2.001")])
def test_rate__graduated__each_tiers_units_at_its_own_price(quantity: int, amount: str) -> None:
    tiered = rate("0.01", (100, "0.005", "0"), (300, "0.001", "0"), mode="graduated", per=1)

    assert dollars(tiered.charge(quantity, 0)) == Decimal(amount)


def test_rate__graduated_with_fees__a_fee_is_due_once_its_tier_is_entered() -> None:
    tiered = rate("1", (10, "0", "5"), (20, "2", "7"), mode="graduated", per=1)

    assert [dollars(tiered.charge(quantity, 0)) for quantity in (10, 11, 20, 21)] == [10, 15, 15, 24]


@pytest.mark.parametrize(("quantity", "amount"), [(100, "100"), (101, "50.5"), (0, "0")])
def test_rate__volume__all_units_at_the_tier_of_their_number(quantity: int, amount: str) -> None:
    tiered = rate("1", (100, "0.5", "0"), mode="volume", per=1)

    assert dollars(tiered.charge(quantity, 10**9)) == Decimal(amount)


@pytest.mark.parametrize(("quantity", "packages"), [(0, 0), (1, 1), (100, 1), (101, 2), (Fraction(201, 2), 2)])
def test_rate__package__every_started_package_is_charged_whole(quantity: Any, packages: int) -> None:
    assert dollars(rate("2.5", mode="package", per=100).charge(quantity, 0)) == Decimal("2.5") * packages


prices = st.decimals(0, 1000, places=6)
borders = st.lists(st.integers(1, 10**6), min_size=1, max_size=4, unique=True).map(sorted)


@given(base=prices, above=borders, costs=st.lists(prices, min_size=4, max_size=4), at=st.integers(0, 3))
def test_rate__graduated__has_no_jump_at_a_border(base: Any, above: list[int], costs: list[Any], at: int) -> None:
    tiers = [(border, str(cost), "0") for border, cost in zip(above, costs, strict=False)]
    tiered = rate(str(base), *tiers, mode="graduated", per=1)
    border = above[at % len(above)]

    step = tiered.charge(border + 1, 0) - tiered.charge(border, 0)

    assert step == Fraction(tiers[at % len(above)][1]) * UNITS


@given(base=prices, above=borders, costs=st.lists(prices, min_size=4, max_size=4), cut=st.integers(0, 10**6))
def test_rate__graduated__more_units_never_cost_less(base: Any, above: list[int], costs: list[Any], cut: int) -> None:
    tiers = [(border, str(cost), "2") for border, cost in zip(above, costs, strict=False)]
    tiered = rate(str(base), *tiers, mode="graduated", per=1000)

    assert 0 <= tiered.charge(cut, 0) <= tiered.charge(cut + 1, 0) <= tiered.charge(10**6 + 1, 0)


@given(base=prices, above=borders, costs=st.lists(prices, min_size=4, max_size=4), quantity=st.integers(0, 2 * 10**6))
def test_rate__tiers_in_any_order__make_no_difference(
    base: Any, above: list[int], costs: list[Any], quantity: int
) -> None:
    tiers = [(border, str(cost), "1") for border, cost in zip(above, costs, strict=False)]
    for mode in ("threshold_all", "graduated", "volume"):
        forwards, backwards = rate(str(base), *tiers, mode=mode), rate(str(base), *reversed(tiers), mode=mode)
        assert forwards.charge(quantity, quantity) == backwards.charge(quantity, quantity)


@given(units=st.integers(0, 10**38))
def test_to_text__any_amount__is_the_decimal_without_needless_zeros(units: int) -> None:
    text = to_text(units)

    assert Decimal(text) == to_decimal(units)
    assert to_decimal(units).as_tuple().exponent == -12
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))
