"""The price book compiled: what a quantity of something cost at an instant, exactly, in about a microsecond."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Literal
from uuid import UUID

from costs.pricing.catalog import Alias, Catalog, Resolution, SkuEntry
from costs.pricing.meters import (
    DEARER_THAN_PARENT,
    INPUT_METERS,
    PARENTS,
    TOTAL_INPUT,
    UNCHARGED,
    PricingInputError,
    Quantity,
    exact,
)
from costs.pricing.names import service_tier as tier_name
from costs.pricing.rates import UNITS, Component, Rate, Units, to_decimal, to_text

Status = Literal["priced", "partial", "unpriced"]
_BEGINNING = datetime.min.replace(tzinfo=UTC)
_END = datetime.max.replace(tzinfo=UTC)
_LIMIT = 10**26 * UNITS
_TEXT_INPUT = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")


@dataclass(slots=True)
class PriceResult:
    """An amount and where it comes from; without a price, no amount and the reason.

    `partial` means that something in the quantities has no price of its own: the amount is what could be priced.
    `breakdown` names the amount of each meter and adds up to `amount`. `list_amount` is what the public list asks.
    """

    status: Status
    amount: Decimal | None = None
    currency: str = ""
    version_id: UUID | None = None
    breakdown: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    list_amount: Decimal | None = None
    sku: str = ""
    matched_by: str = ""


@dataclass(frozen=True, slots=True)
class Book:
    """A set of prices in one currency; the highest priority that has a price wins."""

    id: int
    name: str
    kind: str
    currency: str
    priority: int = 0


@dataclass(slots=True)
class Version:
    """All prices of one SKU, tier and region from one instant (included) to another (not included)."""

    id: UUID
    sku_id: int
    book: Book
    service_tier: str
    region: str
    valid_from: datetime | None
    valid_to: datetime | None
    components: Sequence[Component]
    _compiled: tuple[list[time], list[dict[str, Rate]]] | None = None

    def rates(self, at: datetime) -> dict[str, Rate]:
        """Return the rate of each meter at a time of day, parts at the rate of their whole where they have none."""
        if self._compiled is None:
            self._compiled = _compile(self.components)
        starts, rates = self._compiled
        if len(rates) == 1:
            return rates[0]
        return rates[bisect_right(starts, at.astimezone(UTC).time()) - 1]

    def steady_rates(self) -> dict[str, Rate] | None:
        """Return the rate of each meter where it is the same at every time of day; None where it is not."""
        return None if any(component.window for component in self.components) else self.rates(_BEGINNING)


def _compile(components: Sequence[Component]) -> tuple[list[time], list[dict[str, Rate]]]:
    edges = {time.min} | {edge for component in components for edge in component.window or ()}
    starts = sorted(edges)
    rates = [(component, Rate(component)) for component in components]
    return starts, [_at_time(rates, start) for start in starts]


def _at_time(rates: Iterable[tuple[Component, Rate]], moment: time) -> dict[str, Rate]:
    # Those with a window come last, so that they replace what is charged around the clock.
    ordered = sorted(rates, key=lambda pair: pair[0].window is not None)
    found = {component.meter: rate for component, rate in ordered if _open(component.window, moment)}
    for meter in PARENTS:
        parent: str | None = meter
        while parent is not None and parent not in found:
            parent = PARENTS.get(parent)
        if parent is not None:
            found.setdefault(meter, found[parent])
    return found


def _open(window: tuple[time, time] | None, moment: time) -> bool:
    if window is None:
        return True
    start, end = window
    return start <= moment < end if start < end else moment >= start or moment < end


@dataclass(slots=True)
class Track:
    """The versions of one book for one SKU, tier and region, in the order of time."""

    book: Book
    starts: list[datetime]
    versions: list[Version]

    def at(self, at: datetime) -> Version | None:
        """Return the version valid at an instant."""
        index = bisect_right(self.starts, at) - 1
        if index < 0:
            return None
        version = self.versions[index]
        return version if version.valid_to is None or at < version.valid_to else None

    def stretch(self, at: datetime) -> tuple[Version | None, datetime, datetime]:
        """Return what `at` does and from when (included) to when (not included) it would return the same."""
        index = bisect_right(self.starts, at)
        until = self.starts[index] if index < len(self.starts) else _END
        if not index:
            return None, _BEGINNING, until
        version = self.versions[index - 1]
        ended = version.valid_to
        if ended is None or at < ended:
            return version, self.starts[index - 1], until if ended is None else min(until, ended)
        return None, max(ended, self.starts[index - 1]), until


@dataclass(frozen=True, slots=True)
class Route:
    """Where a combination of names leads: the SKU's versions by book, or why there are none."""

    found: Resolution
    name: str
    tracks: tuple[Track, ...]
    reason: str

    def at(self, at: datetime, kind: str = "") -> Version | None:
        """Return the version that counts at an instant: of the book of the highest priority that has one."""
        for track in self.tracks:
            if (not kind or track.book.kind == kind) and (version := track.at(at)):
                return version
        return None


class PriceTable:
    """Approved prices as dictionaries: give it names, an instant and quantities. Safe to share between threads."""

    MEMORY = 50_000

    def __init__(
        self,
        *,
        skus: Iterable[SkuEntry],
        aliases: Iterable[Alias] = (),
        versions: Iterable[Version] = (),
        epoch: int = 0,
    ) -> None:
        self.epoch = epoch
        self.catalog = Catalog(skus, aliases)
        self._tracks = _tracks(versions)
        self._routes: dict[tuple[str, str, str, str], Route] = {}

    def resolve(self, provider: str, model: str) -> Resolution:
        """Return which SKU a name means, how it was found, or why it was not."""
        return self.catalog.resolve(provider, model)

    def nearest(self, model: str, provider: str = "", limit: int = 5) -> list[str]:
        """Return the known names most like `model`, for people to choose from; nothing is priced by likeness."""
        return self.catalog.nearest(model, provider, limit)

    def route(self, provider: str, model: str, service_tier: str = "standard", region: str = "") -> Route:
        """Return where a combination of names leads; remembered, because a fleet uses few of them."""
        key = (provider, model, service_tier, region)
        route = self._routes.get(key)
        if route is None:
            route = self._find(*key)
            if len(self._routes) >= self.MEMORY:
                self._routes.clear()
            self._routes[key] = route
        return route

    def _find(self, provider: str, model: str, service_tier: str, region: str) -> Route:
        return self._lead(self.catalog.resolve(provider, model), service_tier, region)

    def _lead(self, found: Resolution, service_tier: str, region: str) -> Route:
        if found.sku is None:
            return Route(found, "", (), found.reason)
        name, tier = str(found.sku), tier_name(service_tier)
        if found.fallback and tier != "standard":
            return Route(found, name, (), f"{name} has no price for service tier {tier!r} at this provider")
        places = dict.fromkeys((region.strip().lower(), ""))
        tracks = [track for place in places for track in self._tracks.get((found.sku.id, tier, place), ())]
        # Of two books the higher priority wins; within a book the price of the region before that of all.
        tracks.sort(key=lambda track: -track.book.priority)
        reason = f"{name} has no price for service tier {tier!r} at that time"
        return Route(found, name, tuple(tracks), reason if tracks else self._no_tier(found.sku, tier))

    def _no_tier(self, sku: SkuEntry, tier: str) -> str:
        others = sorted({key[1] for key in self._tracks if key[0] == sku.id})
        known = f" (it has: {', '.join(others)})" if others else ""
        return f"{sku} has no price for service tier {tier!r}{known}"

    def price(
        self,
        *,
        provider: str,
        model: str,
        service_tier: str = "standard",
        region: str = "",
        at: datetime,
        quantities: Mapping[str, Quantity],
    ) -> PriceResult:
        """Return what disjoint `quantities` (see `meters`) cost at `at`.

        Raises PricingInputError for a quantity that is negative or not an exact number.
        """
        route = self._routes.get((provider, model, service_tier, region)) or self.route(
            provider, model, service_tier, region
        )
        version = route.at(at)
        if version is None:
            return PriceResult("unpriced", reason=route.reason, sku=route.name, matched_by=route.found.matched_by)
        result = _charge(version, quantities, at)
        result.sku, result.matched_by = route.name, route.found.matched_by
        result.list_amount = result.amount
        if version.book.kind != "list" and result.amount is not None:
            listed = route.at(at, "list")
            result.list_amount = None if listed is None else _charge(listed, quantities, at).amount
        return result

    def version(self, found: Resolution, service_tier: str, region: str, at: datetime) -> tuple[Version | None, str]:
        """Return the version that counts for a resolved name at an instant, or the reason why there is none."""
        route = self._lead(found, service_tier, region)
        version = route.at(at)
        return version, "" if version else route.reason

    def upper_bound(
        self,
        *,
        provider: str,
        model: str,
        service_tier: str = "standard",
        region: str = "",
        at: datetime,
        input_tokens: int = 0,
        max_output_tokens: int | None = None,
        quantities: Mapping[str, Quantity] | None = None,
    ) -> PriceResult:
        """Return the most that one call can cost: what a reservation must hold so that the limit is never passed.

        Every input token at the dearest text rate it may turn out to have (uncached, cache write of either length),
        every output token at the dearer of output and reasoning, plus the fees of `quantities`. Without
        `max_output_tokens` the model's own limit is taken; without one the result is unpriced, never zero.
        A call may end after a price window has changed, so the dearest of the coming hour counts.
        """
        route = self.route(provider, model, service_tier, region)
        version, sku = route.at(at), route.found.sku
        if version is None or sku is None:
            return PriceResult("unpriced", reason=route.reason, sku=route.name)
        output = sku.max_output_tokens if max_output_tokens is None else max_output_tokens
        if output is None:
            reason = f"{route.name} has no known output limit: give one"
            return PriceResult("unpriced", reason=reason, sku=route.name)
        tokens = {"input_tokens": exact("input_tokens", input_tokens), "output_tokens": exact("output_tokens", output)}
        moments = (at, at + timedelta(hours=1))
        bounds = [_bound(version, tokens, quantities or {}, moment) for moment in moments]
        result = max(bounds, key=lambda bound: bound.amount or Decimal(0))
        result.sku, result.matched_by = route.name, route.found.matched_by
        return result


def _tracks(versions: Iterable[Version]) -> dict[tuple[int, str, str], list[Track]]:
    grouped: dict[tuple[int, str, str], dict[int, list[Version]]] = defaultdict(lambda: defaultdict(list))
    for version in versions:
        grouped[version.sku_id, version.service_tier, version.region.lower()][version.book.id].append(version)
    return {key: list(_sorted_tracks(books.values())) for key, books in grouped.items()}


def _sorted_tracks(groups: Iterable[list[Version]]) -> Iterator[Track]:
    ordered = sorted(groups, key=lambda versions: (-versions[0].book.priority, versions[0].book.name))
    for versions in ordered:
        versions.sort(key=lambda version: version.valid_from or _BEGINNING)
        yield Track(versions[0].book, [version.valid_from or _BEGINNING for version in versions], versions)


def _charge(version: Version, quantities: Mapping[str, Quantity], at: datetime) -> PriceResult:
    rates = version.rates(at)
    amounts: dict[str, Units] = {}
    notes: list[str] = []
    for meter, quantity in quantities.items():
        rate = rates.get(meter)
        units = quantity if type(quantity) is int and quantity >= 0 else exact(meter, quantity)
        if rate is None:
            if units and meter not in UNCHARGED:
                notes.append(f"no price for {meter}")
            continue
        amounts[meter] = rate.base * units if rate.simple else rate.charge(units, _threshold(rate, quantities))
        if meter in DEARER_THAN_PARENT and units and rate.component.meter != meter:
            notes.append(f"no price of its own for {meter}, charged as {rate.component.meter}")
    if "requests" in rates and "requests" not in quantities:
        amounts["requests"] = rates["requests"].charge(1, 1)
    return _result(version, amounts, notes)


def _threshold(rate: Rate, quantities: Mapping[str, Quantity]) -> Units:
    meter = rate.component.threshold_meter
    if not meter or meter == TOTAL_INPUT:
        return sum(exact(name, quantity) for name, quantity in quantities.items() if name in INPUT_METERS)
    return exact(meter, quantities.get(meter, 0))


def _result(version: Version, amounts: dict[str, Units], notes: list[str]) -> PriceResult:
    if notes and not amounts:
        return PriceResult("unpriced", version_id=version.id, reason="; ".join(notes))
    total = sum(amounts.values())
    if type(total) is int:
        # A sum is whole only if every part is.
        whole, breakdown = total, {meter: to_text(amount) for meter, amount in amounts.items()}  # type: ignore[arg-type]
    else:
        whole = round(total)
        breakdown = _rounded(amounts, whole)
    if whole >= _LIMIT:
        raise PricingInputError("the amount has more than 26 digits before the point")
    amount, status = to_decimal(whole), "partial" if notes else "priced"
    return PriceResult(status, amount, version.book.currency, version.id, breakdown, "; ".join(notes))  # type: ignore[arg-type]  # one of two


def _rounded(amounts: dict[str, Units], total: int) -> dict[str, str]:
    """Return each meter's amount rounded; what rounding leaves over is carried by the largest, so that all add up."""
    rounded = {meter: round(amount) for meter, amount in amounts.items()}
    largest = max(rounded, key=lambda meter: (rounded[meter], meter))
    rounded[largest] += total - sum(rounded.values())
    return {meter: to_text(amount) for meter, amount in rounded.items()}


def _bound(
    version: Version, tokens: Mapping[str, int | Fraction], fees: Mapping[str, Quantity], at: datetime
) -> PriceResult:
    rates = version.rates(at)
    given = tokens["input_tokens"]
    amounts: dict[str, Units] = {}
    notes = []
    for meter, candidates in (("input_tokens", _TEXT_INPUT), ("output_tokens", ("output_tokens", "reasoning_tokens"))):
        known = [rates[name] for name in candidates if name in rates]
        if known:
            amounts[meter] = tokens[meter] * max(rate.dearest(given) for rate in known)
            amounts[meter] += max(sum((step.flat for step in rate.steps), 0) for rate in known)
        elif tokens[meter]:
            notes.append(f"no price for {meter}")
    extra = _charge(version, fees, at)
    if extra.reason:
        notes.append(extra.reason)
    for meter, text in extra.breakdown.items():
        amounts[meter] = amounts.get(meter, 0) + int(Decimal(text) * UNITS)
    return _result(version, amounts, notes)
