"""One process of the race: `python -m costs.tests.budget_race.worker spend|sweep SECONDS NUMBER STOP_FILE`.

A spender goes on for so many seconds, and for `LEAST_TURNS` on a machine that is too busy for them; the sweeper goes
on until the stop file is there. Prints one JSON object of counts at the end. Every fault that the product should not
have is counted, none is retried.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import django

django.setup()

from django.db import OperationalError, connection  # noqa: E402  # after the set-up

from core.errors import Conflict  # noqa: E402
from core.money import ZERO, money, quantized  # noqa: E402
from costs.inputs import CostItem, Sender  # noqa: E402
from costs.models import BudgetPeriod  # noqa: E402
from costs.services import reservations, rollups  # noqa: E402
from costs.services.budgets import raise_budget  # noqa: E402
from costs.services.ingest import record_costs  # noqa: E402
from costs.services.reservations import Ask, BudgetExceeded, Held  # noqa: E402
from costs.tests.budget_race.field import AGENTS, MODELS  # noqa: E402

CLIENT = UUID("00000000-0000-4000-8000-0000000000aa")
SENDER = Sender(source=f"key:{CLIENT.hex}")
LEAST_TURNS = 60
TTL = timedelta(seconds=1)
SMALLEST = Decimal("0.000000000001")
LATE_AFTER = timedelta(seconds=1.6)


def clock() -> datetime:
    return datetime.now(UTC)


# Out of twenty calls.
FATES = {
    "settle": 9,
    "settle late": 3,
    "settle twice": 3,
    "send an event": 2,
    "lose": 1,
    "release": 1,
    "cost more": 1,
}


class Spender:
    """Reserves and settles as clients do, well or badly."""

    def __init__(self, number: int) -> None:
        self.chance = random.Random(number)
        self.number = number
        self.counts: Counter[str] = Counter()
        self.spent = ZERO
        self.late: list[tuple[datetime, Held, Decimal]] = []
        self.fates: list[str] = []

    def turn(self, turn: int) -> None:
        self.settle_late()
        if self.chance.random() < 0.15:
            self.ingest(turn)
            return
        # One in eight keys is used by every process, with the same content, at about the same time.
        shared = turn % 8 == 0
        name = f"shared-{int(time.time() * 4)}" if shared else f"{self.number}-{turn}"
        held = self.reserve(name)
        if held is not None and self.chance.random() < 0.1:
            again = self.reserve(name)
            self.counts["double_reserves"] += again is None or again.reservation.id != held.reservation.id
        if held is not None and held.created:
            self.go_on(held)

    def reserve(self, name: str) -> Held | None:
        chance = random.Random(name)
        entity_type, entity_id = chance.choice(AGENTS)
        ask = Ask(entity_type=entity_type, entity_id=entity_id, model=chance.choice(MODELS), amount=amount(chance))
        try:
            held = reservations.reserve(ask, client=CLIENT, key=name, now=clock(), ttl=TTL)
        except BudgetExceeded:
            self.counts["refused"] += 1
            return None
        self.counts["held" if held.created else "repeated_reserves"] += 1
        return held

    def go_on(self, held: Held) -> None:
        fate = self.fates.pop() if self.fates else self.shuffled()
        cost = max(SMALLEST, quantized(held.reservation.amount * self.chance.randint(1, 100) / 100))
        if fate == "lose":
            self.counts["lost"] += 1
        elif fate == "settle late":
            self.late.append((clock() + LATE_AFTER, held, cost))
        elif fate == "release":
            self.release(held)
        elif fate == "cost more":
            # The provider went beyond its own cap.
            self.settle(held, money(held.reservation.amount + cost))
            self.counts["dearer_than_reserved"] += 1
        elif fate == "send an event":
            self.settle_by_event(held, cost)
        else:
            self.settle(held, cost)
            if fate == "settle twice":
                self.settle(held, cost)

    def shuffled(self) -> str:
        """Deal every fate in its share, so that even a short race has all of them."""
        self.fates = [fate for fate, share in FATES.items() for _ in range(share)]
        self.chance.shuffle(self.fates)
        return self.fates.pop()

    def settle(self, held: Held, cost: Decimal) -> None:
        settled = reservations.settle(held.reservation.id, {"amount": cost}, client=CLIENT, now=clock())
        self.counts["repeated_settles" if settled.repeated else "settled"] += 1
        self.spent += ZERO if settled.repeated else cost

    def settle_late(self) -> None:
        due = [entry for entry in self.late if entry[0] <= clock()]
        for entry in due:
            self.late.remove(entry)
            self.settle(entry[1], entry[2])
            self.counts["settled_late"] += 1

    def release(self, held: Held) -> None:
        with contextlib.suppress(Conflict):
            reservations.release(held.reservation.id, client=CLIENT, now=clock())
            self.counts["released"] += 1

    def settle_by_event(self, held: Held, cost: Decimal) -> None:
        """Send the cost as an event that names the reservation, twice in one batch: the second is another spend."""
        entity = AGENTS[self.chance.randrange(3)]
        twice = [self.item(entity, MODELS[0], cost, reservation_id=held.reservation.id) for _ in range(2)]
        self.record(twice)
        self.counts["settled_by_event"] += 1

    def ingest(self, turn: int) -> None:
        """Record plain costs that nobody reserved, in a batch of several entities."""
        items = [
            self.item(agent, model, Decimal("0.000100000001"))
            for agent in AGENTS
            for model in self.chance.choices(MODELS)
        ]
        self.record(items)
        self.counts["ingested"] += len(items)

    def record(self, items: list[CostItem]) -> None:
        for verdict in record_costs(items, sender=SENDER, now=clock()):
            self.counts["not_recorded"] += verdict.status != "recorded"
            self.spent += verdict.amount or ZERO

    def item(self, entity: tuple[str, str], model: str, cost: Decimal, **more: Any) -> CostItem:
        return CostItem(
            cost_type="llm_api", entity_type=entity[0], entity_id=entity[1], model=model, amount=cost, **more
        )


def amount(chance: random.Random) -> Decimal:
    """Return something between 10^-12 and 0.2, all twelve decimals in use."""
    return Decimal(chance.randint(1, 2 * 10**11)).scaleb(-12)


def spend(seconds: float, number: int) -> Spender:
    spender = Spender(number)
    deadline = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < deadline or turn < LEAST_TURNS:
        turn += 1
        guarded(spender.counts, lambda number=turn: spender.turn(number))
    while spender.late:
        time.sleep(0.05)
        guarded(spender.counts, spender.settle_late)
    return spender


def sweep(stop: Path, counts: Counter[str]) -> None:
    """Expire, fold, raise and look: at no instant is more committed than the limits and recorded overruns allow."""
    while not stop.exists():
        guarded(counts, lambda: raise_one(counts))
        counts["expired"] += guarded(counts, lambda: reservations.expire_due(now=clock(), limit=20)) or 0
        guarded(counts, lambda: rollups.fold(now=clock()))
        for period in BudgetPeriod.objects.filter(budget__mode="hard"):
            counts["looks"] += 1
            counts["overspent"] += period.spent + period.reserved > period.limit + period.overrun
        time.sleep(0.02)


def raise_one(counts: Counter[str]) -> None:
    """Raise the hard budget that has least left."""
    periods = BudgetPeriod.objects.filter(budget__mode="hard")
    period = min(periods, key=lambda row: row.limit - row.spent - row.reserved)
    if period.limit - period.spent - period.reserved > Decimal("0.05"):
        return
    raise_budget(period.budget_id, period.limit + Decimal("0.75"), reason="the race goes on", now=clock())
    counts["raised"] += 1


def guarded(counts: Counter[str], work: Any) -> Any:
    try:
        return work()
    except OperationalError as error:
        counts["deadlocks" if "deadlock" in str(error) else "locked" if "locked" in str(error) else "faults"] += 1
        print(error, file=sys.stderr)
        return None


def main() -> None:
    role, seconds, number, stop = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    counts: Counter[str] = Counter()
    begun = time.process_time()
    if role == "sweep":
        sweep(stop, counts)
        spent = ZERO
    else:
        spender = spend(seconds, number)
        counts, spent = spender.counts, spender.spent
    connection.close()
    print(json.dumps({"spent": f"{spent:f}", "cpu": time.process_time() - begun, **counts}))


if __name__ == "__main__":
    main()
