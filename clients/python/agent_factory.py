"""Agent Factory's client for Python: one file, the standard library alone, Python 3.9 or later. Copy it or install it.

    client = Client("http://127.0.0.1:8000", key="af_…")

    @client.track_cost("agent:researcher", provider="openai")
    def ask(question): return openai.chat.completions.create(...)

    with client.budget("agent:researcher", model="gpt-4o-mini", input_tokens=900, max_output_tokens=400) as hold:
        hold.settle(ask("…"))

Costs are written to a spool on disk before anything is sent and leave it when the server has committed them: a crash,
a restart or a day without network loses nothing, and nothing is recorded twice, for every cost carries its own
idempotency key. Requests that fail in a way that can heal are repeated with growing pauses.
"""

from __future__ import annotations

import atexit
import functools
import gzip
import json
import logging
import os
import random
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, TypeVar, Union

try:
    import fcntl
except ImportError:  # on Windows a file in use cannot be removed, and what is sent twice is recorded once
    fcntl = None  # type: ignore[assignment]

__all__ = ["AgentFactoryError", "BudgetExceededError", "Client", "Hold", "UnreachableError", "usage_of"]

logger = logging.getLogger("agent_factory")

Amount = Union[Decimal, str, int]  # noqa: UP007  # evaluated at run time, where Python 3.9 has no `|`
Function = TypeVar("Function", bound=Callable[..., Any])

HEALING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
BATCH_SIZE = 500


class AgentFactoryError(Exception):
    """The server refused a request; `status` and `problem` (RFC 9457) say why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('title', '')}: {problem.get('detail', '')}".strip(": "))
        self.status = status
        self.problem = dict(problem)


class BudgetExceededError(AgentFactoryError):
    """A hard budget has no room for this spend; `problem` names the budget, what is left and when it resets."""


class UnreachableError(AgentFactoryError):
    """The server did not answer, or not sensibly, however often it was asked."""


class Client:
    """Talks to one Agent Factory with one API key; safe to share between threads.

    `spool` is the folder where costs wait (default: AGENT_FACTORY_SPOOL, else `agent-factory` in the user's cache
    folder). Costs are sent in the background every `interval` seconds, and on `flush()` and `close()`.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        spool: str | os.PathLike[str] | None = None,
        interval: float = 2.0,
        timeout: float = 10.0,
        attempts: int = 4,
    ) -> None:
        base = url or os.environ.get("AGENT_FACTORY_URL") or "http://127.0.0.1:8000"
        self._api = _Api(base, key or os.environ.get("AGENT_FACTORY_KEY", ""), timeout=timeout, attempts=attempts)
        self._spool = _Spool(Path(spool) if spool else _default_spool())
        self._sender = _Sender(self._api, self._spool, interval)
        atexit.register(self.close)

    def record_cost(self, entity: str, *, cost_type: str = "llm_api", **fields: Any) -> str:
        """Note one cost of `entity` ("agent:my-agent") and return its idempotency key.

        Give `amount` and `currency`, or `provider`, `model` and token counts (`input_tokens` is the whole input, cached
        tokens included); further fields as in the API. Returns as soon as the cost is on disk.
        """
        item = {**_entity(entity), "cost_type": cost_type, **_plain(fields)}
        item.setdefault("idempotency_key", uuid.uuid4().hex)
        item.setdefault("occurred_at", datetime.now(UTC).isoformat())
        self._spool.append(item)
        self._sender.wake_when_full()
        return str(item["idempotency_key"])

    def track_cost(
        self, entity: str, *, provider: str = "", model: str = "", **fields: Any
    ) -> Callable[[Function], Function]:
        """Decorate a function that returns a provider's response: its token usage is recorded as a cost."""

        def decorate(function: Function) -> Function:
            @functools.wraps(function)
            def tracked(*args: Any, **kwargs: Any) -> Any:
                response = function(*args, **kwargs)
                usage = usage_of(response)
                if usage:
                    named = {"provider": provider, "model": model or usage.pop("model", ""), **fields}
                    self.record_cost(entity, **{**usage, **named})
                else:
                    logger.warning("%s returned nothing with token usage; no cost was recorded", function.__name__)
                return response

            return tracked  # type: ignore[return-value]

        return decorate

    def costs(self, entity: str, *, start_date: str, end_date: str, **query: str) -> dict[str, Any]:
        """Return what `entity` spent from `start_date` (included) to `end_date` (not included)."""
        kind, name = _entity(entity).values()
        return self._api.get(
            f"costs/{_quoted(kind)}/{_quoted(name)}", {"start_date": start_date, "end_date": end_date, **query}
        )

    def estimate(self, entity: str, *, model: str, **tokens: Any) -> dict[str, Any]:
        """Return what a call would cost; records nothing."""
        return self._api.post("costs/estimate", {**_entity(entity), "model": model, **_plain(tokens)})

    def create_budget(self, name: str, entity: str, amount: Amount, *, key: str = "", **fields: Any) -> str:
        """Create a budget and return its id; `period`, `mode`, `alert_threshold` and more as in the API.

        With a `key` of your own, creating it again returns the one that is there.
        """
        body = {"name": name, **_entity(entity), "amount": str(amount), "period": "monthly", **_plain(fields)}
        return str(self._api.post("budgets", body, key=key or uuid.uuid4().hex)["budget_id"])

    def budget_status(self, budget_id: str) -> dict[str, Any]:
        """Return what is spent, reserved and left of a budget."""
        return self._api.get(f"budgets/{_quoted(budget_id)}")

    def fits(self, entity: str, **spend: Any) -> bool:
        """Return whether a spend would fit into every hard budget right now; sets nothing aside."""
        return bool(self._api.post("budgets/check", {**_entity(entity), **_plain(spend)})["allowed"])

    @contextmanager
    def budget(self, entity: str, *, cost_type: str = "llm_api", **spend: Any) -> Iterator[Hold]:
        """Set the upper bound of a spend aside, run the block, settle what it really cost.

        Give `amount`, or `provider`, `model`, `input_tokens` and `max_output_tokens`. Raises BudgetExceededError before
        the block runs when a hard budget has no room. A block that ends without `settle` releases the money; one that
        was interrupted after the call went out settles the input, for providers charge it.
        """
        body = {**_entity(entity), "cost_type": cost_type, **_plain(spend)}
        hold = Hold(self._api, self._api.post("reservations", body, key=uuid.uuid4().hex))
        try:
            yield hold
        except Exception:
            hold.release()
            raise
        except BaseException:
            hold.interrupted(body.get("input_tokens"))
            raise
        hold.release()

    def flush(self) -> None:
        """Send everything that waits, and return when the server has committed it; raises when it cannot be sent."""
        self._sender.send_all()

    def close(self) -> None:
        """Stop the background thread and send what waits; what cannot be sent stays on disk for the next start."""
        atexit.unregister(self.close)
        self._sender.stop()
        try:
            self._sender.send_all()
        except AgentFactoryError as error:
            logger.warning("costs stay in %s until the next start: %s", self._spool.folder, error)
        self._spool.close()

    def __enter__(self) -> Client:  # noqa: PYI034  # Self came with Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Hold:
    """Money set aside for one call; `id` names the reservation, `amount` says how much."""

    def __init__(self, api: _Api, answer: Mapping[str, Any]) -> None:
        self._api = api
        self._open = True
        self.id = str(answer["reservation_id"])
        self.amount = Decimal(str(answer["amount"]))
        self.expires_at = str(answer.get("expires_at", ""))

    def settle(self, response: Any = None, **spent: Any) -> dict[str, Any]:
        """Book what was spent: a provider's response, `amount`, or token counts. A second call changes nothing."""
        body = {**(usage_of(response) if response is not None else {}), **_plain(spent)}
        answer = self._api.post(f"reservations/{self.id}/settle", body, key=f"{self.id}:settle")
        self._open = False
        return answer

    def extend(self, seconds: int) -> None:
        """Keep the money aside longer, for a call that takes its time."""
        self._api.post(f"reservations/{self.id}/extend", {"ttl_seconds": seconds}, key=uuid.uuid4().hex)

    def release(self) -> None:
        """Give the money back; does nothing once settled."""
        if self._open:
            self._open = False
            self._api.post(f"reservations/{self.id}/release", {}, key=f"{self.id}:release")

    def interrupted(self, input_tokens: Any) -> None:
        """Book the input of a call that was cut off, or give the money back when there was none."""
        if self._open and input_tokens:
            self.settle(input_tokens=input_tokens, output_tokens=0)
        else:
            self.release()


def usage_of(response: Any) -> dict[str, Any]:
    """Return the token counts and model of a provider's response (object or mapping), or nothing when it has none.

    Knows OpenAI (chat completions and responses), Anthropic and Gemini shapes. Anthropic counts cached input beside
    `input_tokens`; here, as in the API, `input_tokens` is the whole input.
    """
    usage = _field(response, "usage") or _field(response, "usage_metadata") or _field(response, "usageMetadata")
    if usage is None:
        return {}
    found = _anthropic(usage) or _openai(usage) or _gemini(usage)
    model = _field(response, "model") or _field(response, "model_version") or _field(response, "modelVersion")
    if found and model:
        found["model"] = str(model)
    return {
        name: value
        for name, value in found.items()
        if value not in (None, 0) or name in {"input_tokens", "output_tokens"}
    }


def _anthropic(usage: Any) -> dict[str, Any]:
    read, written = _field(usage, "cache_read_input_tokens"), _field(usage, "cache_creation_input_tokens")
    if read is None and written is None:
        return {}
    total = (_field(usage, "input_tokens") or 0) + (read or 0) + (written or 0)
    hour = _field(_field(usage, "cache_creation"), "ephemeral_1h_input_tokens") or 0
    return {
        "input_tokens": total,
        "output_tokens": _field(usage, "output_tokens") or 0,
        "cache_read_tokens": read,
        "cache_write_tokens": (written or 0) - hour,
        "cache_write_1h_tokens": hour,
    }


def _openai(usage: Any) -> dict[str, Any]:
    for entered, given in (("prompt_tokens", "completion_tokens"), ("input_tokens", "output_tokens")):
        if _field(usage, entered) is not None:
            details = _field(usage, f"{entered}_details")
            produced = _field(usage, f"{given}_details")
            return {
                "input_tokens": _field(usage, entered),
                "output_tokens": _field(usage, given) or 0,
                "cache_read_tokens": _field(details, "cached_tokens"),
                "reasoning_tokens": _field(produced, "reasoning_tokens"),
            }
    return {}


def _gemini(usage: Any) -> dict[str, Any]:
    def count(snake: str, camel: str) -> int:
        return int(_field(usage, snake) or _field(usage, camel) or 0)

    entered = count("prompt_token_count", "promptTokenCount")
    thoughts = count("thoughts_token_count", "thoughtsTokenCount")
    produced = count("candidates_token_count", "candidatesTokenCount") + thoughts
    if not entered and not produced:
        return {}
    return {
        "input_tokens": entered,
        "output_tokens": produced,
        "cache_read_tokens": count("cached_content_token_count", "cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
    }


def _field(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def _entity(entity: str) -> dict[str, str]:
    kind, separator, name = entity.partition(":")
    if not (kind and separator and name):
        raise ValueError(f"an entity is written TYPE:ID, such as agent:my-agent, not {entity!r}")
    return {"entity_type": kind, "entity_id": name}


def _plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in fields.items() if value is not None and value != ""}


def _value(value: Any) -> Any:
    if isinstance(value, float):
        raise TypeError("give money as Decimal or text: a binary floating-point number is not an exact amount")
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def _quoted(part: str) -> str:
    return urllib.parse.quote(part, safe="")


def _default_spool() -> Path:
    named = os.environ.get("AGENT_FACTORY_SPOOL")
    return Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-factory"


class _Api:
    """HTTP with retries: every writing request carries an idempotency key, so repeating it is safe."""

    def __init__(self, base: str, key: str, *, timeout: float, attempts: int) -> None:
        if not base.startswith(("http://", "https://")):
            raise ValueError(f"the address must begin with http:// or https://, not {base!r}")
        if not key:
            raise ValueError("an API key is needed: give `key` or set AGENT_FACTORY_KEY")
        self._base = f"{base.rstrip('/')}/api/v1/financial/"
        self._key = key
        self._timeout = timeout
        self._attempts = attempts

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        parts = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in (query or {}).items())
        return self._repeat("GET", path + (f"?{parts}" if parts else ""), None, {})

    def post(self, path: str, body: Mapping[str, Any], *, key: str = "") -> dict[str, Any]:
        headers = {"Content-Type": "application/json", **({"Idempotency-Key": key} if key else {})}
        return self._repeat("POST", path, json.dumps(body).encode(), headers)

    def post_lines(self, path: str, lines: bytes) -> dict[str, Any]:
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        return self._repeat("POST", path, gzip.compress(lines, 1), headers)

    def _repeat(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        pause = 0.2
        for attempt in range(1, self._attempts + 1):
            try:
                return self._once(method, path, body, headers)
            except AgentFactoryError as error:
                if error.status not in HEALING_STATUSES and not isinstance(error, UnreachableError):
                    raise
                if attempt == self._attempts:
                    raise
                wait = max(float(error.problem.get("retry_after") or 0), pause * random.uniform(0.5, 1.5))  # noqa: S311
                time.sleep(min(wait, 30.0))
                pause *= 2
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(self._base + path, data=body, method=method)  # noqa: S310  # scheme checked above
        for name, value in {**headers, "Authorization": f"Bearer {self._key}", "Accept": "application/json"}.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout) as answer:  # noqa: S310
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, TypeError, ValueError) as error:
            raise UnreachableError(0, {"title": "No answer", "detail": str(error)}) from error


def _decoded(answer: IO[bytes]) -> dict[str, Any]:
    content = answer.read()
    decoded = json.loads(content) if content else {}
    if not isinstance(decoded, dict):
        raise ValueError("the answer is not a JSON object")  # handled as a broken answer by the caller
    return decoded


def _refusal(error: urllib.error.HTTPError) -> AgentFactoryError:
    try:
        problem = dict(json.loads(error.read()))
    except (OSError, TypeError, ValueError):
        problem = {}
    problem.setdefault("title", error.reason)
    after = error.headers.get("Retry-After", "")
    if after.isdigit():
        problem["retry_after"] = int(after)
    kind = BudgetExceededError if error.code == 402 else AgentFactoryError
    return kind(error.code, problem)


class _Spool:
    """A folder of segment files with one cost a line. A segment leaves when the server has all of it.

    The segment being written is locked by its process; one whose process is gone is taken over by the next that looks.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = threading.Lock()
        self._segment: IO[bytes] | None = None
        self.count = 0

    def append(self, item: Mapping[str, Any]) -> None:
        line = json.dumps(item, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if self._segment is None:
                self._segment = self._begin()
            self._segment.write(line)
            self.count += 1

    def _begin(self) -> IO[bytes]:
        # Unbuffered: a line is the operating system's when `append` returns, whatever happens to this process.
        segment = open(self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}.jsonl", "xb", buffering=0)  # noqa: SIM115, PTH123
        _locked(segment)
        return segment

    def closed_segments(self) -> Iterable[tuple[Path, IO[bytes]]]:
        """Close the segment in hand and yield every segment that nobody writes, locked, oldest first."""
        self.close()
        for path in sorted(self.folder.glob("*.jsonl")):
            segment = self._taken(path)
            if segment is not None:
                with segment:
                    yield path, segment

    def _taken(self, path: Path) -> IO[bytes] | None:
        try:
            segment = open(path, "rb")  # noqa: SIM115, PTH123  # closed by the caller
        except FileNotFoundError:
            return None
        # Between opening and locking, another process may have sent and removed it.
        if _locked(segment) and path.exists():
            return segment
        segment.close()
        return None

    def close(self) -> None:
        with self._lock:
            if self._segment is not None:
                self._segment.close()
                self._segment = None
                self.count = 0


def _locked(segment: IO[bytes]) -> bool:
    """Return whether the segment is now ours alone."""
    if fcntl is None:
        return True  # type: ignore[unreachable]  # on the platform that types are checked for
    try:
        fcntl.flock(segment, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class _Sender:
    """The background thread that empties the spool."""

    def __init__(self, api: _Api, spool: _Spool, interval: float) -> None:
        self._api = api
        self._spool = spool
        self._interval = interval
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="agent-factory-sender", daemon=True)
        self._thread.start()

    def wake_when_full(self) -> None:
        if self._spool.count >= BATCH_SIZE:
            self._wake.set()

    def stop(self) -> None:
        self._stopped.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._interval)
            self._wake.clear()
            try:
                self.send_all()
            except AgentFactoryError as error:
                logger.warning("costs wait in %s: %s", self._spool.folder, error)
            except OSError:
                logger.exception("the spool %s cannot be read", self._spool.folder)

    def send_all(self) -> None:
        with self._sending:
            for path, segment in self._spool.closed_segments():
                self._send(segment)
                with suppress(OSError):
                    path.unlink()

    def _send(self, segment: IO[bytes]) -> None:
        # A line without its end was cut off by a crash in the middle of writing; it was never acknowledged.
        lines = [line for line in segment if line.endswith(b"\n")]
        for start in range(0, len(lines), BATCH_SIZE):
            answer = self._api.post_lines("costs:batch", b"".join(lines[start : start + BATCH_SIZE]))
            for verdict in answer.get("items", []):
                if verdict.get("status") in {"rejected", "conflict"}:
                    logger.error("a cost was not recorded: %s", verdict)
