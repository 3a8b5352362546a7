"""The 30-day dashboard against a raw GROUP BY over the same events, and over 10,000 and a million events."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.harness import ROOT, Line, Sample, scratch

SMALL, LARGE = 10_000, 1_000_000
# Few enough that both fill the same rollup rows: what a page costs follows from those, not from the events.
ENTITIES = 20


def run(kind: str) -> list[Line]:
    """Measure and return the lines."""
    small, large = _timings(kind, SMALL), _timings(kind, LARGE)
    lines = []
    for name in large["ours"]:
        raw = Line(f"{kind}: {name}, 30 days of {LARGE:,}", "raw GROUP BY", goal=20.0)
        raw.ours, raw.theirs = _samples(large["ours"][name]), _samples(large["raw"][name])
        size = Line(f"{kind}: {name}, {LARGE:,} events", f"{SMALL:,} events (time ratio)", goal=1.3, at_most=True)
        # A time ratio: seconds over the many events by seconds over the few.
        size.ours, size.theirs = _inverted(large["ours"][name]), _inverted(small["ours"][name])
        lines += [raw, size]
    for line in lines:
        print(line.row(), flush=True)
    return lines


def _samples(seconds: list[float]) -> list[Sample]:
    return [Sample(1, second, second) for second in seconds]


def _inverted(seconds: list[float]) -> list[Sample]:
    return [Sample(1, 1 / second, second) for second in seconds]


def _timings(kind: str, count: int) -> dict[str, dict[str, list[float]]]:
    with scratch(kind) as base:
        for module in ("benchmarks.bulk", "benchmarks.dashboard_questions"):
            command = [sys.executable, "-m", module, str(count), str(ENTITIES)]
            done = subprocess.run(command, env=base.environment, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                raise RuntimeError(done.stderr[-2000:])
    timings: dict[str, dict[str, list[float]]] = json.loads(done.stdout.strip().splitlines()[-1])
    return timings
