"""Histograms with fixed, log-scaled boundaries: what lets a threshold be asked of the past. No database.

Sixteen boundaries a decade, at round numbers (…, 100, 125, 150, 175, 200, 250, …), from 10⁻⁶ to 10⁹, a factor of at
most 1.25 apart. Bucket i holds the values above boundary i - 1 and up to boundary i, so "at most x" and "more than x"
are exact for every x that is a boundary.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction

MANTISSAS = (
    "1", "1.25", "1.5", "1.75", "2", "2.5", "3", "3.5", "4", "4.5", "5", "6", "7", "7.5", "8", "9",
)  # fmt: skip
BOUNDARIES = (*(Decimal(m).scaleb(e) for e in range(-6, 9) for m in MANTISSAS), Decimal(10) ** 9)
EXACT_OPERATORS = frozenset({"lte", "gt"})

Histogram = dict[int, int]
"""Counts by bucket; only buckets that hold something."""


def bucket_of(value: Decimal) -> int:
    """Return the bucket of a value; everything beyond the last boundary is in the one after it."""
    return bisect_left(BOUNDARIES, value)


def is_boundary(threshold: Decimal) -> bool:
    """Say whether a threshold can be asked of the past exactly."""
    place = bisect_left(BOUNDARIES, threshold)
    return place < len(BOUNDARIES) and BOUNDARIES[place] == threshold


def neighbours(threshold: Decimal) -> tuple[Decimal, Decimal]:
    """Return the nearest boundaries at or below and above a threshold."""
    place = min(max(bisect_left(BOUNDARIES, threshold), 1), len(BOUNDARIES) - 1)
    return BOUNDARIES[place - 1], BOUNDARIES[place]


def good_count(histogram: Mapping[int, int], operator: str, threshold: Decimal) -> int:
    """Return how many values are at most ("lte") or more than ("gt") a boundary; raises ValueError otherwise."""
    if operator not in EXACT_OPERATORS or not is_boundary(threshold):
        raise ValueError(f"the histogram cannot answer {operator} {threshold}")
    last = bucket_of(threshold)
    within = sum(count for bucket, count in histogram.items() if bucket <= last)
    return within if operator == "lte" else sum(histogram.values()) - within


def added(one: Mapping[int, int], other: Mapping[int, int]) -> Histogram:
    """Return the sum of two histograms."""
    found = dict(one)
    for bucket, count in other.items():
        found[bucket] = found.get(bucket, 0) + count
    return found


def packed(histogram: Mapping[int, int]) -> str:
    """Return the text that is stored: bucket:count pairs in order."""
    return " ".join(f"{bucket}:{count}" for bucket, count in sorted(histogram.items()))


def unpacked(text: str) -> Histogram:
    """Return the histogram of a stored text."""
    pairs = (part.split(":") for part in text.split())
    return {int(bucket): int(count) for bucket, count in pairs}


def quantile(histogram: Mapping[int, int], share: Fraction) -> Decimal | None:
    """Return the upper boundary of the bucket that holds the quantile; None without values or beyond the last one."""
    wanted, seen = share * sum(histogram.values()), 0
    for bucket, count in sorted(histogram.items()):
        seen += count
        if seen >= wanted:
            return BOUNDARIES[bucket] if bucket < len(BOUNDARIES) else None
    return None
