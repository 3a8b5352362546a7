"""One HTTP request to an address that a person entered: no redirects, proxies or cookies, and bounds on everything."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import quote, urlsplit

import certifi
import httpcore
from django.conf import settings

from core.outbound.connections import Deadline, GuardedBackend, Reach, Refused, Unreachable

MAX_ANSWER_BYTES = 64 * 1024
TIMEOUT_SECONDS = 15.0
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: status, headers by lower-case name, and the first 64 KB of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    milliseconds: int

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Target:
    """An address taken apart: what is connected to, and what is asked for there."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def host_header(self) -> str:
        """The host as its header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    timeout: float = TIMEOUT_SECONDS,
    allow: Reach | None = None,
) -> Answer:
    """Send one request and return whatever was answered, 3xx, 4xx and 5xx included.

    `timeout` bounds all of it, name resolution and body together. `allow` replaces what the settings allow. Raises
    Refused when the address may not be reached and Unreachable when nobody answered.
    """
    target = parse(url)
    begun, deadline = time.monotonic(), Deadline(timeout)
    backend = GuardedBackend(allow or Reach.configured(), deadline)
    sent = [
        ("Host", target.host_header),
        ("User-Agent", f"agent-factory/{settings.VERSION}"),
        ("Connection", "close"),
        *(headers or {}).items(),
    ]
    asked = httpcore.URL(
        scheme=target.scheme.encode(), host=target.host.encode(), port=target.port, target=target.path.encode()
    )
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend) as pool,
            pool.stream(method, asked, headers=sent, content=body) as response,
        ):
            content = _first_bytes(response)
    except httpcore.LocalProtocolError as error:
        raise Refused(f"the request cannot be written down: {error}") from error
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, ssl.SSLError) as error:
        raise Unreachable(f"{target.host[:200]} did not answer: {_reason(error)}") from error
    milliseconds = round((time.monotonic() - begun) * 1000)
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
    return Answer(response.status, found, content, milliseconds)


def parse(url: str) -> Target:
    """Take an address apart; raises Refused with the reason when it is none that a request goes to."""
    if any(ord(character) <= 32 or ord(character) == 127 for character in url):
        raise Refused("the address has spaces or control characters in it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Refused(f"the address cannot be read: {error}") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise Refused("the address does not begin with https:// or http://")
    if parts.username is not None or parts.password is not None:
        raise Refused("the address has a user name or password in it, which is sent nowhere")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    question = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    return Target(parts.scheme, _ascii(parts.hostname or ""), port or DEFAULT_PORTS[parts.scheme], path + question)


def _ascii(host: str) -> str:
    try:
        return host.encode("ascii" if ":" in host else "idna").decode() if host else _no_host()
    except UnicodeError:
        raise Refused("the address names a host that cannot exist") from None


def _no_host() -> str:
    raise Refused("the address names no host")


def _first_bytes(response: httpcore.Response) -> bytes:
    content = b""
    for chunk in response.iter_stream():
        content += chunk
        if len(content) >= MAX_ANSWER_BYTES:
            break
    return content[:MAX_ANSWER_BYTES]


def _reason(error: Exception) -> str:
    if isinstance(error, httpcore.TimeoutException):
        return "no answer in time"
    return str(error) or type(error).__name__


@cache
def _tls() -> ssl.SSLContext:
    # The system's authorities, with those that an operator adds there, and the usual ones where it has none.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
