"""The client against a stand-in server: what leaves the machine, what stays on disk, what is repeated."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from clients.python.agent_factory import AgentFactoryError, BudgetExceededError, Client, UnreachableError, usage_of
from clients.python.tests.conftest import FakeServer

CLIENTS = Path(__file__).resolve().parent.parent
RESERVED = {"reservation_id": "r-1", "amount": "0.50", "expires_at": "2026-01-01T00:00:00Z"}


def client_of(fake: FakeServer, spool: Path) -> Client:
    return Client(fake.url, "af_key", spool=spool, interval=60, attempts=2)


def waiting(spool: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in sorted(spool.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_record_cost__server_up__sends_one_batch_and_empties_the_spool(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(200, {"items": [{"status": "recorded"}, {"status": "recorded"}]})
    with client_of(fake, tmp_path) as client:
        first = client.record_cost("agent:a", amount=Decimal("0.10"), currency="USD")
        client.record_cost("agent:a", provider="openai", model="gpt-4o", input_tokens=10, output_tokens=2)
        client.flush()
    assert [item["amount"] for item in fake.items if "amount" in item] == ["0.10"]
    assert fake.items[0]["idempotency_key"] == first
    assert len(fake.requests) == 1
    assert waiting(tmp_path) == []


def test_record_cost__server_down__keeps_costs_and_the_next_client_sends_them(fake: FakeServer, tmp_path: Path) -> None:
    down = Client("http://127.0.0.1:9", "af_key", spool=tmp_path, interval=60, attempts=1)
    key = down.record_cost("agent:a", amount="0.10")
    with pytest.raises(UnreachableError):
        down.flush()
    down.close()
    assert [item["idempotency_key"] for item in waiting(tmp_path)] == [key]
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client:
        client.flush()
    assert [item["idempotency_key"] for item in fake.items] == [key]
    assert waiting(tmp_path) == []


def test_record_cost__process_killed__the_next_client_sends_what_was_on_disk(fake: FakeServer, tmp_path: Path) -> None:
    program = (
        "import os; from agent_factory import Client; "
        f"c = Client('http://127.0.0.1:9', 'k', spool={str(tmp_path)!r}, interval=60); "
        "c.record_cost('agent:a', amount='1'); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(CLIENTS)}, check=False)
    assert done.returncode == -9
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client:
        client.flush()
    assert [item["amount"] for item in fake.items] == ["1"]


def test_flush__another_live_process_writes__leaves_its_segment_alone(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(200, {"items": []})
    other = Client(fake.url, "af_other", spool=tmp_path, interval=60)
    other.record_cost("agent:other", amount="1")
    with client_of(fake, tmp_path) as client:
        client.flush()
    assert fake.items == []
    other.close()
    assert [item["entity_id"] for item in fake.items] == ["other"]


def test_flush__torn_last_line__sends_the_whole_ones(fake: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "0-left.jsonl").write_bytes(b'{"amount": "1"}\n{"amou')
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client:
        client.flush()
    assert fake.items == [{"amount": "1"}]


def test_flush__server_answers_503_once__repeats_the_same_items(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(503, {"title": "Down"}, Retry_After="0")
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client:
        key = client.record_cost("agent:a", amount="1")
        client.flush()
    assert [item["idempotency_key"] for item in fake.items] == [key, key]


def test_flush__key_refused__says_so_and_keeps_the_costs(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(401, {"title": "Unauthorized", "detail": "unknown key"})
    client = client_of(fake, tmp_path)
    client.record_cost("agent:a", amount="1")
    with pytest.raises(AgentFactoryError, match="unknown key") as refusal:
        client.flush()
    client.close()
    assert refusal.value.status == 401
    assert len(waiting(tmp_path)) == 1


def test_flush__item_rejected__is_logged(fake: FakeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fake.answer(207, {"items": [{"status": "rejected", "errors": [{"detail": "amount must not be negative"}]}]})
    with client_of(fake, tmp_path) as client:
        client.record_cost("agent:a", amount="-1")
        client.flush()
    assert "amount must not be negative" in caplog.text


def test_record_cost__float__is_refused(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client, pytest.raises(TypeError, match="binary"):
        client.record_cost("agent:a", amount=0.1)
    assert waiting(tmp_path) == []


def test_track_cost__response_with_usage__records_its_tokens(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(200, {"items": []})
    with client_of(fake, tmp_path) as client:

        @client.track_cost("agent:a", provider="openai")
        def ask() -> dict[str, object]:
            return {"model": "gpt-4o", "usage": {"prompt_tokens": 9, "completion_tokens": 4}}

        assert ask()["model"] == "gpt-4o"
        client.flush()
    assert {"model": "gpt-4o", "input_tokens": 9, "output_tokens": 4, "provider": "openai"}.items() <= fake.items[
        0
    ].items()


def test_budget__refused__raises_before_the_block_runs(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(402, {"title": "Budget exceeded", "detail": "0.10 left", "remaining": "0.10"})
    ran = False
    with (
        client_of(fake, tmp_path) as client,
        pytest.raises(BudgetExceededError) as refusal,
        client.budget("agent:a", amount="1"),
    ):
        ran = True
    assert not ran
    assert refusal.value.problem["remaining"] == "0.10"


def test_budget__block_settles__releases_nothing(fake: FakeServer, tmp_path: Path) -> None:
    fake.answer(201, RESERVED)
    fake.answer(200, {"status": "settled"})
    with client_of(fake, tmp_path) as client, client.budget("agent:a", amount="0.50") as hold:
        hold.settle(amount="0.31")
    assert [path.rpartition("/financial/")[2] for path, _, _ in fake.requests] == [
        "reservations",
        "reservations/r-1/settle",
    ]
    assert fake.requests[1][2] == {"amount": "0.31"}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [(ValueError, "reservations/r-1/release"), (KeyboardInterrupt, "reservations/r-1/settle")],
)
def test_budget__block_fails__gives_back_or_books_the_input(
    fake: FakeServer, tmp_path: Path, fault: type[BaseException], expected: str
) -> None:
    fake.answer(201, RESERVED)
    fake.answer(200, {})
    with client_of(fake, tmp_path) as client, pytest.raises(fault), client.budget("agent:a", model="m", input_tokens=7):
        raise fault
    assert fake.requests[-1][0].endswith(expected)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (
            SimpleNamespace(
                model="gpt-4o",
                usage=SimpleNamespace(
                    prompt_tokens=100, completion_tokens=20, prompt_tokens_details=SimpleNamespace(cached_tokens=64)
                ),
            ),
            {"model": "gpt-4o", "input_tokens": 100, "output_tokens": 20, "cache_read_tokens": 64},
        ),
        (
            {
                "model": "o3",
                "usage": {"input_tokens": 75, "output_tokens": 11, "output_tokens_details": {"reasoning_tokens": 8}},
            },
            {"model": "o3", "input_tokens": 75, "output_tokens": 11, "reasoning_tokens": 8},
        ),
        (
            {
                "model": "claude-sonnet-4-5",
                "usage": {
                    "input_tokens": 3,
                    "output_tokens": 5,
                    "cache_read_input_tokens": 100,
                    "cache_creation_input_tokens": 40,
                    "cache_creation": {"ephemeral_1h_input_tokens": 10},
                },
            },
            {
                "model": "claude-sonnet-4-5",
                "input_tokens": 143,
                "output_tokens": 5,
                "cache_read_tokens": 100,
                "cache_write_tokens": 30,
                "cache_write_1h_tokens": 10,
            },
        ),
        (
            {
                "modelVersion": "gemini-2.5-pro",
                "usageMetadata": {"promptTokenCount": 8, "candidatesTokenCount": 6, "thoughtsTokenCount": 4},
            },
            {"model": "gemini-2.5-pro", "input_tokens": 8, "output_tokens": 10, "reasoning_tokens": 4},
        ),
        ({"choices": []}, {}),
    ],
)
def test_usage_of__provider_shapes__gives_whole_input_and_output(response: object, expected: dict[str, object]) -> None:
    assert usage_of(response) == expected
