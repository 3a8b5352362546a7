"""Pricing again what the price book priced: a difference is shown first, and booked as an event of its own, once.

An event is always priced as of the instant it occurred, never as of now. What a sender reported is never repriced,
and neither is an event that somebody has corrected.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from core import audit
from core.errors import Conflict, Invalid
from core.money import CONTEXT, ZERO, MoneySum
from costs import pricebook
from costs.choices import EventClass, PriceStatus
from costs.models import CostEvent, PriceEpoch
from costs.pricing import PriceResult, PriceTable, PricingInputError, Quantity
from costs.services.corrections import SOURCE, Adjustment, Question, write_adjustments
from costs.services.fx import rates_for

CHUNK = 500
_OURS = (PriceStatus.PRICED, PriceStatus.PARTIAL, PriceStatus.UNPRICED)
Sums = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class RepriceScope:
    """Which events: those that occurred in [start, end), of all providers and models or of one."""

    start: datetime
    end: datetime
    provider: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """What the changed events of one model have come to, and what they come to by the price book as it is."""

    provider: str
    model: str
    currency: str
    event_count: int
    old: Decimal
    new: Decimal

    @property
    def difference(self) -> Decimal:
        """Return how much more (or less) the new price is."""
        return CONTEXT.subtract(self.new, self.old)


@dataclass(frozen=True, slots=True)
class RepriceReport:
    """What a reprice would change, or has changed. `token` stands for exactly these changes."""

    event_count: int
    changed_count: int
    differences: tuple[ModelDifference, ...]
    token: str
    written_count: int = 0


@dataclass(frozen=True, slots=True)
class Repriced:
    """An event, what it has come to by currency, and its price now. `bookings` is how often it was priced again."""

    event: CostEvent
    old: Sums
    found: PriceResult
    bookings: int = 0

    def differences(self) -> Sums:
        """Return what has to be booked, by currency; a first price is booked even when it is nought."""
        new = {self.found.currency: self.found.amount or ZERO}
        sums = {code: CONTEXT.subtract(new.get(code, ZERO), self.old.get(code, ZERO)) for code in {**self.old, **new}}
        return {code: amount for code, amount in sorted(sums.items()) if amount or not self.old}


def reprice(scope: RepriceScope, *, now: datetime, dry_run: bool, reason: str = "", token: str = "") -> RepriceReport:
    """Say what pricing again would change, and unless `dry_run` book the differences, in portions that stand alone.

    Running it twice, or twice at once, books every difference once. With the `token` of a dry run only those very
    changes are made. Raises Invalid for an empty range or a missing reason, Conflict when something else would change.
    """
    if scope.end <= scope.start:
        raise Invalid("the range of a reprice ends after it begins", code="empty_range")
    if not dry_run and not reason.strip():
        raise Invalid("say why the costs are priced again", code="reason_required")
    report = _summarised(scope)
    if token and token != report.token:
        raise Conflict("the costs or the prices have changed since the preview: look at it again", code="stale_preview")
    if dry_run or not report.changed_count:
        return report
    return _book(scope, report, now, reason)


def _summarised(scope: RepriceScope) -> RepriceReport:
    table = pricebook.compile_table()
    old: dict[tuple[str, str, str], Decimal] = defaultdict(lambda: ZERO)
    new: dict[tuple[str, str, str], Decimal] = defaultdict(lambda: ZERO)
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    seen, looked, changed = hashlib.sha256(), 0, 0
    for events in _portions(scope):
        looked += len(events)
        for item in _changed(events, table):
            changed += 1
            seen.update(f"{item.event.id} {sorted(item.old.items())} {item.found.amount}\n".encode())
            name = (item.event.provider, item.event.model)
            for code, amount in item.old.items():
                old[*name, code] = CONTEXT.add(old[*name, code], amount)
            key = (*name, item.found.currency)
            new[key] = CONTEXT.add(new[key], item.found.amount or ZERO)
            counts[key] += 1
    rows = (ModelDifference(*key, counts[key], old[key], new[key]) for key in sorted({*old, *new}))
    return RepriceReport(looked, changed, tuple(rows), seen.hexdigest())


def _book(scope: RepriceScope, report: RepriceReport, now: datetime, reason: str) -> RepriceReport:
    written = 0
    for events in _portions(scope):
        with transaction.atomic():
            written += book(_changed(events, hold_prices()), now=now, reason=reason)
    audit.record(
        "prices.repriced",
        ("costs.costevent", ""),
        now=now,
        after={
            "start": scope.start,
            "end": scope.end,
            "provider": scope.provider,
            "model": scope.model,
            "events": report.changed_count,
            "written": written,
            "differences": {f"{row.provider}/{row.model} {row.currency}": row.difference for row in report.differences},
        },
        reason=reason,
    )
    return replace(report, written_count=written)


def hold_prices() -> PriceTable:
    """Keep the price book as it is, and other repricing away, until the caller's transaction ends."""
    PriceEpoch.objects.get_or_create(pk=1)
    PriceEpoch.objects.select_for_update().get(pk=1)
    return pricebook.current_table()


def _portions(scope: RepriceScope) -> Iterator[list[CostEvent]]:
    """Yield the events of a scope that the price book priced, in the order of time, some hundred at once."""
    events = CostEvent.objects.filter(
        ~is_reversed(),
        occurred_at__gte=scope.start,
        occurred_at__lt=scope.end,
        price_status__in=_OURS,
        event_class=EventClass.USAGE,
    )
    if scope.provider:
        events = events.filter(provider=scope.provider)
    if scope.model:
        events = events.filter(model=scope.model)
    portion = list(events.order_by("occurred_at", "id")[:CHUNK])
    while portion:
        yield portion
        portion = list(_after(events, portion[-1]).order_by("occurred_at", "id")[:CHUNK])


def _after(events: QuerySet[CostEvent], last: CostEvent) -> QuerySet[CostEvent]:
    return events.filter(Q(occurred_at__gt=last.occurred_at) | Q(occurred_at=last.occurred_at, id__gt=last.id))


def is_reversed() -> Exists:
    """Return the condition that somebody has put another event in an event's place."""
    return Exists(CostEvent.objects.filter(adjusts=OuterRef("id"), event_class=EventClass.REVERSAL))


def _changed(events: Sequence[CostEvent], table: PriceTable) -> Iterator[Repriced]:
    booked = _booked([event.id for event in events])
    for event in events:
        bookings = booked.get(event.id, ())
        if event.amount is None and not bookings:
            # Without a price so far: that is for late pricing, which also takes it off the queue.
            continue
        old: Sums = {} if event.amount is None else {event.currency: event.amount}
        for currency, total, _ in bookings:
            old[currency] = CONTEXT.add(old.get(currency, ZERO), total)
        found = priced(event, table)
        item = Repriced(event, old, found, sum(count for _, _, count in bookings))
        if found.amount is not None and item.differences():
            yield item


def _booked(ids: Sequence[UUID]) -> Mapping[UUID, list[tuple[str, Decimal, int]]]:
    """Return what pricing later has booked on these events so far: (currency, sum, number of bookings)."""
    rows = (
        CostEvent.objects.filter(adjusts__in=ids, source=SOURCE, idempotency_key__startswith="reprice:")
        .order_by()
        .values_list("adjusts", "currency")
        .annotate(total=MoneySum("amount"), bookings=Count("id"))
    )
    found: dict[UUID, list[tuple[str, Decimal, int]]] = defaultdict(list)
    for adjusts, currency, total, bookings in rows:
        found[adjusts].append((currency, total, bookings))
    return found


def priced(event: CostEvent, table: PriceTable) -> PriceResult:
    """Return the price of a recorded event as of the instant it occurred."""
    quantities: dict[str, Quantity] = {
        meter: count if isinstance(count, int) else Decimal(str(count)) for meter, count in event.quantities.items()
    }
    try:
        return table.price(
            provider=event.provider,
            model=event.model,
            service_tier=event.service_tier,
            region=event.region,
            at=event.occurred_at,
            quantities=quantities,
        )
    except PricingInputError as error:
        return PriceResult("unpriced", reason=str(error))


def book(items: Iterable[Repriced], *, now: datetime, reason: str, answers: Question = "") -> int:
    """Book what these events differ by and return how many were booked; in the caller's transaction, prices held."""
    rows = [(item, code, amount) for item in items for code, amount in item.differences().items()]
    if not rows:
        return 0
    days = [item.event.occurred_at.date() for item, _, _ in rows]
    rates = rates_for({code for _, code, _ in rows}, settings.BASE_CURRENCY, min(days), max(days))
    adjustments = []
    for (item, code, amount), day in zip(rows, days, strict=True):
        quote = None if code == settings.BASE_CURRENCY else rates.quote(code, settings.BASE_CURRENCY, day)
        converted = None if quote is None else quote.convert(amount)
        adjustments.append(
            Adjustment(
                original=item.event,
                key=_key(item, code),
                amount=amount,
                base_amount=amount if code == settings.BASE_CURRENCY else converted,
                answers=answers if code == item.found.currency else "",
                currency=code,
                price_version=item.found.version_id,
                fx_rate=None if quote is None else quote.rate_id,
                breakdown=item.found.breakdown if code == item.found.currency else {},
                reason=reason,
            )
        )
    return len(write_adjustments(adjustments, now=now))


def _key(item: Repriced, currency: str) -> str:
    """Return what makes this booking happen once: a price that comes back later is another booking."""
    again = f":{item.bookings}" if item.bookings else ""
    moved = f":{currency}" if currency != item.found.currency else ""
    return f"reprice:{item.event.id}:{item.found.version_id}{again}{moved}"
