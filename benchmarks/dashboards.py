"""The 30-day dashboard against a raw GROUP BY over the same events, and over 10,000 and a million events."""

from __future__ import annotations

import json

from benchmarks.harness import Line, Sample, Scratch, scratch

SMALL, LARGE = 10_000, 1_000_000
# Few enough that both fill the same rollup rows: what a page costs follows from those, not from the events.
ENTITIES = 20
ROUNDS = 3


def run(kind: str) -> list[Line]:
    """Measure and return the lines; both sizes are asked in turns, so that a busy machine is busy for both."""
    with scratch(kind) as few, scratch(kind) as many:
        few.module("benchmarks.bulk", str(SMALL), str(ENTITIES))
        many.module("benchmarks.bulk", str(LARGE), str(ENTITIES))
        rounds = [(_ask(few), _ask(many)) for _ in range(ROUNDS)]
    lines = []
    for name in rounds[0][1]["ours"]:
        small, large, plain = (
            [answers[name] for answers in side]
            for side in zip(*((few["ours"], many["ours"], many["raw"]) for few, many in rounds), strict=True)
        )
        raw = Line(f"{kind}: {name}, 30 days of {LARGE:,}", "raw GROUP BY", goal=20.0)
        raw.ours, raw.theirs = _samples(large), _samples(plain)
        size = Line(f"{kind}: {name}, {LARGE:,} events", f"{SMALL:,} events (time ratio)", goal=1.3, at_most=True)
        # A time ratio: seconds over the many events by seconds over the few.
        size.ours, size.theirs = _inverted(large), _inverted(small)
        lines += [raw, size]
    for line in lines:
        print(line.row(), flush=True)
    return lines


def _samples(seconds: list[float]) -> list[Sample]:
    return [Sample(1, second, second) for second in seconds]


def _inverted(seconds: list[float]) -> list[Sample]:
    return [Sample(1, 1 / second, second) for second in seconds]


def _ask(base: Scratch) -> dict[str, dict[str, float]]:
    answers: dict[str, dict[str, float]] = json.loads(base.module("benchmarks.dashboard_questions"))
    return answers
