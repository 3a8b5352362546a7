"""What tests of the ledger share: items, a sender, and rollups brought up to date on either engine."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection

from core.money import MoneySum
from costs import pricebook
from costs.choices import PriceVersionStatus
from costs.inputs import CostItem, Sender, Verdict
from costs.models import (
    CostEvent,
    EntityDayRollup,
    ModelHourRollup,
    PriceBook,
    PriceComponent,
    PriceVersion,
    Sku,
)
from costs.services import rollups

SENDER = Sender(source="key:0123456789abcdef0123456789abcdef")
AT = datetime(2026, 3, 18, 11, 30, tzinfo=UTC)


def item(number: int = 0, **values: Any) -> CostItem:
    """Return a valid item; equal numbers make equal items under the same key."""
    usual: dict[str, Any] = {
        "cost_type": "tool_usage",
        "entity_type": "agent",
        "entity_id": f"agent-{number % 5}",
        "amount": Decimal(number + 1) / 100,
        "occurred_at": AT,
        "idempotency_key": f"key-{number}",
    }
    return CostItem(**(usual | values))


def event_of(verdict: Verdict) -> CostEvent:
    """Return the event that a verdict names."""
    assert verdict.record_id is not None, verdict
    event: CostEvent = CostEvent.objects.get(id=verdict.record_id)
    return event


def fold_everything(now: datetime) -> None:
    """Fold until no event is left; other transactions of the same server may hold the horizon back for a while."""
    deadline = time.monotonic() + 120
    rollups.fold(now=now)
    while CostEvent.objects.unfolded().exists():
        assert time.monotonic() < deadline, "a transaction that does not end holds the fold back"
        time.sleep(0.05)
        rollups.fold(now=now)


def totals() -> dict[str, tuple[Decimal, int]]:
    """Return (exact sum, events) by the ledger and by both rollups."""
    return {
        "events": _total(CostEvent.objects),
        "entity_days": _total(EntityDayRollup.objects),
        "model_hours": _total(ModelHourRollup.objects),
    }


def days_of(start: date, count: int) -> list[date]:
    """Return `count` days from `start` on."""
    return [start + timedelta(days=offset) for offset in range(count)]


def is_postgresql() -> bool:
    """Say which engine the suite runs on."""
    return connection.vendor == "postgresql"


def _total(rows: Any) -> tuple[Decimal, int]:
    found = list(rows.order_by().values_list("event_count", "amount"))
    total: Decimal = rows.order_by().aggregate(total=MoneySum("amount"))["total"]
    return total, sum(count for count, _ in found)


def price_models() -> None:
    """Price openai/gpt-4o-mini: per million tokens 0.30 in and 1.20 out, from July 2026 half of it."""
    book = PriceBook.objects.create(name="prices of the ledger's tests", currency="USD")
    sku = Sku.objects.create(provider="openai", code="gpt-4o-mini", max_output_tokens=16_384)
    changed = datetime(2026, 7, 1, tzinfo=UTC)
    for prices, start, end in ((("0.30", "1.20"), None, changed), (("0.15", "0.60"), changed, None)):
        version = PriceVersion.objects.create(
            book=book, sku=sku, valid_from=start, valid_to=end, status=PriceVersionStatus.DRAFT, source="test",
            content_hash=prices[0], created_at=AT,
        )  # fmt: skip
        for meter, price in zip(("input_tokens", "output_tokens"), prices, strict=True):
            PriceComponent.objects.create(version=version, meter=meter, unit_price=Decimal(price))
        PriceVersion.objects.filter(pk=version.pk).update(status=PriceVersionStatus.APPROVED, approved_at=AT)
    pricebook.forget()
