"""A pass over 10,000 rules against one query per rule, and whether its queries grow with the rules."""

from __future__ import annotations

import json

from benchmarks.harness import Line, Sample, scratch

RULES, EVENTS = 10_000, 50_000


def run(kind: str) -> list[Line]:
    """Measure and return the lines."""
    with scratch(kind) as base:
        base.module("benchmarks.bulk", str(EVENTS), str(RULES))
        found = json.loads(base.module("benchmarks.alerts_sweep_work", str(RULES)))
    sweep = Line(f"{kind}: sweep of {RULES:,} rules", "one query per rule", goal=100.0)
    sweep.ours = [Sample(RULES, wall, cpu) for wall, cpu in found["sweeps"]]
    sweep.theirs = [Sample(found["asked"], wall, cpu) for wall, cpu in found["one_by_one"]]
    few, many = found["queries"]
    queries = Line(f"{kind}: queries of a sweep, {RULES:,} rules", "of 10 rules (a ratio)", goal=1.0, at_most=True)
    queries.ours, queries.theirs = [Sample(many, 1.0)], [Sample(few, 1.0)]
    for line in (sweep, queries):
        print(line.row(), flush=True)
    print(f"  {found['fired']} alerts were opened; a sweep makes {many} queries, for 10 rules {few}", flush=True)
    return [sweep, queries]
