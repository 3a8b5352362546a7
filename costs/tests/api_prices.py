"""A small price book for tests of what is built on prices: two models, one of them with cache prices."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from costs import pricebook
from costs.choices import PriceVersionStatus
from costs.models import PriceBook, PriceComponent, PriceEpoch, PriceVersion, Sku

BEGAN = datetime(2025, 1, 1, tzinfo=UTC)
CHANGED = datetime(2025, 7, 1, tzinfo=UTC)


def build_price_book() -> None:
    """Price gpt-4o-mini (0.15 in, 0.60 out a million; before July 2025 the double) and claude-test (3 in, 15 out)."""
    book = PriceBook.objects.create(name="test list", currency="USD")
    mini = Sku.objects.create(provider="openai", code="gpt-4o-mini", max_output_tokens=16_384)
    claude = Sku.objects.create(provider="anthropic", code="claude-test", max_output_tokens=8_192)
    _version(book, mini, {"input_tokens": "0.30", "output_tokens": "1.20"}, None, CHANGED)
    _version(book, mini, {"input_tokens": "0.15", "output_tokens": "0.60"}, CHANGED, None)
    _version(book, claude, {"input_tokens": "3", "output_tokens": "15", "cache_read_tokens": "0.3"}, None, None)
    PriceEpoch.objects.update_or_create(pk=1, defaults={"number": 1_000_000})
    pricebook.forget()


def _version(
    book: PriceBook, sku: Sku, prices: dict[str, str], valid_from: datetime | None, valid_to: datetime | None
) -> None:
    version = PriceVersion.objects.create(
        book=book,
        sku=sku,
        valid_from=valid_from,
        valid_to=valid_to,
        status=PriceVersionStatus.DRAFT,
        source="test",
        content_hash=f"{sku.code}{valid_from}",
        created_at=BEGAN,
    )
    PriceComponent.objects.bulk_create(
        PriceComponent(version=version, meter=meter, unit_price=Decimal(price)) for meter, price in prices.items()
    )
    PriceVersion.objects.filter(pk=version.pk).update(status=PriceVersionStatus.APPROVED, approved_at=BEGAN)
