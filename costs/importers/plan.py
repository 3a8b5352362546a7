"""What has to be written so that the price book says what the price lists say: decided here, without a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from core.ids import uuid7
from costs.choices import PriceVersionStatus
from costs.importers.quotes import Quote
from costs.pricing import Component

LARGE_CHANGE = Decimal("0.25")

ComponentsOf = Callable[[UUID], Iterable[Component]]


@dataclass(frozen=True, slots=True)
class Known:
    """A version that is in the book already; `built_in` when a price list said so, not a person."""

    id: UUID
    status: str
    built_in: bool
    content_hash: str
    valid_from: datetime | None
    valid_to: datetime | None

    def counts_at(self, at: datetime) -> bool:
        """Say whether this is what is charged at an instant."""
        return (
            self.status == PriceVersionStatus.APPROVED
            and (self.valid_from is None or self.valid_from <= at)
            and (self.valid_to is None or self.valid_to > at)
        )


@dataclass(frozen=True, slots=True)
class New:
    """A version to be written; one that `waits` is a draft until somebody approves it."""

    quote: Quote
    valid_from: datetime | None
    valid_to: datetime | None
    waits: bool = False
    note: str = ""
    id: UUID = field(default_factory=uuid7)


def plan(quotes: Sequence[Quote], known: Sequence[Known], now: datetime, components_of: ComponentsOf) -> list[New]:
    """Return what is new about one SKU, tier and region.

    What the book has never heard of is taken as it is, with its history. Otherwise only what holds now and later is
    looked at: a changed price begins now, and separately waits for approval for the time since the source's own date.
    """
    if not known:
        return [New(quote, quote.valid_from, quote.valid_to) for quote in quotes]
    return [*_now(quotes, known, now, components_of), *_later(quotes, known, now)]


def _now(quotes: Sequence[Quote], known: Sequence[Known], now: datetime, components_of: ComponentsOf) -> Iterator[New]:
    quote = next((quote for quote in quotes if _holds(quote, now)), None)
    if quote is None:
        return
    wanted = quote.digest()
    current = next((version for version in known if version.counts_at(now)), None)
    if current is not None and current.content_hash == wanted:
        return
    if _is_settled(wanted, known, current):
        return
    reason = _why_wait(quote, current, components_of)
    if reason:
        yield New(quote, quote.valid_from or now, quote.valid_to, waits=True, note=reason)
        return
    yield New(quote, now, quote.valid_to)
    if quote.valid_from is not None and quote.valid_from < now and _begins_before(current, quote.valid_from):
        yield New(quote, quote.valid_from, now, waits=True, note="the source dates this change before it was seen")


def _holds(quote: Quote, at: datetime) -> bool:
    return (quote.valid_from is None or quote.valid_from <= at) and (quote.valid_to is None or quote.valid_to > at)


def _begins_before(current: Known | None, at: datetime) -> bool:
    return current is not None and (current.valid_from is None or current.valid_from < at)


def _is_settled(wanted: str, known: Sequence[Known], current: Known | None) -> bool:
    """Say whether people have this price before them, refused it, or put their own in its place."""
    heard = [version for version in known if version.content_hash == wanted]
    if any(version.status != PriceVersionStatus.APPROVED for version in heard):
        return True
    by_people = current is None or not current.built_in
    return by_people and any(version.built_in for version in heard)


def _why_wait(quote: Quote, current: Known | None, components_of: ComponentsOf) -> str:
    if current is None:
        return "the price was ended, and the source has a new one"
    if not current.built_in:
        return "the source has a new price, and the present one was set by a person"
    if is_large(components_of(current.id), quote.components):
        return f"a change of more than {LARGE_CHANGE:.0%}"
    return ""


def _later(quotes: Sequence[Quote], known: Sequence[Known], now: datetime) -> Iterator[New]:
    heard = {(version.valid_from, version.content_hash) for version in known}
    previous: Quote | None = None
    for quote in quotes:
        announced = quote.valid_from is not None and quote.valid_from > now
        if announced and (quote.valid_from, quote.digest()) not in heard:
            large = previous is not None and is_large(previous.components, quote.components)
            note = f"a change of more than {LARGE_CHANGE:.0%}" if large else ""
            yield New(quote, quote.valid_from, quote.valid_to, waits=large, note=note)
        previous = quote


def is_large(before: Iterable[Component], after: Iterable[Component]) -> bool:
    """Say whether any price that both name changes by more than a quarter of what it was."""
    old = {(component.meter, component.window): component for component in before}
    for component in after:
        known = old.get((component.meter, component.window))
        if known is None:
            continue
        # Compared per unit: a source may change the number of units it quotes a price for.
        was, is_ = known.unit_price / known.per, component.unit_price / component.per
        if abs(is_ - was) > was * LARGE_CHANGE:
            return True
    return False
