"""Every change list over a million events against the same list over a thousand, through the admin itself."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.harness import ROOT, Line, Sample, scratch

SMALL, LARGE = 1_000, 1_000_000
REPEATS = 5


def run(kind: str) -> list[Line]:
    """Measure and return one line per change list, slowest ratio first."""
    small, large = _timings(kind, SMALL), _timings(kind, LARGE)
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
    for line in lines[:8]:
        print(line.row(), flush=True)
    met = "met" if large[slowest] <= 200 else "MISSED"
    print(
        f"  {len(large)} change lists; slowest over {LARGE:,}: {slowest} {large[slowest]:.0f} ms (goal ≤ 200 ms {met})",
        flush=True,
    )
    return lines


def _timings(kind: str, count: int) -> dict[str, float]:
    with scratch(kind) as base:
        for module in (
            (sys.executable, "-m", "benchmarks.bulk", str(count)),
            (sys.executable, "-m", "benchmarks.admin_pages", str(REPEATS)),
        ):
            done = subprocess.run(module, env=base.environment, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
        timings: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
        return timings
