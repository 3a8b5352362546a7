"""Reading of the price lists into the price book: a changed price is a new version, never a changed one.

A sync that finds the same sources again does nothing. What it finds changed begins when the source says so, or else
now; a beginning that has passed waits for a person, because it would change what history costs, and so does a change
of more than a quarter. What people decided is not overwritten.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction

from core import audit
from costs.choices import PriceVersionStatus, QueueStatus
from costs.importers import genai, litellm
from costs.importers.merge import SOURCE as BOTH
from costs.importers.merge import read_all
from costs.importers.plan import Known, New, plan
from costs.importers.quotes import Disagreement, Key, PriceList, Quote, SourceError
from costs.models import PriceBook, PriceComponent, PriceDiscrepancy, PriceSyncRun, PriceVersion, Sku, SkuAlias
from costs.pricing import Component
from costs.services.prices import LIST_BOOK, components_of, lock_epoch, make_room, stored

BUILT_IN = frozenset({genai.SOURCE, litellm.SOURCE, BOTH})
# Raised when the importers read the same sources differently, so that they are read again.
IMPORTER = 1
_BATCH = 500

SkuIds = dict[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class SyncOutcome:
    """What a sync did; without `changed` it found the sources of the last run and stopped there."""

    run: PriceSyncRun
    changed: bool


def sync_prices(*, now: datetime, force: bool = False) -> SyncOutcome:
    """Bring the list book up to the installed price lists, without the network. Safe to run twice and at once.

    Raises SourceError when a source cannot be read or understood; the run that says so is kept, nothing else is.
    """
    sources = fingerprints()
    last = PriceSyncRun.objects.order_by("-id").first()
    if not force and last is not None and not last.error and last.sources == sources:
        return SyncOutcome(last, changed=False)
    try:
        listed = read_all()
    except SourceError as error:
        PriceSyncRun.objects.create(started_at=now, finished_at=now, sources=sources, error=str(error))
        raise
    return SyncOutcome(store_prices(listed, sources, now=now), changed=True)


def fingerprints() -> dict[str, object]:
    """Return what the price lists are now, without reading their prices."""
    return {"importer": IMPORTER, genai.SOURCE: genai.fingerprint(), litellm.SOURCE: litellm.fingerprint()}


@transaction.atomic
def store_prices(listed: PriceList, sources: dict[str, object], *, now: datetime) -> PriceSyncRun:
    """Bring the list book up to what a price list says, all of it or nothing, and return the record of it."""
    lock_epoch()
    book, _ = PriceBook.objects.get_or_create(name=LIST_BOOK, defaults={"kind": PriceBook.Kind.LIST})
    skus = _store_skus(listed)
    _store_aliases(listed, skus)
    known = _known(book)
    news: list[New] = []
    for (provider, code, tier, region), quotes in _timelines(listed).items():
        sku_id = skus[provider, code]
        news += plan(quotes, known.get((sku_id, tier, region), ()), now, _components)
    _write(news, book, skus, now)
    run = PriceSyncRun.objects.create(
        started_at=now,
        finished_at=now,
        sources=sources,
        created_count=sum(not new.waits for new in news),
        waiting_count=sum(new.waits for new in news),
        unchanged_count=max(len(listed.quotes) - len(news), 0),
        discrepancy_count=_store_disagreements(listed.disagreements, skus, now),
        rounded_count=listed.rounded,
    )
    counts = {"created": run.created_count, "waiting": run.waiting_count, "discrepancies": run.discrepancy_count}
    audit.record("prices.synced", run, now=now, after={**counts, "sources": sources})
    return run


def _components(version_id: UUID) -> Iterable[Component]:
    return components_of(PriceVersion.objects.get(pk=version_id))


def _timelines(listed: PriceList) -> dict[Key, list[Quote]]:
    timelines: dict[Key, list[Quote]] = defaultdict(list)
    for quote in listed.quotes:
        timelines[quote.key].append(quote)
    for quotes in timelines.values():
        quotes.sort(key=lambda quote: (quote.valid_from is not None, quote.valid_from or 0))
    return timelines


def _known(book: PriceBook) -> dict[tuple[int, str, str], list[Known]]:
    known: dict[tuple[int, str, str], list[Known]] = defaultdict(list)
    rows = PriceVersion.objects.filter(book=book).values_list(
        "sku_id", "service_tier", "region", "id", "status", "source", "content_hash", "valid_from", "valid_to"
    )
    for sku_id, tier, region, pk, status, source, content_hash, valid_from, valid_to in rows.iterator(2000):
        version = Known(pk, status, source in BUILT_IN, content_hash, valid_from, valid_to)
        known[sku_id, tier, region].append(version)
    return known


def _store_skus(listed: PriceList) -> SkuIds:
    known = {(sku.provider, sku.code): sku for sku in Sku.objects.all()}
    fresh, completed = [], []
    for (provider, code), model in listed.models.items():
        sku = known.get((provider, code))
        if sku is None:
            fresh.append(
                Sku(
                    provider=provider,
                    code=code,
                    cost_type=model.cost_type,
                    name=model.name,
                    context_window=model.context_window,
                    max_output_tokens=model.max_output_tokens,
                )
            )
        elif _complete(sku, model.context_window, model.max_output_tokens):
            completed.append(sku)
    Sku.objects.bulk_create(fresh, batch_size=_BATCH)
    Sku.objects.bulk_update(completed, ["context_window", "max_output_tokens"], batch_size=_BATCH)
    return {(provider, code): pk for pk, provider, code in Sku.objects.values_list("id", "provider", "code")}


def _complete(sku: Sku, context_window: int | None, max_output_tokens: int | None) -> bool:
    """Fill in what was not known of a SKU; what is there may have been set by a person."""
    before = (sku.context_window, sku.max_output_tokens)
    sku.context_window = sku.context_window or context_window
    sku.max_output_tokens = sku.max_output_tokens or max_output_tokens
    return (sku.context_window, sku.max_output_tokens) != before


def _store_aliases(listed: PriceList, skus: SkuIds) -> None:
    taken = set(SkuAlias.objects.values_list("provider", "kind", "pattern"))
    fresh = []
    for (provider, code), model in listed.models.items():
        for kind, pattern in model.aliases:
            if (provider, kind, pattern) not in taken:
                taken.add((provider, kind, pattern))
                sku_id = skus[provider, code]
                fresh.append(SkuAlias(sku_id=sku_id, provider=provider, kind=kind, pattern=pattern, built_in=True))
    SkuAlias.objects.bulk_create(fresh, batch_size=_BATCH)


def _write(news: Sequence[New], book: PriceBook, skus: SkuIds, now: datetime) -> None:
    """Write all as drafts, then let those count that need nobody's approval; the order the database insists on."""
    versions = [_version(new, book, skus, now) for new in news]
    PriceVersion.objects.bulk_create(versions, batch_size=_BATCH)
    _write_components([stored(new.id, component) for new in news for component in new.quote.components])
    counting = [version for version, new in zip(versions, news, strict=True) if not new.waits]
    occupied = set(
        PriceVersion.objects.filter(book=book, status=PriceVersionStatus.APPROVED).values_list("sku_id", flat=True)
    )
    for version in counting:
        if version.sku_id in occupied:
            make_room(version)
    ids = [version.pk for version in counting]
    for start in range(0, len(ids), _BATCH):
        PriceVersion.objects.filter(pk__in=ids[start : start + _BATCH]).update(
            status=PriceVersionStatus.APPROVED, approved_at=now
        )


def _write_components(rows: Sequence[PriceComponent]) -> None:
    """Insert components in large statements of our own: some twenty thousand on the first day."""
    fields = [field for field in PriceComponent._meta.concrete_fields if not field.primary_key]
    columns, marks = ", ".join(str(field.column) for field in fields), f"({', '.join(['%s'] * len(fields))})"
    insert = f"INSERT INTO {PriceComponent._meta.db_table} ({columns}) VALUES "  # noqa: S608  # our names
    with connection.cursor() as cursor:
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            pairs = ((field, getattr(row, field.attname)) for row in part for field in fields)
            values = [field.get_db_prep_save(value, connection) for field, value in pairs]
            cursor.execute(insert + ", ".join([marks] * len(part)), values)


def _version(new: New, book: PriceBook, skus: SkuIds, now: datetime) -> PriceVersion:
    quote = new.quote
    return PriceVersion(
        id=new.id,
        book=book,
        sku_id=skus[quote.provider, quote.code],
        service_tier=quote.service_tier,
        region=quote.region,
        valid_from=new.valid_from,
        valid_to=new.valid_to,
        source=quote.source,
        source_ref=quote.source_ref[:300],
        content_hash=quote.digest(),
        note=new.note,
        created_at=now,
    )


def _store_disagreements(found: Iterable[Disagreement], skus: SkuIds, now: datetime) -> int:
    """Open what is new or has changed, close what has gone, and return how many are open for somebody to decide."""
    known = {(row.sku_id, row.service_tier, row.meter, row.other_source): row for row in PriceDiscrepancy.objects.all()}
    fresh, reopened, seen = [], [], set()
    for item in found:
        key = (skus[item.provider, item.code], item.service_tier, item.meter, item.other_source)
        seen.add(key)
        row = known.get(key)
        if row is None:
            fresh.append(_discrepancy(item, key[0], now))
        elif (row.used_price, row.other_price) != (item.used_price, item.other_price):
            row.used_price, row.other_price, row.used_source = item.used_price, item.other_price, item.used_source
            row.status, row.decided_at, row.decided_by, row.found_at = QueueStatus.OPEN, None, "", now
            reopened.append(row)
    PriceDiscrepancy.objects.bulk_create(fresh, batch_size=_BATCH)
    changed = ["used_price", "other_price", "used_source", "status", "decided_at", "decided_by", "found_at"]
    PriceDiscrepancy.objects.bulk_update(reopened, changed, batch_size=_BATCH)
    gone = [row.pk for key, row in known.items() if key not in seen]
    PriceDiscrepancy.objects.filter(pk__in=gone, status=QueueStatus.OPEN).update(
        status=QueueStatus.RESOLVED, decided_at=now, note="the sources agree now"
    )
    return PriceDiscrepancy.objects.filter(status=QueueStatus.OPEN).count()


def _discrepancy(item: Disagreement, sku_id: int, now: datetime) -> PriceDiscrepancy:
    return PriceDiscrepancy(
        sku_id=sku_id,
        service_tier=item.service_tier,
        meter=item.meter,
        used_source=item.used_source,
        used_price=item.used_price,
        other_source=item.other_source,
        other_price=item.other_price,
        found_at=now,
    )
