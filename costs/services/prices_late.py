"""Costs that were recorded before their price was known: priced as soon as it is, as of the instant they occurred."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from core.ports.conditions import Condition, clear_condition, raise_condition
from costs import pricebook
from costs.choices import EventClass, PriceStatus, QueueStatus
from costs.models import CostEvent, UnpricedModel
from costs.pricing import PriceTable
from costs.services.prices_repricing import CHUNK, Repriced, book, hold_prices, is_reversed, priced

REASON = "priced late"
# A name seen in one event may be a slip; one that keeps coming is money nobody sees.
GRACE = timedelta(minutes=10)


def resolve_unpriced(*, now: datetime, limit: int = 5000) -> int:
    """Price up to `limit` events that had no price and have one now, and return how many; twice at once is once.

    Each gets an adjustment with its whole amount. A model leaves the queue when none of its events is left without a
    price; while models are on it, a condition is raised.
    """
    table = pricebook.current_table()
    done = 0
    for entry in UnpricedModel.objects.filter(status=QueueStatus.OPEN).order_by("id"):
        if done >= limit:
            break
        if table.resolve(entry.provider, entry.model).sku is None:
            continue
        done += _resolve(entry, limit - done, now)
        if not _pending(entry).exists():
            _close(entry, now)
    _tell(now)
    return done


def _resolve(entry: UnpricedModel, limit: int, now: datetime) -> int:
    done = 0
    for events in _portions(entry):
        with transaction.atomic():
            table = hold_prices()
            # Looked up again under the lock: another worker may have priced them meanwhile.
            ids = [event.id for event in events]
            open_ids = set(_pending(entry).filter(id__in=ids).values_list("id", flat=True))
            items = [_item(event, table) for event in events if event.id in open_ids]
            answered = [item for item in items if item.found.amount is not None][: limit - done]
            done += book(answered, now=now, reason=REASON, answers="price")
        if done >= limit:
            break
    return done


def _item(event: CostEvent, table: PriceTable) -> Repriced:
    return Repriced(event, {}, priced(event, table))


def _pending(entry: UnpricedModel) -> QuerySet[CostEvent]:
    answered = CostEvent.objects.filter(adjusts=OuterRef("id"), unpriced_count=-1)
    return CostEvent.objects.filter(
        ~Exists(answered),
        ~is_reversed(),
        price_status=PriceStatus.UNPRICED,
        event_class=EventClass.USAGE,
        provider=entry.provider,
        model=entry.model,
    )


def _portions(entry: UnpricedModel) -> Iterator[list[CostEvent]]:
    portion = list(_pending(entry).order_by("id")[:CHUNK])
    while portion:
        yield portion
        portion = list(_pending(entry).filter(id__gt=portion[-1].id).order_by("id")[:CHUNK])


def _close(entry: UnpricedModel, now: datetime) -> None:
    """Take a model off the queue, unless it was used again since it was read."""
    UnpricedModel.objects.filter(pk=entry.pk, status=QueueStatus.OPEN, event_count=entry.event_count).update(
        status=QueueStatus.RESOLVED, resolved_at=now
    )


@transaction.atomic
def _tell(now: datetime) -> None:
    waiting = UnpricedModel.objects.filter(Q(first_seen_at__lte=now - GRACE), status=QueueStatus.OPEN)
    names = [str(entry) for entry in waiting.order_by("-event_count", "id")[:3]]
    condition = Condition(
        source="costs.prices",
        key="unpriced",
        severity="medium",
        summary=f"Models are used that have no price: {', '.join(names)}" if names else "Every model used has a price",
        labels={"models": str(waiting.count())},
    )
    if names:
        raise_condition(condition, now=now)
    else:
        clear_condition(condition, now=now)
