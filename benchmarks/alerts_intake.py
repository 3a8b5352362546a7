"""Taking alerts in over HTTP, durably, against Alertmanager's own intake into memory, by processor time per alert.

Both get the same requests: new alerts, never sent before, 1, 64 or 1,000 in each. Ours are rows with their history when
the request is answered; Alertmanager's are gone when it stops. Without the binary `prometheus-alertmanager` (the Debian
package of that name) nothing is compared.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness import Line, Sample, free_port, interleaved, scratch, server, timed

BINARY = "prometheus-alertmanager"
SIZES = {1: 400, 64: 100, 1000: 10}
OURS, THEIRS = "/api/v1/alerts/am/api/v2/alerts", "/api/v2/alerts"
GOAL = 0.5
ROUNDS = 3
_numbers = itertools.count()
Send = Callable[[bytes], None]


def run(kind: str) -> list[Line]:
    """Measure and return one line per batch size; none without an Alertmanager."""
    if shutil.which(BINARY) is None:
        print(f"  {BINARY} is not installed: alert intake is not compared", flush=True)
        return []
    with scratch(kind) as base:
        key = base.manage("apikey", "create", "bench", "--scope", "alerts:write").strip()
        # Without a broker to wake: the passes are measured by themselves.
        with server(base, REDIS_URL="") as ours, _alertmanager() as (port, pid):
            mine = _sender(ours.port, OURS, {"Authorization": f"Bearer {key}"})
            other = _sender(port, THEIRS, {})
            web, database = (ours.pid,), base.postmaster
            return [
                interleaved(
                    Line(f"{kind}: alerts taken in, {size} a request", "Alertmanager", by_cpu=True, goal=_goal(size)),
                    lambda _, size=size: _sample(mine, size, web, database),  # type: ignore[misc]  # bound now
                    lambda _, size=size: _sample(other, size, (pid,), ()),  # type: ignore[misc]  # bound now
                    ROUNDS,
                )
                for size in SIZES
            ]


def _goal(size: int) -> float | None:
    # A request that costs as much as its one alert says nothing of the intake.
    return GOAL if size > 1 else None


def _sample(send: Send, size: int, web: tuple[int, ...], database: tuple[int, ...]) -> Sample:
    bodies = [_body(size) for _ in range(SIZES[size])]

    def work() -> None:
        for body in bodies:
            send(body)

    return timed(size * len(bodies), work, web=web, database=database)


def _body(size: int) -> bytes:
    starts = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return json.dumps(
        [
            {
                "labels": {
                    "alertname": "InstanceDown",
                    "severity": "warning",
                    "job": "node",
                    "cluster": "eu-west-1",
                    "instance": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:9100",
                },
                "annotations": {"summary": "The instance has been down for more than five minutes."},
                "startsAt": starts,
                "generatorURL": "http://prometheus.example.org/graph?g0.expr=up+%3D%3D+0",
            }
            for number in itertools.islice(_numbers, size)
        ]
    ).encode()


def _sender(port: int, path: str, headers: dict[str, str]) -> Send:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(body: bytes) -> None:
        link.request("POST", path, body, {"Content-Type": "application/json", **headers})
        answered = link.getresponse()
        text = answered.read()
        if answered.status != 200:
            raise RuntimeError(f"{path} answered {answered.status}: {text[:300]!r}")

    return send


@contextlib.contextmanager
def _alertmanager() -> Iterator[tuple[int, int]]:
    """Run an Alertmanager that keeps everything to itself; yields its port and pid."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-am-") as name:
        folder = Path(name)
        # One group for all, which is not flushed while this lasts.
        route = {"receiver": "nobody", "group_by": ["alertname"], "group_wait": "1h", "group_interval": "1h"}
        (folder / "config.yml").write_text(json.dumps({"route": route, "receivers": [{"name": "nobody"}]}))
        process = subprocess.Popen(  # noqa: S603
            [
                shutil.which(BINARY) or BINARY, f"--config.file={folder}/config.yml", f"--storage.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            _wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            link.request("GET", "/-/ready")
            if link.getresponse().status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("Alertmanager does not answer")
