"""Every change list over a million events against the same list over a thousand, through the admin itself."""

from __future__ import annotations

import json
from collections.abc import Sequence

from benchmarks.harness import Line, Sample, Scratch, scratch

SMALL, LARGE = 1_000, 1_000_000
ROUNDS, REPEATS = 3, 3
Timings = dict[str, float]


def run(kind: str) -> list[Line]:
    """Measure and return one line per change list, slowest ratio first."""
    small, large = _timings(kind)
    lines = []
    for page, milliseconds in sorted(large.items(), key=lambda item: -item[1] / small[item[0]]):
        line = Line(
            f"{kind}: {page} over {LARGE:,}", f"over {SMALL:,} (time ratio)", by_cpu=False, goal=2.0, at_most=True
        )
        # A time ratio: the larger list's milliseconds over the smaller one's.
        line.theirs.append(Sample(1, 1 / small[page], 0, small[page] / 1000))
        line.ours.append(Sample(1, 1 / milliseconds, 0, milliseconds / 1000))
        lines.append(line)
    slowest = max(large, key=lambda page: large[page])
    for page in sorted(large, key=lambda page: -large[page]):
        print(f"  {kind}: {page:<45} {small[page]:>6.0f} ms {large[page]:>6.0f} ms", flush=True)
    for line in lines[:3]:
        print(line.row(), flush=True)
    met = "met" if large[slowest] <= 200 else "MISSED"
    print(
        f"  {len(large)} change lists; slowest over {LARGE:,}: {slowest} {large[slowest]:.0f} ms (goal ≤ 200 ms {met})",
        flush=True,
    )
    return lines


def _timings(kind: str) -> tuple[Timings, Timings]:
    """Return the best milliseconds of each list over few and over many events, taken in turns."""
    with scratch(kind) as few, scratch(kind) as many:
        few.module("benchmarks.bulk", str(SMALL))
        many.module("benchmarks.bulk", str(LARGE))
        rounds = [(_opened(few), _opened(many)) for _ in range(ROUNDS)]
    small, large = zip(*rounds, strict=True)
    return _best(small), _best(large)


def _opened(base: Scratch) -> Timings:
    timings: Timings = json.loads(base.module("benchmarks.admin_pages", str(REPEATS)))
    return timings


def _best(rounds: Sequence[Timings]) -> Timings:
    return {page: min(timings[page] for timings in rounds) for page in rounds[0]}
