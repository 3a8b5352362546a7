"""Two price lists become one: the first is used, the second adds what the first does not know, nothing is averaged.

Where both name a price for the same thing and differ by more than half a percent, the first one's is used and the
disagreement is listed for a person.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from costs.importers import genai, litellm
from costs.importers.litellm import Entry
from costs.importers.quotes import Disagreement, Key, PriceList, Quote
from costs.pricing import Alias, Catalog, Component, Resolution, SkuEntry
from costs.pricing.meters import PARENTS

TOLERANCE = Decimal("0.005")
SOURCE = f"{genai.SOURCE} and {litellm.SOURCE}"

# The prices that decide whether two lists speak of the same model.
_BASES = ("input_tokens", "output_tokens")


def read_all() -> PriceList:
    """Return the prices of all sources as one list."""
    first = genai.read()
    second, entries = litellm.read()
    return merge(first, second, entries)


def merge(first: PriceList, second: PriceList, entries: Iterable[Entry]) -> PriceList:
    """Return `first` completed by the second list's entries, with what the two disagree about."""
    first.rounded += second.rounded
    merger = _Merger(first)
    for (_, _, _), group in sorted(_grouped(merger, entries).items()):
        merger.take(group)
    return first


def _grouped(merger: _Merger, entries: Iterable[Entry]) -> dict[tuple[str, str, str], list[tuple[Entry, str]]]:
    """Group entries by what they are about; within a group the plainest name comes first and speaks for it."""
    groups: dict[tuple[str, str, str], list[tuple[Entry, str]]] = defaultdict(list)
    # A model's own entry is placed before those of its regions, which may need it.
    for entry in sorted(entries, key=lambda entry: (entry.region != "", entry.name)):
        code = merger.code_of(entry)
        groups[entry.provider, code.lower(), entry.region].append((entry, code))
    for group in groups.values():
        group.sort(key=lambda pair: (pair[0].code.lower() != pair[1].lower(), "vertex" in pair[0].name, pair[0].name))
    return groups


class _Merger:
    """The list that is being completed, with the ways into it."""

    def __init__(self, prices: PriceList) -> None:
        self.prices = prices
        self.entries = dict(enumerate(prices.models.values()))
        self.catalog = Catalog(
            [SkuEntry(number, model.provider, model.code) for number, model in self.entries.items()],
            [
                Alias(number, model.provider, kind, pattern, built_in=True)
                for number, model in self.entries.items()
                for kind, pattern in model.aliases
            ],
        )
        self.timeline: dict[Key, list[Quote]] = defaultdict(list)
        for quote in prices.quotes:
            self.timeline[quote.key].append(quote)
        self.codes = {(model.provider, model.code.lower()): model.code for model in prices.models.values()}

    def code_of(self, entry: Entry) -> str:
        """Return the code of the model that an entry is about: a known one's, or its own."""
        known = self.codes.get((entry.provider, entry.code.lower()))
        if known is not None:
            return known
        found = self.catalog.resolve(entry.provider, entry.code)
        if found.sku is not None and not found.fallback and self._same(entry, found):
            model = self.entries[found.sku.id]
            if entry.code.lower() != model.code.lower() and ("exact", entry.code.lower()) not in model.aliases:
                model.aliases.append(("exact", entry.code.lower()))
            return model.code
        self._adopt(entry, found)
        self.codes[entry.provider, entry.code.lower()] = entry.code
        return entry.code

    def _same(self, entry: Entry, found: Resolution) -> bool:
        """Say whether a name that is not exactly a known one means it: only if the prices agree too."""
        if found.matched_by == "exact" or found.sku is None:
            return True
        current = self._current((found.sku.provider, found.sku.code, "standard", ""))
        return current is not None and _agree(current.components, entry.prices["standard"])

    def _adopt(self, entry: Entry, found: Resolution) -> None:
        """Add a model of its own; where the provider sells at the maker's list price, with the maker's prices."""
        model = self.prices.add(litellm.listed(entry))
        self.codes[model.provider, model.code.lower()] = model.code
        if found.sku is None or not found.fallback:
            return
        for quote in self.timeline[found.sku.provider, found.sku.code, "standard", ""]:
            self._put(replace(quote, provider=entry.provider, code=entry.code, source_ref=str(found.sku)))

    def take(self, group: list[tuple[Entry, str]]) -> None:
        """Complete one model, or one region of it, by what the first entry of a group says."""
        entry, code = group[0]
        model = self.prices.models[entry.provider, code]
        model.max_output_tokens = model.max_output_tokens or entry.max_output_tokens
        model.context_window = model.context_window or entry.context_window
        standard, *tiers = litellm.quotes(entry, code, entry.prices)
        self._complete(standard)
        known = self._current(standard.key) or self._current((standard.provider, code, "standard", ""))
        if known is None or not _agree(known.components, standard.components):
            # A list that errs on the standard price is not believed about the other tiers.
            return
        for quote in tiers:
            self._complete(quote)

    def _complete(self, quote: Quote) -> None:
        known = self._current(quote.key)
        if known is None:
            if not self._is_base_price(quote):
                self._put(quote)
            return
        self.prices.disagreements.extend(_disagreements(known, quote))
        if not _agree(known.components, quote.components):
            return
        if quote.service_tier == "standard":
            self._add_meters(known, quote)
        self._fill_before(quote)

    def _is_base_price(self, quote: Quote) -> bool:
        """Say whether a region costs what the model costs anywhere: then it needs no prices of its own."""
        if not quote.region:
            return False
        base = self._current((quote.provider, quote.code, quote.service_tier, ""))
        return (
            base is not None and _agree(base.components, quote.components) and _agree(quote.components, base.components)
        )

    def _add_meters(self, known: Quote, quote: Quote) -> None:
        """Add prices of meters that the first list does not name to its latest version."""
        named = _plain(known.components)
        extra = tuple(
            component
            for component in quote.components
            if component.meter not in named and not _is_implied(component, named)
        )
        if extra:
            completed = replace(known, components=known.components + extra, source=SOURCE, source_ref=quote.source_ref)
            self._replace(known, completed)

    def _fill_before(self, quote: Quote) -> None:
        """Let the second list speak for the time before the first one's prices of this tier begin."""
        start = self.timeline[quote.key][0].valid_from
        if start is not None:
            self._put(replace(quote, valid_to=start), first=True)

    def _current(self, key: Key) -> Quote | None:
        timeline = self.timeline.get(key)
        return timeline[-1] if timeline else None

    def _put(self, quote: Quote, *, first: bool = False) -> None:
        self.prices.quotes.append(quote)
        self.timeline[quote.key].insert(0 if first else len(self.timeline[quote.key]), quote)

    def _replace(self, known: Quote, completed: Quote) -> None:
        self.timeline[known.key][-1] = completed
        self.prices.quotes[self.prices.quotes.index(known)] = completed


def _agree(used: Iterable[Component], other: Iterable[Component]) -> bool:
    """Say whether two lists charge the same for plain input and output, as far as both name them."""
    ours, theirs = _plain(used), _plain(other)
    shared = [meter for meter in _BASES if meter in ours and meter in theirs]
    return bool(shared) and all(_close(ours[meter].unit_price, theirs[meter].unit_price) for meter in shared)


def _is_implied(component: Component, named: Mapping[str, Component]) -> bool:
    """Say whether a part costs what its whole costs: naming it would only bring in the other list's rounding."""
    whole = named.get(PARENTS.get(component.meter, ""))
    return whole is not None and not whole.tiers and _close(whole.unit_price, component.unit_price)


def _plain(components: Iterable[Component]) -> dict[str, Component]:
    return {component.meter: component for component in components if component.window is None}


def _close(used: Decimal, other: Decimal) -> bool:
    return abs(used - other) <= max(used, other) * TOLERANCE


def _disagreements(used: Quote, other: Quote) -> Iterator[Disagreement]:
    ours, theirs = _plain(used.components), _plain(other.components)
    for meter in sorted(ours.keys() & theirs.keys()):
        if ours[meter].per != theirs[meter].per:
            continue
        for label, price, counterpart in _points(ours[meter], theirs[meter]):
            if not _close(price, counterpart):
                yield Disagreement(
                    used.provider,
                    used.code,
                    used.service_tier,
                    label,
                    used.source,
                    price,
                    other.source if not other.region else f"{other.source} {other.region}",
                    counterpart,
                )


def _points(ours: Component, theirs: Component) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Yield (label, our price, their price) below every threshold and just above each that either list knows."""
    yield ours.meter, ours.unit_price, theirs.unit_price
    for above in sorted({tier.above for tier in (*ours.tiers, *theirs.tiers)}):
        yield f"{ours.meter} > {above:f}", _above(ours, above), _above(theirs, above)


def _above(component: Component, above: Decimal) -> Decimal:
    reached = [tier.price for tier in component.tiers if tier.above <= above]
    return reached[-1] if reached else component.unit_price
