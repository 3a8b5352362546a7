"""The operator's price book: a price is drafted, approved by somebody else, and ended.

Every change happens under one lock, the price epoch, whose number tells every process that its compiled prices are
old. An approved price never changes: it ends, and another one begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q, QuerySet

from core import audit
from core.errors import Conflict, Forbidden, Invalid
from core.money import MoneyError, money
from costs import pricebook
from costs.choices import PriceVersionStatus
from costs.importers.quotes import digest
from costs.models import PriceBook, PriceComponent, PriceEpoch, PriceVersion, Sku
from costs.pricing import Component

LIST_BOOK = "List prices"
OPERATOR = "operator"
APPROVE = "costs.change_priceversion"


def lock_epoch() -> int:
    """Take the price book for this transaction and return its new number; every change of prices begins here."""
    PriceEpoch.objects.get_or_create(pk=1)
    PriceEpoch.objects.filter(pk=1).update(number=F("number") + 1)
    pricebook.forget()
    # Once more when others can see it: somebody may have compiled the old state in the meantime.
    transaction.on_commit(pricebook.forget)
    return PriceEpoch.objects.values_list("number", flat=True).get(pk=1)


@transaction.atomic
def create_book(*, name: str, kind: str, currency: str, priority: int, now: datetime) -> PriceBook:
    """Create a set of prices. The book of the highest priority that has a price is charged."""
    lock_epoch()
    if PriceBook.objects.filter(name=name).exists():
        raise Conflict(f"there is a price book called {name!r} already", code="name_taken")
    book = PriceBook.objects.create(name=name, kind=kind, currency=currency, priority=priority)
    audit.record("price_book.created", book, now=now, after={"kind": kind, "currency": currency, "priority": priority})
    return book


@dataclass(frozen=True, slots=True)
class Offer:
    """What somebody asks for one SKU, tier and region, from one instant (included) to another (not included)."""

    book: PriceBook
    sku: Sku
    components: Sequence[Component]
    service_tier: str = "standard"
    region: str = ""
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@transaction.atomic
def draft_price(
    offer: Offer, *, now: datetime, user: User | None = None, source: str = OPERATOR, note: str = ""
) -> PriceVersion:
    """Write a price that does not count yet: somebody else approves it.

    Raises Invalid for a price without components, an empty range, or a meter that is named twice without a window.
    """
    _refuse_senseless(offer)
    version = PriceVersion.objects.create(
        book=offer.book,
        sku=offer.sku,
        service_tier=offer.service_tier,
        region=offer.region.strip().lower(),
        valid_from=offer.valid_from,
        valid_to=offer.valid_to,
        source=source,
        content_hash=digest(offer.components),
        created_at=now,
        created_by=user,
        note=note,
    )
    PriceComponent.objects.bulk_create(stored(version.pk, component) for component in offer.components)
    audit.record("price.drafted", version, now=now, after=described(version), reason=note)
    return version


def _refuse_senseless(offer: Offer) -> None:
    if not offer.components:
        raise Invalid("a price needs at least one component", code="no_components")
    if offer.valid_from is not None and offer.valid_to is not None and offer.valid_to <= offer.valid_from:
        raise Invalid("a price ends after it begins", code="empty_range")
    places = [(component.meter, component.window) for component in offer.components]
    if len(places) != len(set(places)):
        raise Invalid("a meter has one price at a time of day", code="meter_twice")
    for component in offer.components:
        _refuse_component(component)


def _refuse_component(component: Component) -> None:
    tiers = component.tiers
    prices = [component.unit_price, *(tier.price for tier in tiers), *(tier.flat for tier in tiers)]
    try:
        negative = any(money(price) < 0 for price in prices)
    except MoneyError as error:
        raise Invalid(f"{component.meter}: {error}", code="not_a_price") from error
    if negative or component.per <= 0:
        raise Invalid(f"{component.meter}: a price is 0 or more, for one unit or more", code="negative_price")
    if len({tier.above for tier in tiers}) != len(tiers) or any(tier.above <= 0 for tier in tiers):
        raise Invalid(f"{component.meter}: each tier begins at another number of units above 0", code="tiers")
    if tiers and component.mode in {"flat", "package"}:
        raise Invalid(f"{component.meter}: a {component.mode} price has no tiers", code="tiers")


def stored(version_id: UUID, component: Component) -> PriceComponent:
    """Return a component of the pricing engine as a row."""
    return PriceComponent(
        version_id=version_id,
        meter=component.meter,
        per=component.per,
        unit_price=component.unit_price,
        mode=component.mode,
        tiers=[
            {"from": format(tier.above, "f"), "price": format(tier.price, "f"), "flat": format(tier.flat, "f")}
            for tier in component.tiers
        ],
        threshold_meter=component.threshold_meter,
        time_window={"start": component.window[0].isoformat(), "end": component.window[1].isoformat()}
        if component.window
        else {},
    )


def described(version: PriceVersion) -> dict[str, object]:
    """Return what an audit entry says of a price."""
    return {
        "book": version.book.name,
        "sku": str(version.sku),
        "service_tier": version.service_tier,
        "region": version.region,
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        "status": version.status,
        "components": {
            f"{component.meter}/{component.per}": component.unit_price for component in version.components.all()
        },
    }


@transaction.atomic
def approve_price(version: PriceVersion, *, user: User, now: datetime, back_dated: bool = False) -> PriceVersion:
    """Let a drafted price count from its beginning on; the price before it ends there.

    Somebody other than its author approves, unless there is nobody else who may. A beginning that has passed would
    change what history costs: it needs `back_dated`, and a reprice afterwards to correct the events.
    Raises Conflict when it is no draft any more, is back-dated unasked, or lies within another price; Forbidden for
    its author.
    """
    lock_epoch()
    draft = PriceVersion.objects.select_related("book", "sku").get(pk=version.pk)
    if draft.status != PriceVersionStatus.DRAFT:
        raise Conflict(f"the price is {draft.status}, not a draft", code="not_a_draft")
    if draft.created_by_id == user.pk and _others_may_approve(user):
        raise Forbidden("a price is approved by somebody other than its author", code="own_draft")
    if not back_dated and _changes_history(draft, now):
        raise Conflict(
            "the price begins in the past, where another one counted: approve it as back-dated and reprice the events",
            code="back_dated",
        )
    make_room(draft)
    PriceVersion.objects.filter(pk=draft.pk).update(
        status=PriceVersionStatus.APPROVED, approved_at=now, approved_by=user
    )
    draft.refresh_from_db()
    audit.record("price.approved", draft, now=now, before={"status": PriceVersionStatus.DRAFT}, after=described(draft))
    return draft


def _others_may_approve(user: User) -> bool:
    everybody = get_user_model().objects.with_perm(APPROVE, backend="django.contrib.auth.backends.ModelBackend")
    return everybody.exclude(pk=user.pk).exists()


def _changes_history(draft: PriceVersion, now: datetime) -> bool:
    before = neighbours(draft).filter(Q(valid_from__isnull=True) | Q(valid_from__lt=now))
    return (draft.valid_from is None or draft.valid_from < now) and before.exists()


def neighbours(version: PriceVersion) -> QuerySet[PriceVersion]:
    """Return the approved prices of the same thing in the same book that are valid at some instant of `version`."""
    same = PriceVersion.objects.filter(
        book=version.book_id,
        sku=version.sku_id,
        service_tier=version.service_tier,
        region=version.region,
        status=PriceVersionStatus.APPROVED,
    ).exclude(pk=version.pk)
    if version.valid_from is not None:
        same = same.filter(Q(valid_to__isnull=True) | Q(valid_to__gt=version.valid_from))
    if version.valid_to is not None:
        same = same.filter(Q(valid_from__isnull=True) | Q(valid_from__lt=version.valid_to))
    return same


def make_room(version: PriceVersion) -> None:
    """End the price that counts when `version` begins, and end `version` where the next one begins.

    The caller holds the epoch. Raises Conflict when `version` would take away all of another price, or the end of it
    after its own end: prices are ended, never cut in two.
    """
    for other in neighbours(version).order_by(F("valid_from").asc(nulls_first=True)):
        if other.valid_from is not None and (version.valid_from is None or other.valid_from > version.valid_from):
            end = other.valid_from
            PriceVersion.objects.filter(pk=version.pk).update(valid_to=end)
            version.valid_to = end
            return
        if version.valid_from is None or other.valid_from == version.valid_from:
            raise Conflict("another approved price begins at the same instant: retire it first", code="overlap")
        if version.valid_to is not None and (other.valid_to is None or other.valid_to > version.valid_to):
            raise Conflict("the price lies within another approved price and would cut it in two", code="overlap")
        PriceVersion.objects.filter(pk=other.pk).update(valid_to=version.valid_from)


@transaction.atomic
def publish_price(offer: Offer, *, now: datetime, source: str = "system") -> PriceVersion:
    """Write a price that counts at once, by the platform's own word: set-up and demonstrations."""
    lock_epoch()
    draft = draft_price(offer, now=now, source=source)
    make_room(draft)
    PriceVersion.objects.filter(pk=draft.pk).update(status=PriceVersionStatus.APPROVED, approved_at=now)
    draft.refresh_from_db()
    audit.record("price.published", draft, now=now, after=described(draft))
    return draft


@transaction.atomic
def end_price(version: PriceVersion, *, at: datetime, now: datetime, reason: str) -> PriceVersion:
    """Let an approved price end at an instant that has not passed; the next one, if any, has to be drafted.

    Raises Invalid for an instant in the past or before the price begins, Conflict when it ends earlier or is not
    approved.
    """
    lock_epoch()
    if at < now:
        raise Invalid("a price ends now or later; what was charged is corrected by a reprice", code="in_the_past")
    if version.valid_from is not None and at <= version.valid_from:
        raise Invalid("a price ends after it begins; retire one that has not begun", code="empty_range")
    ended = PriceVersion.objects.filter(
        Q(valid_to__isnull=True) | Q(valid_to__gt=at), pk=version.pk, status=PriceVersionStatus.APPROVED
    ).update(valid_to=at)
    if not ended:
        raise Conflict("the price is not approved, or it ends earlier already", code="ended")
    audit.record(
        "price.ended", version, now=now, before={"valid_to": version.valid_to}, after={"valid_to": at}, reason=reason
    )
    version.refresh_from_db()
    return version


@transaction.atomic
def retire_price(version: PriceVersion, *, now: datetime, reason: str) -> PriceVersion:
    """Withdraw a draft, or an approved price that has not begun. Raises Conflict for one that has counted."""
    lock_epoch()
    retired = PriceVersion.objects.filter(
        Q(status=PriceVersionStatus.DRAFT) | Q(status=PriceVersionStatus.APPROVED, valid_from__gt=now), pk=version.pk
    ).update(status=PriceVersionStatus.RETIRED)
    if not retired:
        raise Conflict("the price counts already: end it instead", code="in_effect")
    audit.record(
        "price.retired", version, now=now, before={"status": version.status}, after={"status": "retired"}, reason=reason
    )
    version.refresh_from_db()
    return version


def components_of(version: PriceVersion) -> Iterable[Component]:
    """Return what a stored version charges, for the pricing engine or to draft its successor."""
    return [pricebook.component(row) for row in version.components.order_by("id")]
