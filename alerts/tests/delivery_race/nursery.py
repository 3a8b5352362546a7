"""A process that forks workers on demand: `python -m alerts.tests.delivery_race.nursery FOLDER SPEED BEGIN`.

Each line of input names a role, and a line with the child's pid is the answer. Forked from a process that has
everything imported, a worker is at work a few milliseconds after the one before it was killed.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import django

django.setup()

from django.db import transaction  # noqa: E402  # after the set-up

from alerts.messages import Message, MessageAlert  # noqa: E402
from alerts.models import Channel  # noqa: E402
from alerts.reports import Report  # noqa: E402
from alerts.services import delivery, intake  # noqa: E402
from alerts.services.outbox import Outgoing, enqueue  # noqa: E402
from core.choices import Severity  # noqa: E402

FOLDER, SPEED, BEGIN = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
CHANNEL = "race"


def clock() -> datetime:
    """Return a time that goes faster than the real one: leases and retries are over sooner."""
    return datetime.fromtimestamp(BEGIN, UTC) + timedelta(seconds=(time.time() - BEGIN) * SPEED)


def deliver() -> None:
    """Run one pass."""
    delivery.run(clock())
    time.sleep(0.005)


def write() -> None:
    """Fire an alert and end it; each change of state and its message in one transaction, then noted as committed."""
    name = f"race-{os.getpid()}-{time.monotonic_ns()}"
    began = clock()
    for state in ("firing", "resolved"):
        _change(name, state, began)
        with (FOLDER / f"committed-{os.getpid()}").open("a") as noted:
            noted.write(f"{name} {state}\n")
        time.sleep(random.uniform(0, 0.04))


def _change(name: str, state: str, began: datetime) -> None:
    now, labels = clock(), {"alertname": name}
    over = state == "resolved"
    alert = MessageAlert(labels, {}, began, now if over else None, name, status="resolved" if over else "firing")
    message = Message(name, "resolved" if over else "firing", Severity.HIGH, alerts=(alert,))
    report = Report(labels=labels, severity=Severity.HIGH, source="race", active=not over, starts_at=began)
    with transaction.atomic():
        intake.record([report], now=now)
        to = Channel.objects.get(name=CHANNEL)
        told = Outgoing(f"{name}:{state}", "incident", message, Severity.HIGH, channel=to, order_key=name)
        enqueue([told], now=now)


def live(role: str, turn: Callable[[], None]) -> None:
    """Go on until the role's stop file is there; what fails is written down and counted by the race."""
    random.seed()
    while not (FOLDER / f"stop-{role}").exists():
        try:
            turn()
        except Exception:  # noqa: BLE001  # whatever the product raises here is a fault of its own
            with (FOLDER / f"fault-{os.getpid()}").open("a") as fault:
                fault.write(traceback.format_exc())
            time.sleep(0.05)


def main() -> None:
    """Fork a worker per line of input."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        role = line.strip()
        pid = os.fork()
        if not pid:
            live(role, {"deliver": deliver, "write": write}[role])
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
