"""The race itself: starts the workers, kills them, lets the survivors finish, and counts what became of everything."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import connection

from alerts.channels.webhook import new_secret
from alerts.models import Alert, AlertEvent, Channel, Notification
from core.encryption import encrypt
from core.tests.listeners import Listener, Received, Reply

NURSERY = "alerts.tests.delivery_race.nursery"
CHANNEL = "race"
SPEED = 20.0
DRAIN_SECONDS = 180.0


@dataclass(frozen=True)
class Figures:
    """What the race came to. Everything called lost, torn, overtaken or faults has to be 0."""

    database: str
    kills: int
    kills_of_writers: int
    seconds: float
    transitions: int
    transitions_lost: int
    transitions_torn: int
    notifications: int
    notifications_lost: int
    duplicates: int
    duplicates_under_another_id: int
    overtaken: int
    still_waiting: int
    faults: int

    @property
    def broken(self) -> int:
        """How many promises were not kept."""
        lost = self.transitions_lost + self.transitions_torn + self.notifications_lost + self.still_waiting
        return lost + self.duplicates_under_another_id + self.overtaken + self.faults

    def __str__(self) -> str:
        return json.dumps(asdict(self), indent=2)


class Sink:
    """Receives the webhooks; is slow or in trouble now and then, so that kills hit deliveries under way."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.lock = threading.Lock()
        self.accepted: list[tuple[str, str, str]] = []

    def respond(self, request: Received) -> Reply:
        with self.lock:
            fate, seconds = self.chance.random(), self.chance.uniform(0, 0.03)
        if fate < 0.05:
            return Reply(503, seconds=seconds)
        if fate < 0.07:
            return Reply(429, headers={"Retry-After": "5"}, seconds=seconds)
        body = json.loads(request.body)
        with self.lock:
            self.accepted.append((request.headers["webhook-id"], body["groupKey"], body["state"]))
        return Reply(200, seconds=seconds)


class Fleet:
    """The nursery and its children."""

    def __init__(self, env: Mapping[str, str], folder: Path, begin: float) -> None:
        self.folder = folder
        self.children: dict[int, str] = {}
        self.process = subprocess.Popen(
            [sys.executable, "-m", NURSERY, str(folder), str(SPEED), str(begin)],
            cwd=settings.BASE_DIR, env=dict(env), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self._line() != "ready":
            self.close()
            raise RuntimeError("the nursery did not start")

    def spawn(self, role: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{role}\n")
        self.process.stdin.flush()
        self.children[int(self._line())] = role

    def kill_one(self, chance: random.Random) -> str:
        """Kill one worker with -9, and put another in its place."""
        pid = chance.choice(sorted(self.children))
        role = self.children.pop(pid)
        os.kill(pid, signal.SIGKILL)
        self.spawn(role)
        return role

    def stop(self, role: str) -> None:
        (self.folder / f"stop-{role}").touch()

    def close(self) -> None:
        for pid in self.children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(30)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def race(env: Mapping[str, str], folder: Path, *, kills: int, deliverers: int, writers: int, seed: int) -> Figures:
    """Run the whole race on the database of this process, which `env` names for the others."""
    chance, begun = random.Random(seed), time.monotonic()
    sink = Sink(random.Random(seed + 1))
    listener = Listener(sink.respond)
    listener.thread.start()
    _make_channel(listener.url)
    keys = ",".join(settings.ENCRYPTION_KEYS)
    allowed = {"OUTBOUND_ALLOWED_PRIVATE_CIDRS": "127.0.0.0/8", "OUTBOUND_ALLOWED_PORTS": str(listener.port)}
    fleet = Fleet({**env, **allowed, "ENCRYPTION_KEYS": keys, "LOG_LEVEL": "ERROR"}, folder, time.time())
    try:
        roles = _kill_at_random(fleet, chance, kills=kills, deliverers=deliverers, writers=writers)
        fleet.stop("write")
        _drain()
        fleet.stop("deliver")
        time.sleep(0.5)
    finally:
        fleet.close()
        listener.stop()
    return _counted(folder, sink, roles, time.monotonic() - begun)


def _make_channel(url: str) -> None:
    secret = encrypt(json.dumps({"secrets": [new_secret()]}))
    Channel.objects.create(
        name=CHANNEL,
        kind="webhook",
        config={"url": url},
        secret=secret,
        rate_per_minute=0,
        created_at=datetime.now(UTC),
    )


def _kill_at_random(fleet: Fleet, chance: random.Random, *, kills: int, deliverers: int, writers: int) -> Counter[str]:
    for role, count in (("deliver", deliverers), ("write", writers)):
        for _ in range(count):
            fleet.spawn(role)
    time.sleep(1)
    roles: Counter[str] = Counter()
    for _ in range(kills):
        time.sleep(chance.uniform(0.05, 0.6))
        roles[fleet.kill_one(chance)] += 1
    return roles


def _drain() -> None:
    until, quiet = time.monotonic() + DRAIN_SECONDS, 0
    # Writers may be in the middle of their last change.
    while time.monotonic() < until and quiet < 5:
        time.sleep(0.2)
        quiet = 0 if Notification.objects.filter(status="pending").exists() else quiet + 1
    connection.close()


def _counted(folder: Path, sink: Sink, roles: Counter[str], seconds: float) -> Figures:
    # A line that its writer was killed in has no end, and says nothing.
    noted = {line for path in folder.glob("committed-*") for line in path.read_text().split("\n")[:-1]}
    events = Counter(AlertEvent.objects.filter(alert__source="race").values_list("alert__name", flat=True))
    states = dict(Alert.objects.filter(source="race").values_list("name", "state"))
    rows = dict(Notification.objects.filter(channel__name=CHANNEL).values_list("dedup_key", "pk"))
    times = Counter(key for key, _, _ in sink.accepted)
    return Figures(
        database=connection.vendor,
        kills=sum(roles.values()),
        kills_of_writers=roles["write"],
        seconds=round(seconds, 1),
        transitions=sum(events.values()),
        transitions_lost=sum(not _is_kept(line, events, states) for line in noted),
        transitions_torn=_torn(states, events, set(rows)),
        notifications=len(rows),
        notifications_lost=_lost(set(times)),
        duplicates=sum(times.values()) - len(times),
        duplicates_under_another_id=_other_ids(sink),
        overtaken=_overtaken(sink),
        still_waiting=Notification.objects.filter(status="pending").count(),
        faults=sum(path.read_text().count("Traceback") for path in folder.glob("fault-*")),
    )


def _is_kept(line: str, events: Counter[str], states: Mapping[str, str]) -> bool:
    name, state = line.split(" ")
    return states.get(name) == "resolved" and events[name] == 2 if state == "resolved" else events[name] >= 1


def _torn(states: Mapping[str, str], events: Counter[str], keys: set[str]) -> int:
    """Count changes of state without their message, and messages without their change of state."""
    expected = {f"{name}:firing" for name in states}
    expected |= {f"{name}:resolved" for name, state in states.items() if state == "resolved"}
    uneven = [name for name, state in states.items() if events[name] != (2 if state == "resolved" else 1)]
    return len(expected ^ keys) + len(uneven)


def _lost(received: set[str]) -> int:
    """Count messages that neither arrived nor are told of in one that did."""
    lost = 0
    for row in Notification.objects.filter(channel__name=CHANNEL).select_related("superseded_by"):
        last = row.superseded_by or row
        lost += last.status != "sent" or str(last.pk) not in received
    return lost


def _other_ids(sink: Sink) -> int:
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, group, state in sink.accepted:
        ids[group, state].add(key)
    return sum(len(found) - 1 for found in ids.values())


def _overtaken(sink: Sink) -> int:
    """Count alerts whose end arrived before their beginning did for the first time."""
    first: dict[tuple[str, str], int] = {}
    for place, (_, group, state) in enumerate(sink.accepted):
        first.setdefault((group, state), place)
    return sum(
        first.get((group, "resolved"), place) < place for (group, state), place in first.items() if state == "firing"
    )
