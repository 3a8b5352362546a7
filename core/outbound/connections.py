"""Connections that are made to an address which was checked, by name resolution of one's own.

A name is resolved once, every address it has is checked, and the connection goes to one of those: what the name
resolves to a moment later changes nothing (DNS rebinding).
"""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import httpcore
from django.conf import settings

from core.outbound.addresses import Network, may_be_reached, networks


class OutboundError(Exception):
    """A request did not get an answer; the text says why and holds nothing secret."""


class Refused(OutboundError):
    """The platform does not make this request: its address, port or form is not allowed. Trying again will not help."""


class Unreachable(OutboundError):
    """Nobody answered in time, or not in a form that can be understood. Trying again may help."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be reached: networks besides the public internet, and ports."""

    networks: tuple[Network, ...]
    ports: frozenset[int]

    @classmethod
    def configured(cls) -> Self:
        """Return what the operator allows."""
        return cls(
            networks(settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS),
            frozenset(int(port) for port in settings.OUTBOUND_ALLOWED_PORTS),
        )

    def with_ports(self, ports: Iterable[int]) -> Self:
        """Return the same networks with more ports: mail has its own."""
        return type(self)(self.networks, self.ports | set(ports))


class Deadline:
    """The instant by which everything must be over, whatever it consists of."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Return the seconds that are left; raises Unreachable when there are none."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise Unreachable("no answer in time")
        return seconds


def addresses(host: str, port: int, *, reach: Reach, deadline: Deadline) -> list[str]:
    """Return the addresses of a host, all of them checked; raises Refused when one may not be reached."""
    if port not in reach.ports:
        raise Refused(f"port {port} is not among OUTBOUND_ALLOWED_PORTS")
    found = _resolved(host, port, deadline)
    for address in found:
        if not may_be_reached(address, reach.networks):
            raise Refused(
                f"{host[:200]} leads to {address}, which is not a public address; "
                "OUTBOUND_ALLOWED_PRIVATE_CIDRS names the exceptions"
            )
    return found


def open_socket(host: str, port: int, *, reach: Reach, deadline: Deadline) -> socket.socket:
    """Connect to the first checked address that answers, for protocols other than HTTP."""
    failure: OSError | None = None
    for address in addresses(host, port, reach=reach, deadline=deadline):
        try:
            return socket.create_connection((address, port), timeout=deadline.left())
        except OSError as error:
            failure = error
    raise Unreachable(f"{host[:200]}:{port} cannot be reached: {failure}")


class GuardedBackend(httpcore.NetworkBackend):
    """Makes the connections of one HTTP request: checked addresses only, and everything before the deadline."""

    def __init__(self, reach: Reach, deadline: Deadline) -> None:
        self._reach = reach
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failure: Exception | None = None
        for address in addresses(host, port, reach=self._reach, deadline=self._deadline):
            try:
                stream = self._backend.connect_tcp(address, port, timeout=self._deadline.left())
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _BoundedStream(stream, self._deadline)
        raise Unreachable(f"{host[:200]}:{port} cannot be reached: {failure or 'no answer in time'}")


class _BoundedStream(httpcore.NetworkStream):
    """A stream none of whose reads and writes waits beyond the deadline of the whole request."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=self._deadline.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = self._deadline.left()
        return _BoundedStream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _resolved(host: str, port: int, deadline: Deadline) -> list[str]:
    """Resolve in a thread of its own: the system's resolver knows no deadline."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def resolve() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(row[4][0]) for row in rows)))
        except (OSError, UnicodeError) as error:
            answers.put(OSError(str(error)))

    threading.Thread(target=resolve, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise Unreachable(f"the name {host[:200]} could not be resolved in time") from None
    if isinstance(answer, OSError):
        raise Unreachable(f"the name {host[:200]} cannot be resolved: {answer}")
    return answer
