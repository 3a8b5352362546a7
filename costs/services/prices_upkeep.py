"""Names and open questions of the price book: SKUs, their aliases, disagreeing sources, models without a price."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from core import audit
from core.errors import Conflict, Invalid
from costs.choices import PriceVersionStatus, QueueStatus
from costs.models import PriceDiscrepancy, PriceVersion, Sku, SkuAlias, UnpricedModel
from costs.pricing import Component, provider_name
from costs.services.prices import LIST_BOOK, Offer, components_of, draft_price, lock_epoch


@transaction.atomic
def add_sku(*, provider: str, code: str, cost_type: str, now: datetime, name: str = "") -> Sku:
    """Add something that can be priced, or return it when it is known."""
    sku, created = Sku.objects.get_or_create(
        provider=provider_name(provider), code=code.strip(), defaults={"cost_type": cost_type, "name": name}
    )
    if created:
        lock_epoch()
        audit.record("sku.added", sku, now=now, after={"provider": sku.provider, "code": sku.code})
    return sku


@transaction.atomic
def add_alias(*, sku: Sku, provider: str, kind: str, pattern: str, now: datetime) -> SkuAlias:
    """Give a SKU another name: yours wins over a built-in one of the same name.

    Raises Invalid for an expression that does not compile, Conflict when the name is given already.
    """
    lock_epoch()
    owner, text = provider_name(provider), pattern.strip()
    _refuse_pattern(kind, text)
    taken = SkuAlias.objects.filter(provider=owner, kind=kind, pattern=text)
    if taken.filter(built_in=False).exists():
        raise Conflict(f"{text!r} is an alias already", code="alias_taken")
    taken.delete()
    alias = SkuAlias.objects.create(sku=sku, provider=owner, kind=kind, pattern=text)
    audit.record("sku.alias_added", sku, now=now, after={"provider": owner, "kind": kind, "pattern": text})
    return alias


def _refuse_pattern(kind: str, pattern: str) -> None:
    if not pattern:
        raise Invalid("an alias is not empty", code="empty")
    if kind == SkuAlias.Kind.REGEX:
        try:
            re.compile(pattern)
        except re.error as error:
            raise Invalid(f"not a regular expression: {error}", code="regex") from error


@transaction.atomic
def remove_alias(alias: SkuAlias, *, now: datetime) -> None:
    """Take a name from a SKU. Raises Conflict for a built-in one, which the next sync would bring back."""
    lock_epoch()
    if alias.built_in:
        raise Conflict("a built-in alias comes with the price lists: add one of your own over it", code="built_in")
    audit.record("sku.alias_removed", alias.sku, now=now, before={"provider": alias.provider, "pattern": alias.pattern})
    alias.delete()


@transaction.atomic
def decide_discrepancy(
    discrepancy: PriceDiscrepancy, *, use_other: bool, user: User, now: datetime, note: str
) -> PriceVersion | None:
    """Settle what two sources disagree about: keep the used price, or draft the other one from now on.

    The draft waits for approval like any other. Raises Conflict when it was settled already or cannot be expressed.
    """
    draft = _other_price(discrepancy, user, now, note) if use_other else None
    settled = PriceDiscrepancy.objects.filter(pk=discrepancy.pk, status=QueueStatus.OPEN).update(
        status=QueueStatus.RESOLVED if use_other else QueueStatus.IGNORED,
        decided_at=now,
        decided_by=user.get_username()[:200],
        note=note,
    )
    if not settled:
        raise Conflict("somebody settled this already", code="settled")
    audit.record(
        "price_discrepancy.decided",
        discrepancy,
        now=now,
        after={"sku": str(discrepancy.sku), "meter": discrepancy.meter, "use": "other" if use_other else "used"},
        reason=note,
    )
    return draft


def _other_price(discrepancy: PriceDiscrepancy, user: User, now: datetime, note: str) -> PriceVersion:
    if ">" in discrepancy.meter:
        raise Conflict("a price above a threshold is drafted by hand", code="threshold")
    current_version = (
        PriceVersion.objects.filter(
            Q(valid_to__isnull=True) | Q(valid_to__gt=now),
            Q(valid_from__isnull=True) | Q(valid_from__lte=now),
            book__name=LIST_BOOK,
            sku=discrepancy.sku_id,
            service_tier=discrepancy.service_tier,
            region="",
            status=PriceVersionStatus.APPROVED,
        )
        .select_related("book", "sku")
        .first()
    )
    if current_version is None:
        raise Conflict("there is no list price to replace any more", code="no_price")
    components = [
        _repriced(component, discrepancy.meter, discrepancy.other_price) for component in components_of(current_version)
    ]
    offer = Offer(
        current_version.book,
        current_version.sku,
        components,
        service_tier=current_version.service_tier,
        valid_from=now,
    )
    return draft_price(offer, now=now, user=user, source=discrepancy.other_source, note=note)


def _repriced(component: Component, meter: str, price: Decimal) -> Component:
    return replace(component, unit_price=price) if component.meter == meter and not component.window else component


@transaction.atomic
def settle_unpriced_model(unpriced: UnpricedModel, *, ignore: bool, now: datetime, note: str) -> None:
    """Take a model off the queue of what has no price: dealt with, or not worth it. It comes back when it is used.

    Raises Conflict when it is not open.
    """
    status = QueueStatus.IGNORED if ignore else QueueStatus.RESOLVED
    settled = UnpricedModel.objects.filter(pk=unpriced.pk, status=QueueStatus.OPEN).update(
        status=status, resolved_at=now
    )
    if not settled:
        raise Conflict("somebody settled this already", code="settled")
    audit.record("unpriced_model.settled", unpriced, now=now, after={"status": status}, reason=note)
