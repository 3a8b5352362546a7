"""Minutes that were down: spans of minutes since 1970, half-open, in order. No database.

A minute is bad when its share of bad events is above a limit; it is down when it belongs to a run of at least so many
bad minutes. A minute without any event is what the indicator's policy for missing data says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from slas.choices import NoDataPolicy

Span = tuple[int, int]
Spans = list[Span]


@dataclass(frozen=True, slots=True)
class Downtime:
    """Minutes of a stretch: all that count, and those of them that were down, before and after exclusions."""

    raw_total: int
    raw_down: int
    total: int
    down: int
    unmeasured: int


def is_bad(good: int, total: int, error_share: Decimal) -> bool:
    """Say whether more than this share of the events was bad; exact, without a division."""
    return total - good > error_share * total


def joined(spans: Iterable[Span]) -> Spans:
    """Return the same minutes as spans that neither overlap nor touch."""
    found: Spans = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif start < end:
            found.append((start, end))
    return found


def common(one: Sequence[Span], other: Sequence[Span]) -> Spans:
    """Return the minutes that are in both."""
    found: Spans = []
    left, right = 0, 0
    while left < len(one) and right < len(other):
        start, end = max(one[left][0], other[right][0]), min(one[left][1], other[right][1])
        if start < end:
            found.append((start, end))
        if one[left][1] < other[right][1]:
            left += 1
        else:
            right += 1
    return found


def without(one: Sequence[Span], other: Sequence[Span]) -> Spans:
    """Return the minutes of the first that are not in the second."""
    found: Spans = []
    place = 0
    for start, end in one:
        at = start
        while place < len(other) and other[place][1] <= at:
            place += 1
        following = place
        while following < len(other) and other[following][0] < end:
            if other[following][0] > at:
                found.append((at, other[following][0]))
            at = max(at, other[following][1])
            following += 1
        if at < end:
            found.append((at, end))
    return found


def length(spans: Iterable[Span]) -> int:
    """Return how many minutes the spans hold."""
    return sum(end - start for start, end in spans)


def down_runs(bad: Sequence[Span], at_least: int) -> Spans:
    """Return the runs of bad minutes that are long enough to be down."""
    return [(start, end) for start, end in joined(bad) if end - start >= at_least]


def with_missing(bad: Spans, measured: Spans, around: Span, policy: str) -> tuple[Spans, Spans]:
    """Return the bad minutes and the ones left out of a stretch, once its minutes without data are decided on.

    Holding the last known state leaves out what precedes the first measurement.
    """
    missing = without([around], measured)
    if policy == NoDataPolicy.BAD:
        return joined([*bad, *missing]), []
    if policy == NoDataPolicy.GOOD:
        return bad, []
    if policy == NoDataPolicy.IGNORE:
        return bad, missing
    ends = {end for _, end in joined(bad)}
    held = [span for span in missing if span[0] in ends]
    unknown = [span for span in missing[:1] if span[0] == around[0]]
    return joined([*bad, *held]), unknown


def judged(down: Spans, left_out: Spans, excluded: Spans, stretch: Span) -> Downtime:
    """Return the minutes of a stretch; `excluded` is taken out of what counts and of what was down."""
    raw = without([stretch], left_out)
    counted = without(raw, excluded)
    return Downtime(
        raw_total=length(raw),
        raw_down=length(common(down, raw)),
        total=length(counted),
        down=length(common(down, counted)),
        unmeasured=length(common(left_out, [stretch])),
    )
