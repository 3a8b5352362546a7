"""How often a client may ask: an upper bound per key, and one per address on keys that open nothing."""

from __future__ import annotations

import threading
import time

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.exceptions import Throttled
from rest_framework.request import Request

WINDOW_SECONDS = 60
# A process takes permits from the shared counter in blocks of this share of the limit: one trip per block, not per
# request. Together the processes never exceed the limit.
BLOCK_SHARE = 100


class _Blocks:
    """The permits this process holds, per client, for the current minute."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._minute = 0
        self._left: dict[str, int] = {}

    def take(self, client: str, minute: int) -> bool:
        with self._lock:
            if minute != self._minute:
                self._minute = minute
                self._left.clear()
            left = self._left.get(client, 0)
            if left:
                self._left[client] = left - 1
            return bool(left)

    def add(self, client: str, minute: int, permits: int) -> None:
        with self._lock:
            if minute == self._minute:
                self._left[client] = self._left.get(client, 0) + permits

    def clear(self) -> None:
        with self._lock:
            self._left.clear()


_blocks = _Blocks()


def forget_blocks() -> None:
    """Give up the permits this process holds, as when it is restarted."""
    _blocks.clear()


def spend_request(client: str, *, limit: int) -> None:
    """Count one request of a client; raises Throttled with the seconds to wait beyond `limit` in one minute."""
    seconds = time.time()
    minute = int(seconds // WINDOW_SECONDS)
    if _blocks.take(client, minute):
        return
    block = max(1, limit // BLOCK_SHARE)
    granted = min(block, limit - (_counted(f"api-rate:{client}:{minute}", block) - block))
    if granted <= 0:
        raise Throttled(_rest_of(seconds), f"more than {limit} requests in one minute")
    _blocks.add(client, minute, granted - 1)


def count_failure(request: HttpRequest | Request) -> None:
    """Count one refused key of an address; raises Throttled when there were too many in this minute."""
    limit = settings.API_FAILURES_PER_MINUTE
    if not limit:
        return
    seconds = time.time()
    key = f"api-refused:{client_address(request)}:{int(seconds // WINDOW_SECONDS)}"
    if _counted(key, 1) > limit:
        raise Throttled(_rest_of(seconds), "too many requests with a wrong key")


def client_address(request: HttpRequest | Request) -> str:
    """Return the address of the caller; X-Forwarded-For counts only as far as TRUSTED_PROXY_COUNT proxies wrote it."""
    proxies: int = settings.TRUSTED_PROXY_COUNT
    if proxies:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= proxies:
            return str(hops[-proxies])
    return str(request.META.get("REMOTE_ADDR", ""))


def _rest_of(seconds: float) -> int:
    return WINDOW_SECONDS - int(seconds % WINDOW_SECONDS)


def _counted(key: str, amount: int) -> int:
    """Add to a shared counter and return its new value; the counter ends with its minute."""
    cache.add(key, 0, timeout=2 * WINDOW_SECONDS)
    try:
        return int(cache.incr(key, amount))
    except ValueError:
        # It ended between the two steps: a new minute has begun, nothing was used of it.
        return amount
