"""Objectives: windows over any number of events, a sweep of all objectives, and the intake of events.

A 90-day objective over 10,000, a million and ten million events, against the aggregate over the events themselves;
1,000 objectives with all their windows at once against one query per objective; events in batches of 1,000 through the
API against the same rows written by COPY (executemany on SQLite).
"""

from __future__ import annotations

import http.client
import itertools
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from benchmarks.harness import Line, Sample, Scratch, interleaved, scratch, server, timed

SIZES = (10_000, 1_000_000, 10_000_000)
OBJECTIVES, FEW = 1_000, 10
BATCH, BATCHES, ROUNDS = 1_000, 40, 3
_numbers = itertools.count()


def run(kind: str) -> list[Line]:
    """Measure and return the lines."""
    return [*_windows(kind), *_sweep(kind), *_intake(kind)]


def _windows(kind: str) -> list[Line]:
    found = {}
    for size in SIZES:
        with scratch(kind) as base:
            found[size] = json.loads(base.module("benchmarks.slo_work", "window", str(size)))
    largest, lines = SIZES[-1], []
    raw = Line(f"{kind}: 90-day objective, {largest:,} events", "aggregate of the events", goal=100.0)
    raw.ours, raw.theirs = _samples(found[largest]["ours"]), _samples(found[largest]["raw"])
    lines.append(raw)
    for size in SIZES[1:]:
        line = Line(f"{kind}: 90-day objective, {size:,} events", f"{SIZES[0]:,} events (time ratio)", goal=1.3)
        line.at_most = True
        line.ours, line.theirs = _inverted(found[size]["ours"]), _inverted(found[SIZES[0]]["ours"])
        lines.append(line)
    for line in lines:
        print(line.row(), flush=True)
    return lines


def _sweep(kind: str) -> list[Line]:
    with scratch(kind) as base:
        found = json.loads(base.module("benchmarks.slo_work", "sweep", str(OBJECTIVES), str(FEW)))
    sweep = Line(f"{kind}: {OBJECTIVES:,} objectives, all windows", "one query per objective", goal=50.0)
    sweep.ours = [Sample(OBJECTIVES, wall, cpu) for wall, cpu in found["sweeps"]]
    sweep.theirs = [Sample(found["asked"], wall, cpu) for wall, cpu in found["one_by_one"]]
    few, many = found["queries"]
    queries = Line(f"{kind}: queries for {OBJECTIVES:,} objectives", f"for {FEW} (a ratio)", goal=1.0, at_most=True)
    queries.ours, queries.theirs = [Sample(many, 1.0)], [Sample(few, 1.0)]
    for line in (sweep, queries):
        print(line.row(), flush=True)
    least = min(cpu for _, cpu in found["sweeps"])
    print(
        f"  {1000 * least:.0f} ms of the process's CPU for {OBJECTIVES:,}; {many} queries, for {FEW} {few}", flush=True
    )
    return [sweep, queries]


def _intake(kind: str) -> list[Line]:
    with scratch(kind) as base:
        key = base.manage("apikey", "create", "bench", "--scope", "slas:write").strip()
        sli = json.loads(base.module("benchmarks.slo_work", "indicator"))
        with server(base, REDIS_URL="") as ours:
            line = Line(f"{kind}: events, {BATCH:,} a request", "the same rows by COPY", by_cpu=False)
            pids = (ours.pid,), base.postmaster
            return [interleaved(line, lambda _: _sent(ours.port, key, sli, *pids), lambda _: _copied(base), ROUNDS)]


def _sent(port: int, key: str, sli: str, web: tuple[int, ...], database: tuple[int, ...]) -> Sample:
    bodies = [json.dumps([{"at": at, "good": good} for at, good in _events()]).encode() for _ in range(BATCHES)]
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def work() -> None:
        for body in bodies:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            headers["Idempotency-Key"] = f"bench-{next(_numbers)}"
            link.request("POST", f"/api/v1/slas/slis/{sli}/events", body, headers)
            answered = link.getresponse()
            text = answered.read()
            if answered.status != 200:
                raise RuntimeError(f"events were answered {answered.status}: {text[:300]!r}")

    return timed(BATCH * BATCHES, work, web=web, database=database)


def _copied(base: Scratch) -> Sample:
    batches = [_events() for _ in range(BATCHES)]
    return _copied_postgresql(base, batches) if base.kind == "postgresql" else _copied_sqlite(base, batches)


def _copied_postgresql(base: Scratch, batches: list[list[tuple[str, bool]]]) -> Sample:
    with psycopg.connect(base.url, autocommit=True) as link:
        link.execute("CREATE TABLE IF NOT EXISTS bench_event (at timestamptz NOT NULL, good boolean NOT NULL)")
        link.execute("CREATE INDEX IF NOT EXISTS bench_event_at ON bench_event (at, good)")

        def work() -> None:
            for batch in batches:
                with link.cursor() as cursor, cursor.copy("COPY bench_event (at, good) FROM STDIN") as copy:
                    copy.write("".join(f"{at}\t{good}\n" for at, good in batch))

        return timed(BATCH * BATCHES, work, web=(), database=base.postmaster)


def _copied_sqlite(base: Scratch, batches: list[list[tuple[str, bool]]]) -> Sample:
    link: Any = sqlite3.connect(base.folder / "copy.sqlite3", isolation_level=None)
    link.execute("PRAGMA journal_mode = WAL")
    link.execute("CREATE TABLE IF NOT EXISTS bench_event (at text NOT NULL, good integer NOT NULL)")
    link.execute("CREATE INDEX IF NOT EXISTS bench_event_at ON bench_event (at, good)")

    def work() -> None:
        for batch in batches:
            link.execute("BEGIN IMMEDIATE")
            link.executemany("INSERT INTO bench_event VALUES (?, ?)", batch)
            link.execute("COMMIT")

    try:
        return timed(BATCH * BATCHES, work, web=(), database=())
    finally:
        link.close()


def _events() -> list[tuple[str, bool]]:
    now = datetime.now(UTC)
    return [((now - timedelta(seconds=n / 20)).isoformat(), n % 100 > 0) for n in range(BATCH)]


def _samples(seconds: list[float]) -> list[Sample]:
    return [Sample(1, second, second) for second in seconds]


def _inverted(seconds: list[float]) -> list[Sample]:
    return [Sample(1, 1 / second, second) for second in seconds]
