"""The outbox against a Celery task per message, and the time from writing a message to its webhook's arrival.

Both sides hand out the same number of pieces of work to one process: the outbox by claiming rows in batches and marking
them as sent, Celery by a worker that takes tasks which do nothing from Redis. The time to the webhook is that of the
whole product: a worker runs, a message is committed, and the receiver looks at the clock.
"""

from __future__ import annotations

import json
import os

from benchmarks.harness import Line, Sample, Scratch, background, scratch

MESSAGES, ROUNDS, WEBHOOKS = 5_000, 3, 100
GOAL, GOAL_SECONDS = 20.0, 0.3
REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/15")
WORK = "benchmarks.alerts_outbox_work"


def run(kind: str) -> list[Line]:
    """Measure and return the lines."""
    with scratch(kind) as base:
        return [_claims(base), _latency(base)]


def _claims(base: Scratch) -> Line:
    line = Line(f"{base.kind}: messages claimed and marked", "a Celery task each", goal=GOAL)
    for _ in range(ROUNDS):
        tasks, wall, cpu = json.loads(base.module(WORK, "tasks", REDIS_URL))
        line.theirs.append(Sample(tasks, wall, cpu))
        wall, cpu = json.loads(base.module(WORK, "claims", str(MESSAGES)))
        line.ours.append(Sample(MESSAGES, wall, cpu))
    print(line.row(), flush=True)
    return line


def _latency(base: Scratch) -> Line:
    """Compare the median time to the webhook with the goal's; the reference is the goal itself."""
    queue = ("-m", "celery", "-A", "config", "worker", "--pool", "threads", "--concurrency", "4", "--loglevel", "ERROR")
    with background(_with_redis(base), *queue):
        found = json.loads(_with_redis(base).module(WORK, "webhooks", str(WEBHOOKS)))
    line = Line(f"{base.kind}: commit to webhook, median", f"{GOAL_SECONDS:g} s (a ratio)", goal=1.0, at_most=True)
    line.ours, line.theirs = [Sample(1, GOAL_SECONDS)], [Sample(1, found["p50"])]
    print(line.row(), flush=True)
    print(
        f"  commit to webhook: p50 {found['p50'] * 1000:.0f} ms, p99 {found['p99'] * 1000:.0f} ms, "
        f"{found['arrived']} of {WEBHOOKS} by the nudge alone",
        flush=True,
    )
    return line


def _with_redis(base: Scratch) -> Scratch:
    return _ScratchWithRedis(base.kind, base.url, base.folder, base.postmaster)


class _ScratchWithRedis(Scratch):
    @property
    def environment(self) -> dict[str, str]:
        allowed = {"OUTBOUND_ALLOWED_PRIVATE_CIDRS": "127.0.0.0/8", "OUTBOUND_ALLOWED_PORTS": "18099"}
        return {**super().environment, "REDIS_URL": REDIS_URL, **allowed}
