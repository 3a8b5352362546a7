"""LiteLLM's price map: service tiers, one-hour cache writes and models that other lists do not have.

A trimmed copy of the map lies in costs/data (see the notice there); the package itself is not needed. The map has no
dates: what it says holds now. Its numbers are binary floats written as text, read here as decimals.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from costs.choices import CostType
from costs.importers.quotes import ListedModel, PriceList, Quote, SourceError
from costs.pricing import Component, Tier, provider_name

SOURCE = "litellm"
DATA = Path(__file__).resolve().parent.parent / "data" / "litellm_prices.json.gz"
_IN_WHEEL = "litellm/model_prices_and_context_window_backup.json"

# Their key: our meter and the number of units that our price is for (theirs are always for one).
METERS: dict[str, tuple[str, int]] = {
    "input_cost_per_token": ("input_tokens", 1_000_000),
    "output_cost_per_token": ("output_tokens", 1_000_000),
    "cache_read_input_token_cost": ("cache_read_tokens", 1_000_000),
    "cache_creation_input_token_cost": ("cache_write_tokens", 1_000_000),
    "cache_creation_input_token_cost_above_1hr": ("cache_write_1h_tokens", 1_000_000),
    "cache_read_input_audio_token_cost": ("cache_read_audio_tokens", 1_000_000),
    "cache_read_input_image_token_cost": ("cache_read_image_tokens", 1_000_000),
    "cache_creation_input_audio_token_cost": ("cache_write_audio_tokens", 1_000_000),
    "input_cost_per_audio_token": ("audio_input_tokens", 1_000_000),
    "input_cost_per_image_token": ("image_input_tokens", 1_000_000),
    "input_cost_per_video_token": ("video_input_tokens", 1_000_000),
    "output_cost_per_audio_token": ("audio_output_tokens", 1_000_000),
    "output_cost_per_image_token": ("image_output_tokens", 1_000_000),
    "output_cost_per_video_token": ("video_output_tokens", 1_000_000),
    "output_cost_per_reasoning_token": ("reasoning_tokens", 1_000_000),
    "citation_cost_per_token": ("citation_tokens", 1_000_000),
    "input_cost_per_character": ("input_characters", 1_000_000),
    "output_cost_per_character": ("output_characters", 1_000_000),
    "input_cost_per_pixel": ("input_pixels", 1_000_000_000),
    "output_cost_per_pixel": ("output_pixels", 1_000_000_000),
    "input_cost_per_image": ("input_images", 1),
    "output_cost_per_image": ("output_images", 1),
    "input_cost_per_second": ("audio_seconds", 3_600),
    "input_cost_per_audio_per_second": ("audio_input_seconds", 3_600),
    "output_cost_per_second": ("output_seconds", 1),
    "output_cost_per_second_480p": ("output_seconds_480p", 1),
    "output_cost_per_second_720p": ("output_seconds_720p", 1),
    "output_cost_per_second_1080p": ("output_seconds_1080p", 1),
    "output_cost_per_second_4k": ("output_seconds_4k", 1),
    "cost_per_second": ("seconds", 3_600),
    "input_cost_per_query": ("queries", 1_000),
    "input_cost_per_request": ("requests", 1_000),
    "input_cost_per_text_message": ("text_messages", 1_000),
    "ocr_cost_per_page": ("pages", 1_000),
    "annotation_cost_per_page": ("annotated_pages", 1_000),
    "code_interpreter_cost_per_session": ("code_sessions", 1),
    "google_maps_grounding_cost_per_query": ("map_searches", 1_000),
}
TIERS = {"batches": "batch", "flex": "flex", "priority": "priority"}
_SEARCH = "search_context_cost_per_query"
_KEPT = {
    "litellm_provider",
    "mode",
    "max_input_tokens",
    "max_output_tokens",
    "tiered_pricing",
    "off_peak_pricing",
    _SEARCH,
}
_KEY = re.compile(r"^(?P<base>.+?)(?:_above_(?P<k>\d+)k_tokens)?(?:_(?P<tier>batches|flex|priority))?$")
_AWS_REGION = re.compile(r"^[a-z]{2}(?:-gov)?-[a-z]+-\d$")
_COST_TYPES = {"embedding": CostType.EMBEDDING, "search": CostType.TOOL_USAGE}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the map, its name taken apart; `prices` are by service tier."""

    name: str
    provider: str
    code: str
    region: str
    cost_type: str
    context_window: int | None
    max_output_tokens: int | None
    prices: Mapping[str, tuple[Component, ...]]


def fingerprint() -> dict[str, str]:
    """Return the version of the trimmed copy and a hash of its data, without reading its prices."""
    data = DATA.read_bytes()
    # The keys are sorted, so the version is the last thing in the document.
    found = re.search(rb'"version":"([^"]*)"\}$', gzip.decompress(data))
    if found is None:
        raise SourceError(f"{DATA.name} is not a trimmed price map")
    return {"version": found[1].decode(), "sha256": hashlib.sha256(data).hexdigest()}


def read() -> tuple[PriceList, list[Entry]]:
    """Return the map's entries with an empty list to count roundings in; entries without a price are left out."""
    prices = PriceList(SOURCE)
    entries = []
    for name, values in sorted(_load()["entries"].items()):
        place = _place(name, values.get("litellm_provider") or "")
        if place is None:
            continue
        tiers = _tiers(prices, values)
        if tiers:
            entries.append(_entry(name, place, values, tiers))
    return prices, entries


def _load() -> dict[str, Any]:
    with gzip.open(DATA, "rt", encoding="utf-8") as file:
        loaded: dict[str, Any] = json.load(file, parse_float=Decimal, parse_int=Decimal)
    return loaded


def _entry(
    name: str, place: tuple[str, str, str], values: Mapping[str, Any], tiers: dict[str, tuple[Component, ...]]
) -> Entry:
    provider, code, region = place
    return Entry(
        name,
        provider,
        code,
        region,
        _COST_TYPES.get(values.get("mode", ""), CostType.LLM_API),
        _count(values.get("max_input_tokens")),
        _count(values.get("max_output_tokens")),
        tiers,
    )


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, Decimal) and value > 0 else None


def _place(name: str, listed_provider: str) -> tuple[str, str, str] | None:
    """Return (provider, the provider's own name of the model, region), or nothing for what is not a model's price."""
    provider = provider_name(listed_provider)
    if not provider or "commitment" in name:
        return None
    first, _, rest = name.partition("/")
    code = rest if rest and (first == listed_provider or provider_name(first) == provider) else name
    head, _, tail = code.partition("/")
    if provider == "aws" and _AWS_REGION.match(head):
        return provider, tail, head
    if provider == "azure" and head in {"eu", "us"} and tail:
        return provider, tail, head
    if provider == "azure" and head in {"global", "global-standard"} and tail:
        return provider, tail, ""
    return provider, code, ""


@cache
def _parsed(key: str) -> tuple[str, Decimal, str]:
    """Return a key's base, the number of tokens above which it holds (or 0) and the tier it is for (or nothing)."""
    parsed = _KEY.match(key)
    if parsed is None:
        return "", Decimal(0), ""
    return parsed["base"], Decimal(parsed["k"] or 0) * 1000, parsed["tier"] or ""


def _tiers(prices: PriceList, values: Mapping[str, Any]) -> dict[str, tuple[Component, ...]]:
    """Return the components of each service tier; a tier takes from the standard prices what it does not name."""
    standard = _components(prices, values, "", {})
    if not any(component.unit_price for component in standard.values()):
        # Nought stands for "unknown" in this map as often as for free.
        return {}
    tiers = {"standard": tuple(standard.values())}
    for suffix, tier in TIERS.items():
        own = _components(prices, values, suffix, standard)
        if "input_tokens" in own or "output_tokens" in own:
            tiers[tier] = tuple((standard | own).values())
    return tiers


def _components(
    prices: PriceList, values: Mapping[str, Any], suffix: str, standard: Mapping[str, Component]
) -> dict[str, Component]:
    bases: dict[str, Decimal] = {}
    steps: dict[str, list[Tier]] = {}
    for key, value in values.items():
        base, above, tier = _parsed(key)
        if base not in METERS or tier != suffix or not isinstance(value, Decimal):
            continue
        meter, per = METERS[base]
        price = prices.tidy(value * per)
        if above:
            steps.setdefault(meter, []).append(Tier(above, price))
        else:
            bases[meter] = price
    # A long request in a tier that names no price for long requests pays the standard price of one.
    inherited = {meter: component.tiers for meter, component in standard.items()}
    found = {
        meter: _component(meter, price, steps.get(meter) or inherited.get(meter, ())) for meter, price in bases.items()
    }
    if not suffix:
        found |= _ranges(prices, values.get("tiered_pricing") or [])
        found |= _searches(prices, values.get(_SEARCH) or {})
    return found


_PER = dict(METERS.values())


def _component(meter: str, price: Decimal, tiers: Iterable[Tier]) -> Component:
    ordered: list[Tier] = []
    for tier in sorted(tiers, key=lambda tier: tier.above):
        if tier.price != (ordered[-1].price if ordered else price):
            ordered.append(tier)
    return Component(meter, price, _PER[meter], "threshold_all" if ordered else "flat", tuple(ordered))


def _ranges(prices: PriceList, ranges: list[dict[str, Any]]) -> dict[str, Component]:
    """Return prices that depend on the request's total input, given as a list of ranges (from, to]."""
    steps: dict[str, list[Tier]] = {}
    for part in ranges:
        if "range" not in part:
            return {}
        above = Decimal(part["range"][0])
        for key, value in part.items():
            if key in METERS and isinstance(value, Decimal):
                meter, per = METERS[key]
                steps.setdefault(meter, []).append(Tier(above, prices.tidy(value * per)))
    return {
        meter: _component(meter, tiers[0].price, tiers[1:]) for meter, tiers in steps.items() if tiers[0].above == 0
    }


def _searches(prices: PriceList, sizes: Mapping[str, Any]) -> dict[str, Component]:
    """Return the price of web searches: of medium context under the plain name, of others where they differ."""
    found = {}
    medium = sizes.get("search_context_size_medium")
    for size in ("medium", "low", "high"):
        value = sizes.get(f"search_context_size_{size}")
        if isinstance(value, Decimal) and (size == "medium" or value != medium):
            meter = "web_searches" if size == "medium" else f"web_searches_{size}"
            found[meter] = Component(meter, prices.tidy(value * 1000), 1000)
    return found


def quotes(entry: Entry, code: str, tiers: Iterable[str], since: datetime | None = None) -> Iterator[Quote]:
    """Yield what an entry says about these tiers, under the code of the SKU that it was found to mean."""
    for tier in tiers:
        if tier in entry.prices:
            yield Quote(entry.provider, code, tier, entry.region, since, None, entry.prices[tier], SOURCE, entry.name)


def listed(entry: Entry) -> ListedModel:
    """Return an entry as a model of its own."""
    return ListedModel(
        provider=entry.provider,
        code=entry.code,
        cost_type=entry.cost_type,
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
    )


def trim(source: Path, version: str, date: str) -> int:
    """Write the trimmed copy from a LiteLLM wheel or its JSON file, and return how many entries it has.

    Raises SourceError when the file is neither.
    """
    entries = {}
    for name, values in _raw(source).items():
        kept = {key: value for key, value in values.items() if _is_used(key)}
        if name != "sample_spec" and kept.get("litellm_provider") and len(kept) > 1:
            entries[name] = kept
    document = {"version": version, "date": date, "entries": entries}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    # No time stamp in the file: the same map gives the same bytes.
    DATA.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    return len(entries)


def _raw(source: Path) -> dict[str, dict[str, Any]]:
    try:
        if zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as wheel:
                content = wheel.read(_IN_WHEEL)
        else:
            content = source.read_bytes()
        loaded = json.loads(content)
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{source} is neither a LiteLLM wheel nor its price map: {error}") from error
    if not isinstance(loaded, dict) or not all(isinstance(values, dict) for values in loaded.values()):
        raise SourceError(f"{source} is not LiteLLM's price map")
    return loaded


def _is_used(key: str) -> bool:
    return key in _KEPT or _parsed(key)[0] in METERS
