"""The price book of this process: approved prices compiled once, and again when the book has changed."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import time as TimeOfDay  # noqa: N812  # the module `time` is used too
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from costs.choices import PriceVersionStatus
from costs.models import PriceBook, PriceComponent, PriceEpoch, PriceVersion, Sku, SkuAlias
from costs.pricing import Alias, Book, Component, PriceTable, SkuEntry, Tier, Version

LOOK_EVERY_SECONDS = 1.0

_lock = threading.Lock()
_table: PriceTable | None = None
_looked_at = 0.0


def current_table() -> PriceTable:
    """Return the compiled price book, about a second behind what is approved; compiles when it has changed."""
    table = _table
    if table is not None:
        if time.monotonic() - _looked_at < LOOK_EVERY_SECONDS:
            return table
        # One thread looks; the others go on with what there is instead of waiting for it to compile.
        if not _lock.acquire(blocking=False):
            return table
        try:
            return _look()
        finally:
            _lock.release()
    with _lock:
        return _look()


def _look() -> PriceTable:
    global _table, _looked_at  # noqa: PLW0603  # one table per process is the point
    table = _table
    if table is None or table.epoch != _epoch():
        table = _table = compile_table()
    _looked_at = time.monotonic()
    return table


def forget() -> None:
    """Look at the database at the next call: after a change in this process, and between tests."""
    global _table, _looked_at
    with _lock:
        _table, _looked_at = None, 0.0


def _epoch() -> int:
    return PriceEpoch.objects.filter(pk=1).values_list("number", flat=True).first() or 0


def compile_table() -> PriceTable:
    """Return the approved price book as it is in the database now."""
    # The number is read first: a change while we read only means that we compile once more.
    epoch = _epoch()
    with transaction.atomic():
        return PriceTable(skus=_skus(), aliases=_aliases(), versions=_versions(), epoch=epoch)


def _skus() -> Iterator[SkuEntry]:
    rows = Sku.objects.values_list("id", "provider", "code", "max_output_tokens", "context_window")
    return (SkuEntry(*row) for row in rows.order_by("id").iterator(2000))


def _aliases() -> Iterator[Alias]:
    rows = SkuAlias.objects.values_list("sku_id", "provider", "kind", "pattern", "built_in")
    return (Alias(*row) for row in rows.order_by("id").iterator(2000))


def _versions() -> Iterator[Version]:
    books = {
        book.pk: Book(book.pk, book.name, book.kind, book.currency, book.priority) for book in PriceBook.objects.all()
    }
    components = _components(PriceVersionStatus.APPROVED)
    rows = PriceVersion.objects.filter(status=PriceVersionStatus.APPROVED).values_list(
        "id", "sku_id", "book_id", "service_tier", "region", "valid_from", "valid_to"
    )
    for pk, sku_id, book_id, tier, region, valid_from, valid_to in rows.order_by("id").iterator(2000):
        yield Version(pk, sku_id, books[book_id], tier, region, valid_from, valid_to, components.get(pk, ()))


def _components(status: str) -> dict[UUID, list[Component]]:
    found: dict[UUID, list[Component]] = defaultdict(list)
    rows = PriceComponent.objects.filter(version__status=status).values_list(
        "version_id", "meter", "unit_price", "per", "mode", "tiers", "threshold_meter", "time_window"
    )
    for version_id, *values in rows.order_by("id").iterator(5000):
        found[version_id].append(_component(values))
    return found


def component(stored: PriceComponent) -> Component:
    """Return a stored price component as the pricing engine wants it."""
    fields = ("meter", "unit_price", "per", "mode", "tiers", "threshold_meter", "time_window")
    return _component([getattr(stored, name) for name in fields])


def _component(values: list[Any]) -> Component:
    meter, unit_price, per, mode, tiers, threshold_meter, window = values
    return Component(
        meter,
        unit_price,
        per,
        mode,
        tuple(Tier(Decimal(tier["from"]), Decimal(tier["price"]), Decimal(tier.get("flat", "0"))) for tier in tiers),
        threshold_meter,
        (TimeOfDay.fromisoformat(window["start"]), TimeOfDay.fromisoformat(window["end"])) if window else None,
    )
