"""Servers on loopback for tests of what leaves the platform: they keep what they were sent and answer as told."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LOOPBACK = ["127.0.0.0/8", "::1/128"]


@dataclass
class Received:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is answered."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    drip: float = 0.0


Responder = Callable[[Received], Reply]


class Listener:
    """One HTTP server in a thread; `respond` decides on every answer."""

    def __init__(self, respond: Responder = lambda _: Reply()) -> None:
        self.respond = respond
        self.received: list[Received] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                request = Received(
                    self.command,
                    self.path,
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                outer.received.append(request)
                outer.answer(self, outer.respond(request))

            do_GET = do_POST  # noqa: N815  # the name of the base class

            def log_message(self, *args: Any) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                return

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        time.sleep(reply.seconds)
        with contextlib.suppress(OSError):
            handler.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            if not reply.drip:
                handler.wfile.write(reply.body)
                return
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.drip)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@contextlib.contextmanager
def listening(settings: Any, respond: Responder = lambda _: Reply()) -> Iterator[Listener]:
    """Serve on loopback, and allow requests to reach it."""
    listener = Listener(respond)
    settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = LOOPBACK
    settings.OUTBOUND_ALLOWED_PORTS = [*settings.OUTBOUND_ALLOWED_PORTS, str(listener.port)]
    listener.thread.start()
    try:
        yield listener
    finally:
        listener.stop()
