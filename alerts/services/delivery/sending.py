"""Sends a batch: several channels at once, none of them over more than a few connections, outside any transaction."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import connections
from django.db.models import Exists, OuterRef

from alerts.channels import Delivery, Outcome, Target, send, target_of_channel, target_of_contact
from alerts.choices import NotificationStatus
from alerts.messages import Message
from alerts.models import ContactMethod, Notification
from alerts.services.delivery.claiming import Batch, same_lane
from core.encryption import Undecryptable

LANES_PER_CHANNEL = 4
LANES = 16
# No attempt begins when less than this is left of the lease: one takes 15 seconds at most, and its result is written.
LAST_START = timedelta(seconds=25)
SETTLE_EVERY = 0.05
COMBINED = "It began and was over before this could be delivered: there was no earlier message about it."
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one row. Without an outcome it was not tried for lack of time, and is given back."""

    row: Notification
    outcome: Outcome | None
    at: datetime
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class _Parcel:
    row: Notification
    target: Target
    message: Message


def send_all(batch: Batch, clock: Clock) -> Iterator[list[Result]]:
    """Try every row once; yield the results as they come in, many at a time when they come in fast."""
    parcels, broken = _packed(batch, clock())
    if broken:
        yield broken
    results: queue.SimpleQueue[Result] = queue.SimpleQueue()
    waiting = _lanes(parcels)
    threads = [
        threading.Thread(target=_work, args=(waiting, batch, clock, results), name=f"deliver-{number}", daemon=True)
        for number in range(min(LANES, sum(len(lane) for lane in waiting)))
    ]
    for thread in threads:
        thread.start()
    missing = len(parcels)
    while missing:
        found = _gathered(results, missing)
        missing -= len(found)
        yield found
    for thread in threads:
        thread.join()


def _packed(batch: Batch, at: datetime) -> tuple[list[_Parcel], list[Result]]:
    """Read whatever sending needs of the database, once for the whole batch."""
    targets, failures = _targets(batch)
    combined = _combined(batch.rows)
    parcels, broken = [], []
    for row in batch.rows:
        target = row.channel_id or row.contact_id
        if target in failures:
            broken.append(Result(row, Outcome("retry", failures[target]), at))
            continue
        message = Message.from_json(row.payload)
        note = COMBINED if row.pk in combined else message.note
        parcels.append(_Parcel(row, targets[target], replace(message, note=note)))
    return parcels, broken


def _targets(batch: Batch) -> tuple[dict[Any, Target], dict[Any, str]]:
    found: dict[Any, Target] = {}
    failures: dict[Any, str] = {}
    contacts = ContactMethod.objects.in_bulk({row.contact_id for row in batch.rows if row.contact_id})
    for contact in contacts.values():
        found[contact.pk] = target_of_contact(contact)
    for channel in batch.channels.values():
        try:
            found[channel.pk] = target_of_channel(channel)
        except Undecryptable as error:
            failures[channel.pk] = str(error)
    return found, failures


def _combined(rows: list[Notification]) -> set[Any]:
    """Return those that end something of which nothing was ever told: the earlier messages were still waiting."""
    closing = [row.pk for row in rows if row.closes]
    if not closing:
        return set()
    told = same_lane().filter(status=NotificationStatus.SENT, id__lt=OuterRef("id"))
    stale = same_lane().filter(status=NotificationStatus.SUPERSEDED, id__lt=OuterRef("id"))
    found = Notification.objects.filter(Exists(stale), ~Exists(told), pk__in=closing)
    return set(found.values_list("pk", flat=True))


class _Lane(deque[_Parcel]):
    """What waits for one target, and how many threads are at it."""

    workers = 0


def _lanes(parcels: list[_Parcel]) -> list[_Lane]:
    lanes: dict[Any, _Lane] = defaultdict(_Lane)
    for parcel in parcels:
        lanes[parcel.row.channel_id or ("contact", parcel.row.contact_id)].append(parcel)
    return list(lanes.values())


_choosing = threading.Lock()


def _next(waiting: list[_Lane], last: _Lane | None) -> tuple[_Lane, _Parcel] | None:
    """Take the next parcel of the target that fewest threads are at, leaving the lane of the one before."""
    with _choosing:
        if last is not None:
            last.workers -= 1
        open_lanes = [lane for lane in waiting if lane and lane.workers < LANES_PER_CHANNEL]
        if not open_lanes:
            return None
        lane = min(open_lanes, key=lambda candidate: candidate.workers)
        lane.workers += 1
        return lane, lane.popleft()


def _work(waiting: list[_Lane], batch: Batch, clock: Clock, results: queue.SimpleQueue[Result]) -> None:
    lane: _Lane | None = None
    try:
        while taken := _next(waiting, lane):
            lane, parcel = taken
            results.put(_tried(parcel, batch, clock))
    finally:
        # A sender that looked something up all the same leaves no connection behind.
        connections.close_all()


def _tried(parcel: _Parcel, batch: Batch, clock: Clock) -> Result:
    row, at = parcel.row, clock()
    if batch.until is not None and batch.until - at < LAST_START:
        return Result(row, None, at)
    begun = time.monotonic()
    delivery = Delivery(str(row.pk), parcel.message, at, thread=thread_of(row), kind=row.kind)
    outcome = send(parcel.target, delivery)
    return Result(row, outcome, at, round((time.monotonic() - begun) * 1000))


def thread_of(row: Notification) -> str:
    """Return the name of what the message belongs to: an order key, an incident or a group."""
    if row.order_key:
        return row.order_key
    if row.incident_id:
        return f"incident:{row.incident_id}"
    return f"group:{row.group_id}" if row.group_id else ""


def _gathered(results: queue.SimpleQueue[Result], most: int) -> list[Result]:
    """Wait for a result, and for a moment more: results that come together are written together."""
    found = [results.get()]
    until = time.monotonic() + SETTLE_EVERY
    while len(found) < most:
        try:
            found.append(results.get(timeout=max(0.0, until - time.monotonic())))
        except queue.Empty:
            break
    return found
