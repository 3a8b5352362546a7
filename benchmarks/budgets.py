"""One hot hard budget: the product's single statement against SELECT FOR UPDATE through the ORM, for the same work."""

from __future__ import annotations

from benchmarks import budget_reference as reference
from benchmarks.harness import Line, Sample, Scratch, interleaved, scratch


def run(kind: str) -> list[Line]:
    """Measure with 2, 4 and 8 processes; raises when what is reserved is not the sum of the reservations.

    On PostgreSQL only: SQLite has no SELECT FOR UPDATE to compare with.
    """
    if kind != "postgresql":
        return []
    with scratch(kind) as base:
        reference.prepare(base)
        lines = [_line(base, processes) for processes in (2, 4, 8)]
        if not reference.exact(base):
            raise RuntimeError("what is reserved is not the sum of the reservations")
        return lines


def _line(base: Scratch, processes: int) -> Line:
    line = Line(f"one hot budget, {processes} processes", "SELECT FOR UPDATE", goal=1.8)
    return interleaved(line, lambda _: _sample(base, "statement", processes), lambda _: _sample(base, "orm", processes))


def _sample(base: Scratch, method: str, processes: int) -> Sample:
    rate, _, _ = reference.rate(base, method, processes)
    return Sample(round(rate * reference.SECONDS), reference.SECONDS)
