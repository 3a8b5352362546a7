"""Which SKU a name means: exact names before patterns, an operator's alias before ours, and never a similar one."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from costs.pricing.names import (
    FALLBACK_PROVIDERS,
    ROUTERS,
    harmless,
    maker,
    provider_name,
    spellings,
)


@dataclass(frozen=True, slots=True)
class SkuEntry:
    """A priced thing under the provider's own name for it."""

    id: int
    provider: str
    code: str
    max_output_tokens: int | None = None
    context_window: int | None = None

    def __str__(self) -> str:
        return f"{self.provider}/{self.code}"


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a SKU. A blank provider means whichever provider is named."""

    sku_id: int
    provider: str
    kind: str
    pattern: str
    built_in: bool = False


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a name was found to mean and how; or nothing, and why not."""

    sku: SkuEntry | None
    matched_by: str = ""
    reason: str = ""
    fallback: bool = False


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A compiled alias that is not an exact name."""

    sku: SkuEntry
    expression: re.Pattern[str]
    specificity: int
    built_in: bool
    label: str

    def matches(self, name: str) -> bool:
        found = self.expression.search(name)
        if found is None:
            return False
        # An operator's pattern means what it says; ours must not swallow a model that only begins alike.
        return not self.built_in or harmless(name[: found.start()], name[found.end() :])


def _specificity(alias: Alias) -> int:
    """Return how much of a name the pattern fixes: its literal characters."""
    if alias.kind != "regex":
        return len(alias.pattern)
    return len(re.sub(r"\\[a-zA-Z]|\{[^}]*\}|\[[^\]]*\]|\(\?[^)]*\)|[\\^$.*+?()|]", "", alias.pattern))


def _expression(alias: Alias) -> re.Pattern[str]:
    if alias.kind == "regex":
        return re.compile(alias.pattern, re.IGNORECASE)
    text = re.escape(alias.pattern.lower())
    return re.compile({"prefix": f"^{text}", "suffix": f"{text}$"}.get(alias.kind, text))


class Catalog:
    """The names of everything that is priced, compiled for look-up. Immutable once built, except for its memory."""

    MEMORY = 20_000

    def __init__(self, skus: Iterable[SkuEntry], aliases: Iterable[Alias]) -> None:
        self.skus = {sku.id: sku for sku in skus}
        self._operator: dict[tuple[str, str], SkuEntry] = {}
        self._exact: dict[tuple[str, str], SkuEntry] = {}
        self._sellers: dict[str, dict[str, SkuEntry]] = defaultdict(dict)
        patterns: dict[str, list[_Pattern]] = defaultdict(list)
        for alias in aliases:
            self._add(alias, patterns)
        for sku in self.skus.values():
            # A SKU's own code outranks an alias of another one.
            self._exact[sku.provider, sku.code.lower()] = sku
            self._sellers[sku.code.lower()][sku.provider] = sku
        self._patterns = {
            provider: sorted(found, key=lambda item: (-item.specificity, item.built_in, item.sku.id, item.label))
            for provider, found in patterns.items()
        }
        self.providers = frozenset(sku.provider for sku in self.skus.values())
        self._memory: dict[tuple[str, str], Resolution] = {}

    def _add(self, alias: Alias, patterns: dict[str, list[_Pattern]]) -> None:
        sku = self.skus[alias.sku_id]
        if alias.kind == "exact":
            key = (alias.provider, alias.pattern.lower())
            if alias.built_in:
                self._exact.setdefault(key, sku)
                self._sellers[key[1]].setdefault(alias.provider, sku)
            else:
                self._operator[key] = sku
            return
        patterns[alias.provider].append(
            _Pattern(sku, _expression(alias), _specificity(alias), alias.built_in, f"{alias.kind} {alias.pattern}")
        )

    def resolve(self, provider: str, model: str) -> Resolution:
        """Return what `model` of `provider` means; both may be in any spelling, the provider may be blank."""
        key = (provider, model)
        found = self._memory.get(key)
        if found is None:
            found = self._resolve(provider_name(provider), model.strip().lower())
            if len(self._memory) >= self.MEMORY:
                self._memory.clear()
            self._memory[key] = found
        return found

    def _resolve(self, provider: str, model: str) -> Resolution:
        if not model:
            return Resolution(None, reason="no model is named")
        if found := self._by_operator(provider, model):
            return found
        if provider and provider not in ROUTERS:
            return self._of_provider(provider, model) or self._unknown(provider, model)
        return self._anywhere(model)

    def _by_operator(self, provider: str, model: str) -> Resolution | None:
        for owner in (provider, "") if provider else ("",):
            if sku := self._operator.get((owner, model)):
                return Resolution(sku, "operator alias")
        return None

    def _of_provider(self, provider: str, model: str) -> Resolution | None:
        if found := self._within(provider, model):
            return found
        if found := self._without_provider_path(provider, model):
            return found
        for other in FALLBACK_PROVIDERS.get(provider, ()):
            if found := self._within(other, model):
                return Resolution(found.sku, f"{found.matched_by}, at the list price of {other}", fallback=True)
        return None

    def _without_provider_path(self, provider: str, model: str) -> Resolution | None:
        """Read `openai/gpt-4o` of provider openai as gpt-4o; a path of somebody else stays what it is."""
        first, _, rest = model.partition("/")
        if rest and provider_name(first) == provider:
            return self._within(provider, rest)
        return None

    def _within(self, provider: str, model: str) -> Resolution | None:
        for spelling, how in spellings(model):
            if sku := self._exact.get((provider, spelling)):
                return Resolution(sku, how)
            # The rules of the catalogue are written for full names; only a fine-tune's owner is never part of one.
            if how in {"exact", "path", "fine-tune"} and (found := self._by_pattern(provider, spelling)):
                return found
        return None

    def _by_pattern(self, provider: str, model: str) -> Resolution | None:
        candidates = [
            pattern for owner in (provider, "") for pattern in self._patterns.get(owner, ()) if pattern.matches(model)
        ]
        if not candidates:
            return None
        best = min(candidates, key=lambda item: (-item.specificity, item.built_in))
        return Resolution(best.sku, best.label)

    def _anywhere(self, model: str) -> Resolution:
        first, _, rest = model.partition("/")
        named = provider_name(first)
        if rest and named in self.providers and (found := self._of_provider(named, rest)):
            return found
        sellers = self._sellers.get(model, {})
        if len(sellers) == 1:
            return Resolution(next(iter(sellers.values())), "exact")
        home = maker(model)
        if home and (found := self._within(home, model)):
            return found
        if sellers:
            names = ", ".join(sorted(sellers))
            return Resolution(None, reason=f"{model!r} is sold by several providers ({names}): name one")
        return self._unknown("", model)

    def _unknown(self, provider: str, model: str) -> Resolution:
        of = f" of provider {provider!r}" if provider else ""
        return Resolution(None, reason=f"the price book has no model {model!r}{of}")

    def nearest(self, model: str, provider: str = "", limit: int = 5) -> list[str]:
        """Return the known names most like `model` as provider/code, the most alike first; for people only."""
        wanted, owner = model.strip().lower().rpartition("/")[2], provider_name(provider)
        names = dict.fromkeys(self._names(owner)) or dict.fromkeys(self._names(""))
        bare = defaultdict(list)
        for name in names:
            bare[name.rpartition("/")[2]].append(name)
        close = difflib.get_close_matches(wanted, list(bare), n=limit, cutoff=0.5)
        home = maker(wanted)
        ranked = [name for found in close for name in sorted(bare[found], key=lambda item: not item.startswith(home))]
        return ranked[:limit]

    def _names(self, provider: str) -> Iterator[str]:
        return (str(sku) for sku in self.skus.values() if not provider or sku.provider == provider)
