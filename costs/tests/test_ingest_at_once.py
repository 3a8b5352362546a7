"""Batches whose entities and months this process knows: PostgreSQL writes them while they are still being judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from costs.inputs import CostItem, Rejected
from costs.models import CostEvent, Entity, EventKey, IngestReject
from costs.services.fx import record_rate
from costs.services.ingest import postgresql, record, record_costs
from costs.tests.ledger_case import AT, SENDER, item

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def known(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let five entities and the month be known, and refuse the way that is for unknown ones."""
    record_costs([item(n) for n in range(1000, 1005)], sender=SENDER, now=now)
    if connection.vendor == "postgresql":
        monkeypatch.setattr(record, "_write", _refuse)


def _refuse(*_: object, **__: object) -> None:
    raise AssertionError("everything about this batch was known")


def statuses(items: Sequence[CostItem | Rejected], now: datetime) -> list[str]:
    return [verdict.status for verdict in record_costs(items, sender=SENDER, now=now)]


def test_record_costs__more_than_is_sent_at_a_time__all_are_written_once(now: datetime) -> None:
    count = 2 * postgresql.PART + 1

    verdicts = record_costs([item(n) for n in range(count)], sender=SENDER, now=now)

    events = dict(CostEvent.objects.values_list("id", "amount"))
    assert len(events) == EventKey.objects.count() == count + 5
    assert [events[verdict.record_id] for verdict in verdicts if verdict.record_id] == [
        Decimal(n + 1) / 100 for n in range(count)
    ]
    assert [verdict.record_id for verdict in verdicts] == sorted(events)[5:]


def test_record_costs__bad_and_repeated_items_among_good_ones__lose_none(now: datetime) -> None:
    batch = [item(1), item(2, amount=Decimal(-1)), item(1), item(1, amount=Decimal(9)), item(3, idempotency_key=None)]

    assert statuses(batch, now) == ["recorded", "rejected", "duplicate", "conflict", "recorded"]
    assert CostEvent.objects.count() == 7
    assert sorted(IngestReject.objects.values_list("kind", flat=True)) == ["conflict", "invalid"]


@pytest.mark.parametrize("first", [item(1000), item(2)])
def test_record_costs__key_known_from_before__is_found_by_beginning_again(now: datetime, first: CostItem) -> None:
    batch = [first, item(1001, amount=Decimal(7)), item(3), item(3), item(4, amount=Decimal(-1))]
    known = first.idempotency_key == item(1000).idempotency_key

    found = statuses(batch, now)

    assert found == ["duplicate" if known else "recorded", "conflict", "recorded", "duplicate", "rejected"]
    assert CostEvent.objects.count() == EventKey.objects.count() == (6 if known else 7)
    assert sorted(IngestReject.objects.values_list("kind", flat=True)) == ["conflict", "invalid"]


def test_record_costs__another_currency_among_the_organisations__is_converted(now: datetime) -> None:
    record_rate(
        base="EUR",
        quote=settings.BASE_CURRENCY,
        rate=Decimal("1.25"),
        as_of_date=AT.date(),
        source="test",
        now=now,
    )
    batch = [item(1, currency="EUR", amount=Decimal(2)), item(2), item(3, currency="JPY", amount=Decimal(5))]

    assert statuses(batch, now) == ["recorded"] * 3
    found = CostEvent.objects.order_by("idempotency_key").values_list("currency", "amount", "base_amount")
    assert [row for row in found if row[0] != "USD"] == [("EUR", 2, Decimal("2.5")), ("JPY", 5, None)]


@pytest.mark.parametrize(
    "values",
    [
        {"occurred_at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))},
        {"occurred_at": datetime(9999, 12, 31, 23, tzinfo=timezone(-timedelta(hours=12)))},
        {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001  # what a careless sender says
        {"entity_id": "never\x00seen"},
    ],
)
def test_record_costs__senseless_item_among_known_ones__is_rejected_alone(
    now: datetime, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()

    assert statuses([item(1), item(2, **values)], now) == ["recorded", "rejected"]
    assert Entity.objects.count() == 5


def test_record_costs__failure_in_the_middle__leaves_nothing(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(record, "keep_rejects", fail)

    with pytest.raises(RuntimeError):
        record_costs([item(1), item(2, amount=Decimal(-1))], sender=SENDER, now=now)

    assert CostEvent.objects.count() == EventKey.objects.count() == 5
    assert connection.is_usable()
    assert statuses([item(1), item(5)], now.astimezone(UTC)) == ["recorded", "recorded"]
