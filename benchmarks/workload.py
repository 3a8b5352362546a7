"""The events that benchmarks record: 100 agents within one minute ("live") or 1,000 over 30 days ("spread")."""

from __future__ import annotations

import http.client
import json
import random
import threading
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

MODELS = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini")


def items(count: int, *, seed: int, spread: bool = False) -> list[dict[str, object]]:
    """Return `count` events of about 380 bytes with keys of their own, to be priced by the price book."""
    chance = random.Random(seed)  # noqa: S311  # sample data, no secret
    newest = datetime.now(UTC).replace(microsecond=0)
    seconds, entities = (30 * 86400, 1000) if spread else (60, 100)
    return [
        {
            "cost_type": "llm_api",
            "entity_type": "agent",
            "entity_id": f"agent-{chance.randrange(entities)}",
            "provider": "openai",
            "model": chance.choice(MODELS),
            "input_tokens": chance.randrange(100, 20_000),
            "output_tokens": chance.randrange(10, 2_000),
            "occurred_at": (newest - timedelta(seconds=chance.randrange(seconds))).isoformat(),
            "idempotency_key": str(uuid.UUID(int=chance.getrandbits(128))),
            "session_id": f"session-{chance.randrange(10_000)}",
            "tags": {"team": f"team-{chance.randrange(8)}", "environment": "production"},
            "metadata": {"run": f"r-{chance.randrange(1_000_000)}"},
        }
        for _ in range(count)
    ]


def bodies(batches: int, size: int, *, seed: int, spread: bool = False) -> list[bytes]:
    """Return the bodies of `batches` batch requests of `size` events."""
    events = items(batches * size, seed=seed, spread=spread)
    return [json.dumps(events[start : start + size]).encode() for start in range(0, len(events), size)]


def post_all(
    port: int,
    path: str,
    requests: Sequence[bytes],
    *,
    key: str = "",
    clients: int = 2,
    expect: Sequence[int] = (200, 201, 207),
) -> None:
    """Send every body once over `clients` kept connections at once; raises when an answer is not as expected."""
    waiting, lock, failures = list(requests), threading.Lock(), list[str]()

    def run() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        while not failures:
            with lock:
                if not waiting:
                    break
                body = waiting.pop()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.status not in expect:
                failures.append(f"{answer.status} {content[:500]!r}")
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
