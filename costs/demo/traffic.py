"""What the invented fleet would have sent, day by day: growth, working weeks, cached tokens, retries, one runaway.

The same seed and the same last day give the same items, to the last digit.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from costs.demo.fleet import ANOMALY_DAYS_AGO, ANOMALY_FACTOR, ANOMALY_WORKER, WORKERS, ModelUse, ToolUse, Worker
from costs.inputs import CostItem, FieldError, Rejected

SEED = "a fleet of agents"
STORAGE_PER_DAY = Decimal("3.2")
RETRY_RATIO = 0.03
# How busy each hour of a working day is, midnight first.
HOURS = (1, 1, 1, 1, 2, 3, 6, 12, 20, 26, 28, 27, 22, 25, 28, 27, 23, 16, 10, 7, 5, 4, 2, 1)
CUSTOMERS = ("aurora-foods", "blue-harbour", "cedar-logistics", "delta-clinics", "elm-insurance")
VARIANTS = ("current", "candidate")


def days_of(today: date, count: int) -> list[date]:
    """Return the last `count` days, today included, in order."""
    return [today - timedelta(days=back) for back in range(count - 1, -1, -1)]


def items_of(day: date, *, today: date, count: int, now: datetime, zone: ZoneInfo) -> Iterator[CostItem | Rejected]:
    """Yield what the fleet sent on one day, nothing of it after `now`; `count` is the number of days in all."""
    dice = random.Random(f"{SEED} {day.isoformat()}")  # noqa: S311  # invented data
    age = (today - day).days
    for worker in WORKERS:
        for number in range(_runs(worker, day, age, count, dice)):
            run = f"demo:{worker.key}:{day.isoformat()}:{number}"
            for item in _run(worker, run, _instant(day, zone, dice), dice):
                if item.occurred_at is not None and item.occurred_at <= now:
                    yield item
    yield from _storage(day, now, zone)
    if age == 0:
        yield rejected_item()


def rejected_item() -> Rejected:
    """Return the one item that its sender got wrong: an amount with a decimal comma."""
    payload = {
        "cost_type": "tool_usage", "entity_type": "agent", "entity_id": "demo-europe-voice", "amount": "12,50",
        "currency": "EUR", "provider": "telephony", "idempotency_key": "demo-rejected",
    }  # fmt: skip
    detail = "a decimal number has a point, not a comma"
    return Rejected(payload=payload, errors=(FieldError("/amount", "invalid", detail),))


def _runs(worker: Worker, day: date, age: int, count: int, dice: random.Random) -> int:
    growth = (1 + worker.growth) ** (count - age)
    weekday = worker.weekend if day.weekday() >= 5 else 1.0 + 0.08 * (2 - abs(day.weekday() - 2))
    runaway = ANOMALY_FACTOR if worker.key == ANOMALY_WORKER and age == ANOMALY_DAYS_AGO else 1
    return max(0, round(worker.runs * 0.7 * growth * weekday * runaway * dice.lognormvariate(0, 0.12)))


def _run(worker: Worker, run: str, at: datetime, dice: random.Random) -> Iterator[CostItem]:
    """Yield the costs of one run: a model call, sometimes repeated, and the tools it used."""
    shared = _shared(worker, run, dice)
    use = dice.choices(worker.models, weights=[model.share for model in worker.models])[0]
    call = _call(use, dice)
    attempts = 2 if dice.random() < RETRY_RATIO else 1
    costs = [_with(shared, call, f"model{attempt}", retry=attempt > 0) for attempt in range(attempts)]
    costs += [_with(shared, _tool(tool, dice), tool.provider) for tool in worker.tools if dice.random() < tool.rate]
    for place, values in enumerate(costs):
        yield CostItem(occurred_at=at + timedelta(seconds=7 * place), **values)


def _instant(day: date, zone: ZoneInfo, dice: random.Random) -> datetime:
    hour = dice.choices(range(24), weights=HOURS)[0]
    local = datetime.combine(day, time(hour, dice.randrange(60), dice.randrange(60)), tzinfo=zone)
    return local.astimezone(ZoneInfo("UTC"))


def _shared(worker: Worker, run: str, dice: random.Random) -> dict[str, Any]:
    tags = dict(worker.tags) | {
        "team": worker.team.removeprefix("demo-"),
        "environment": "production" if dice.random() < 0.85 else "staging",
        "customer": dice.choice(CUSTOMERS),
    }
    if worker.key == "demo-support-chat":
        tags |= {"experiment": "support-chat-model", "variant": dice.choice(VARIANTS)}
    trace = f"{dice.getrandbits(128):032x}"
    return {
        "entity_type": worker.entity_type, "entity_id": worker.key, "tags": tags, "trace_id": trace,
        "session_id": run, "idempotency_key": run,
    }  # fmt: skip


def _with(shared: dict[str, Any], values: dict[str, Any], suffix: str, *, retry: bool = False) -> dict[str, Any]:
    tags = shared["tags"] | {"retry": "1"} if retry else shared["tags"]
    return shared | values | {"tags": tags, "idempotency_key": f"{shared['idempotency_key']}:{suffix}"}


def _call(use: ModelUse, dice: random.Random) -> dict[str, Any]:
    size = dice.lognormvariate(0, 0.35)
    input_tokens = max(1, int(use.input_tokens * 1000 * size))
    values: dict[str, Any] = {
        "cost_type": use.cost_type, "provider": use.provider, "model": use.model, "service_tier": use.tier,
        "input_tokens": input_tokens,
    }  # fmt: skip
    if use.output_tokens:
        values["output_tokens"] = max(1, int(use.output_tokens * 1000 * size * dice.uniform(0.6, 1.3)))
    if use.cached:
        values["cache_read_tokens"] = int(input_tokens * use.cached * dice.uniform(0.5, 1.1))
    return values


def _tool(tool: ToolUse, dice: random.Random) -> dict[str, Any]:
    units = Decimal(dice.randrange(1, 9))
    return {
        "cost_type": tool.cost_type, "provider": tool.provider, "amount": tool.amount * units,
        "currency": tool.currency, "quantities": {tool.meter: units},
    }  # fmt: skip


def _storage(day: date, now: datetime, zone: ZoneInfo) -> Iterator[CostItem]:
    at = datetime.combine(day, time(3), tzinfo=zone).astimezone(ZoneInfo("UTC"))
    if at <= now:
        yield CostItem(
            cost_type="storage", entity_type="workflow", entity_id="demo-nightly-index", provider="object-store",
            amount=STORAGE_PER_DAY, currency="USD", occurred_at=at, quantities={"gb_days": Decimal(140)},
            tags={"team": "data", "feature": "search"}, idempotency_key=f"demo:storage:{day.isoformat()}",
        )  # fmt: skip
