"""Disjoint meters from counts that include one another."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costs.pricing import INPUT_METERS, OUTPUT_METERS, PricingInputError, meters
from costs.pricing.meters import exact


def test_meters__cache_and_reasoning_included__parts_are_taken_out_of_their_wholes() -> None:
    found = meters(
        input_tokens=1000,
        cache_read_tokens=600,
        cache_write_tokens=150,
        cache_write_1h_tokens=50,
        output_tokens=300,
        reasoning_tokens=120,
    )

    assert found == {
        "input_tokens": 250,
        "cache_read_tokens": 600,
        "cache_write_tokens": 100,
        "cache_write_1h_tokens": 50,
        "output_tokens": 180,
        "reasoning_tokens": 120,
    }


def test_meters__cached_audio_named__each_token_is_in_one_cell() -> None:
    found = meters(input_tokens=1000, cache_read_tokens=500, audio_input_tokens=400, cache_read_audio_tokens=300)

    assert found == {
        "input_tokens": 400,
        "cache_read_tokens": 200,
        "audio_input_tokens": 100,
        "cache_read_audio_tokens": 300,
    }


def test_meters__audio_and_cache_must_overlap__nothing_is_counted_twice() -> None:
    # 950 cached and 100 of audio in 1000 tokens: at least 50 tokens are both.
    found = meters(input_tokens=1000, cache_read_tokens=950, audio_input_tokens=100)

    assert found == {"cache_read_tokens": 900, "audio_input_tokens": 50, "cache_read_audio_tokens": 50}


def test_meters__only_a_cell_is_reported__its_wholes_are_at_least_the_cell() -> None:
    found = meters(input_tokens=100, cache_read_audio_tokens=40, cache_write_1h_tokens=10)

    assert found == {"input_tokens": 50, "cache_read_audio_tokens": 40, "cache_write_1h_tokens": 10}


def test_meters__no_total__the_parts_are_all_there_is() -> None:
    assert meters(cache_read_tokens=7, reasoning_tokens=3) == {"cache_read_tokens": 7, "reasoning_tokens": 3}


def test_meters__total_of_zero__is_kept_as_a_reported_zero() -> None:
    assert meters(input_tokens=0, output_tokens=5) == {"input_tokens": 0, "output_tokens": 5}


def test_meters__other_quantities__stand_beside_the_tokens() -> None:
    found = meters(input_tokens=10, others={"web_searches": 2, "seconds": Decimal("1.5")})

    assert found == {"input_tokens": 10, "web_searches": 2, "seconds": Decimal("1.5")}


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": 10, "cache_read_tokens": 11},
        {"input_tokens": 10, "cache_read_tokens": 6, "cache_write_tokens": 5},
        {"input_tokens": 10, "cache_write_tokens": 2, "cache_write_1h_tokens": 3},
        {"input_tokens": 10, "audio_input_tokens": 11},
        {"input_tokens": 10, "audio_input_tokens": 2, "cache_read_audio_tokens": 3},
        {"input_tokens": 10, "cache_read_tokens": 1, "cache_read_audio_tokens": 2, "audio_input_tokens": 2},
        {"output_tokens": 10, "reasoning_tokens": 11},
        {"output_tokens": 10, "reasoning_tokens": 6, "audio_output_tokens": 5},
        {"input_tokens": -1},
        {"output_tokens": 5, "reasoning_tokens": -1},
    ],
)
def test_meters__part_larger_than_its_whole__is_refused(counts: dict[str, Any]) -> None:
    with pytest.raises(PricingInputError, match="would be negative"):
        meters(**counts)


counts = st.integers(0, 10**6)


@given(total=st.integers(0, 4 * 10**6), read=counts, write=counts, audio=counts, image=counts, output=counts)
def test_meters__any_consistent_counts__add_up_to_the_totals(**given_counts: int) -> None:
    names = {"total": "input_tokens", "read": "cache_read_tokens", "write": "cache_write_tokens"}
    names |= {"audio": "audio_input_tokens", "image": "image_input_tokens", "output": "output_tokens"}
    values: dict[str, Any] = {names[name]: value for name, value in given_counts.items()}

    try:
        found = meters(**values)
    except PricingInputError:
        assert values["input_tokens"] < max(
            values["cache_read_tokens"] + values["cache_write_tokens"],
            values["audio_input_tokens"] + values["image_input_tokens"] + values["cache_write_tokens"],
        )
        return

    assert sum(found.get(name, 0) for name in INPUT_METERS) == values["input_tokens"]
    assert sum(found.get(name, 0) for name in OUTPUT_METERS) == values["output_tokens"]
    assert all(value >= 0 for value in found.values())


@pytest.mark.parametrize(
    "value", [1.5, True, Decimal("NaN"), Decimal("Infinity"), Decimal("1e999"), -1, Decimal(-1), "3"]
)
def test_exact__not_an_exact_quantity__is_refused(value: Any) -> None:
    with pytest.raises(PricingInputError):
        exact("seconds", value)
