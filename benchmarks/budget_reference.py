"""One hot hard budget: our reservation in one statement beside the habit of SELECT FOR UPDATE through the ORM.

The reference does the same work with the same guarantee: it looks for the key, the budgets that apply and their
periods, locks those in order, compares, and writes reservation, line and counter. Both run as several processes
against one budget for some seconds.

`python -m benchmarks.budget_reference client METHOD SECONDS NUMBER` is one such process (METHOD: statement or orm).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

if TYPE_CHECKING:
    from benchmarks.harness import Scratch

ENTITY = ("agent", "hot")
AMOUNT = Decimal("0.000100000001")
LIMIT = Decimal(1_000_000)
CLIENT = UUID("00000000-0000-4000-8000-0000000000bb")
SECONDS = float(os.environ.get("BENCH_SECONDS", "4"))


def reserve_by_orm(key: str, now: datetime) -> bool:
    """Reserve as most Django code would; False when there is no room."""
    from django.db import transaction
    from django.db.models import Q

    from core.money import ZERO
    from costs.models import Budget, BudgetPeriod, Entity, Reservation, ReservationLine

    with transaction.atomic():
        if Reservation.objects.filter(client=CLIENT, key=key).exists():
            return True
        entity = Entity.objects.get(entity_type=ENTITY[0], entity_id=ENTITY[1])
        applies = Q(entity__isnull=True) | Q(entity__descendant_links__descendant=entity)
        scope = {"cost_type__in": ["", "llm_api"], "provider__in": [""], "model__in": [""]}
        budgets = list(Budget.objects.filter(applies, active=True, archived_at__isnull=True, **scope))
        current = BudgetPeriod.objects.filter(budget__in=budgets, start_at__lte=now, end_at__gt=now)
        periods = list(current.select_for_update().order_by("id"))
        if any(period.limit - period.spent - period.reserved < AMOUNT for period in periods):
            return False
        reservation = Reservation.objects.create(
            client=CLIENT, key=key, content_hash=uuid4(), entity=entity, cost_type="llm_api", amount=AMOUNT,
            currency="USD", overrun=ZERO, created_at=now, expires_at=now + timedelta(minutes=15),
        )  # fmt: skip
        for period in periods:
            ReservationLine.objects.create(reservation=reservation, period=period, amount=AMOUNT)
            period.reserved += AMOUNT
            period.save(update_fields=["reserved"])
    return True


def reserve_by_statement(key: str, now: datetime) -> bool:
    """Reserve as the product does."""
    from costs.services.reservations import Ask, BudgetExceeded, reserve

    try:
        reserve(Ask(entity_type=ENTITY[0], entity_id=ENTITY[1], amount=AMOUNT), client=CLIENT, key=key, now=now)
    except BudgetExceeded:
        return False
    return True


def lay_out() -> None:
    """Make the budget; run once on an empty database."""
    from costs.services.budgets import BudgetTerms, create_budget

    terms = BudgetTerms(name="hot", amount=LIMIT, entity_type=ENTITY[0], entity_id=ENTITY[1], mode="hard")
    create_budget(terms, now=datetime.now(UTC))


def client(method: str, seconds: float, number: int) -> None:
    """Reserve for some seconds, starting on the next full second like the other processes; print the counts."""
    reserve: Callable[[str, datetime], bool] = reserve_by_orm if method == "orm" else reserve_by_statement
    run = uuid4().hex[:8]
    for warm in range(10):
        reserve(f"{run}-warm-{number}-{warm}", datetime.now(UTC))
    waits: list[float] = []
    cpu = time.process_time()
    deadline = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < deadline:
        reserve(f"{run}-{number}-{len(waits)}", datetime.now(UTC))
        waits.append(time.perf_counter() - begun)
    waits.sort()
    print(json.dumps({"count": len(waits), "cpu": time.process_time() - cpu, "p50": waits[len(waits) // 2] * 1e3,
                      "p99": waits[int(len(waits) * 0.99)] * 1e3}))  # fmt: skip


def rate(base: Scratch, method: str, processes: int, seconds: float = SECONDS) -> tuple[float, float, float]:
    """Return reservations per second over all processes, and the worst process's p50 and p99 in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.budget_reference", "client", method, str(seconds)]
    started = [
        subprocess.Popen([*command, str(number)], env=base.environment, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for number in range(processes)
    ]
    results = [json.loads(process.communicate()[0]) for process in started]
    total = sum(result["count"] for result in results)
    return total / seconds, max(result["p50"] for result in results), max(result["p99"] for result in results)


def exact(base: Scratch) -> bool:
    """Say whether `reserved` is the sum of the lines, to the last digit."""
    code = (
        "import django; django.setup(); from core.money import MoneySum;"
        " from costs.models import BudgetPeriod, ReservationLine;"
        " print(BudgetPeriod.objects.get().reserved == ReservationLine.objects.aggregate(t=MoneySum('amount'))['t'])"
    )
    return _python(base, code) == "True"


def _python(base: Scratch, code: str) -> str:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], env=base.environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def prepare(base: Scratch) -> None:
    """Make the hot budget in an empty scratch database."""
    _python(base, "import django; django.setup(); from benchmarks import budget_reference as b; b.lay_out()")


if __name__ == "__main__":
    import django

    django.setup()
    client(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
