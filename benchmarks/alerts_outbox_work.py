"""`python -m benchmarks.alerts_outbox_work claims COUNT | tasks REDIS_URL | webhooks COUNT`; prints JSON."""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import django

TASKS, PORT, PATIENCE = 2_000, 18099, 5.0


def claims(count: int) -> None:
    """Print [wall, cpu] of claiming and marking so many messages of one channel, in the batches of delivery."""
    from django.db.models import F
    from django.utils import timezone

    from alerts.models import Notification
    from alerts.services.delivery.claiming import claim
    from core.leases import release

    now, to = timezone.now(), _channel("log", {})
    for begin in range(0, count, 500):
        _write(to, range(begin, begin + 500), now)
    wall, cpu, done = time.perf_counter(), time.process_time(), 0
    while rows := claim(timezone.now()).rows:
        mine = Notification.objects.filter(pk__in=[row.pk for row in rows], lease_token=rows[0].lease_token)
        done += mine.update(**release(status="sent", sent_at=now, attempts=F("attempts") + 1))
    print(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]))
    if done != count:
        raise RuntimeError(f"{done} of {count} were claimed")


def tasks(url: str) -> None:
    """Print [tasks, wall, cpu] of a worker of one thread that takes tasks which do nothing."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    app = Celery("reference", broker=url)
    app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4, task_acks_late=True)
    finished, every = threading.Semaphore(0), TASKS

    @app.task(name="reference.nothing")
    def nothing(number: int) -> None:
        finished.release()

    app.control.purge()
    for number in range(every):
        nothing.delay(number)
    wall, cpu = time.perf_counter(), time.process_time()
    with start_worker(app, pool="solo", perform_ping_check=False, loglevel="ERROR"):
        for _ in range(every):
            finished.acquire()
        spent = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps([every, *spent]))


def webhooks(count: int) -> None:
    """Print {"p50", "p99", "arrived"} of the seconds from a commit to the webhook's arrival, a worker running."""
    from django.utils import timezone

    arrived: dict[str, float] = {}

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name of the base class
            arrived[json.loads(self.rfile.read(int(self.headers["Content-Length"])))["title"]] = time.perf_counter()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            return

    server = HTTPServer(("127.0.0.1", PORT), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    to = _channel("webhook", {"url": f"http://127.0.0.1:{PORT}/"})
    seconds = []
    # The first few wait for the worker to start.
    for number in range(-20, count):
        # At any moment of the worker's own rhythm, not always just after it was busy.
        time.sleep(random.uniform(0, 0.5))  # noqa: S311  # a pause, no secret
        begun = time.perf_counter()
        _write(to, range(number, number + 1), timezone.now())
        while str(number) not in arrived and time.perf_counter() - begun < PATIENCE:
            time.sleep(0.001)
        if number >= 0 and str(number) in arrived:
            seconds.append(arrived[str(number)] - begun)
    p99 = statistics.quantiles(seconds, n=100)[98]
    print(json.dumps({"p50": statistics.median(seconds), "p99": p99, "arrived": len(seconds)}))


def _channel(kind: str, config: dict[str, str]) -> Any:
    from django.utils import timezone

    from alerts.models import Channel

    name = f"bench {kind}"
    values = {"kind": kind, "config": config, "rate_per_minute": 0, "created_at": timezone.now()}
    return Channel.objects.get_or_create(name=name, defaults=values)[0]


def _write(to: Any, numbers: range, now: datetime) -> None:
    from alerts.messages import Message
    from alerts.services.outbox import Outgoing, enqueue

    enqueue(
        [
            Outgoing(
                f"{time.time_ns()}:{number}", "group", Message(str(number), "firing", "high", text="7 % of calls fail"),
                "high", channel=to, order_key=f"group:{time.time_ns()}:{number}",
            )
            for number in numbers
        ],
        now=now,
    )  # fmt: skip


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    {"claims": lambda: claims(int(sys.argv[2])), "tasks": lambda: tasks(sys.argv[2]),
     "webhooks": lambda: webhooks(int(sys.argv[2]))}[sys.argv[1]]()  # fmt: skip
