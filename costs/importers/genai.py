"""The price list of the genai-prices package: every provider, with the dates from which prices hold.

The package costs about a second and 40 MB to import, so it is imported in here, when prices are read, and nowhere
else. Its own updates over the network are never started.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costs.choices import CostType
from costs.importers.quotes import ListedModel, PriceList, Quote, SourceError
from costs.pricing import Component, Tier

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

SOURCE = "genai-prices"

# Their price key: our meter and the number of units a price is for.
METERS: dict[str, tuple[str, int]] = {
    "input_mtok": ("input_tokens", 1_000_000),
    "output_mtok": ("output_tokens", 1_000_000),
    "cache_read_mtok": ("cache_read_tokens", 1_000_000),
    "cache_write_mtok": ("cache_write_tokens", 1_000_000),
    "cache_write_1h_mtok": ("cache_write_1h_tokens", 1_000_000),
    "input_audio_mtok": ("audio_input_tokens", 1_000_000),
    "input_image_mtok": ("image_input_tokens", 1_000_000),
    "input_video_mtok": ("video_input_tokens", 1_000_000),
    "input_tool_mtok": ("tool_input_tokens", 1_000_000),
    "cache_audio_read_mtok": ("cache_read_audio_tokens", 1_000_000),
    "cache_image_read_mtok": ("cache_read_image_tokens", 1_000_000),
    "cache_video_read_mtok": ("cache_read_video_tokens", 1_000_000),
    "cache_audio_write_mtok": ("cache_write_audio_tokens", 1_000_000),
    "output_audio_mtok": ("audio_output_tokens", 1_000_000),
    "output_image_mtok": ("image_output_tokens", 1_000_000),
    "output_video_mtok": ("video_output_tokens", 1_000_000),
    "output_reasoning_mtok": ("reasoning_tokens", 1_000_000),
    "output_citation_mtok": ("citation_tokens", 1_000_000),
    "input_mchars": ("input_characters", 1_000_000),
    "input_text_messages_kcount": ("text_messages", 1_000),
    "audio_hours": ("audio_seconds", 3_600),
    "input_audio_hours": ("audio_input_seconds", 3_600),
    "output_audio_hours": ("audio_output_seconds", 3_600),
    "input_gpixels": ("input_pixels", 1_000_000_000),
    "input_document_kpages": ("pages", 1_000),
    "input_annotated_document_kpages": ("annotated_pages", 1_000),
    "rerank_searches_kcount": ("rerank_searches", 1_000),
    "web_searches_kcount": ("web_searches", 1_000),
    "social_searches_kcount": ("social_searches", 1_000),
    "storage_searches_kcount": ("storage_searches", 1_000),
    "code_executions_kcount": ("code_executions", 1_000),
    "requests_kcount": ("requests", 1_000),
}

# Their context of a request: our service tier.
CONTEXTS: dict[str, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
_ALIAS_KINDS = {
    "ClauseEquals": ("exact", "equals"),
    "ClauseStartsWith": ("prefix", "starts_with"),
    "ClauseEndsWith": ("suffix", "ends_with"),
    "ClauseContains": ("contains", "contains"),
    "ClauseRegex": ("regex", "regex"),
}
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def fingerprint() -> dict[str, str]:
    """Return the installed version and a hash of its data, without importing it."""
    import hashlib

    spec = util.find_spec("genai_prices")
    if spec is None or spec.origin is None:
        raise SourceError("the package genai-prices is not installed: install requirements.txt")
    data = Path(spec.origin).with_name("data.py").read_bytes()
    return {"version": metadata.version("genai-prices"), "sha256": hashlib.sha256(data).hexdigest()}


def read() -> PriceList:
    """Return the whole price list of the installed package. Raises SourceError for a unit or a rule we do not know."""
    from genai_prices.data import providers  # heavy, see above

    prices = PriceList(SOURCE)
    for provider in providers:
        taken: set[tuple[str, str]] = set()
        for model in provider.models:
            listed = ListedModel(
                provider=provider.id,
                code=model.id,
                name=(model.name or "")[:200],
                cost_type=CostType.EMBEDDING if "embed" in model.id.lower() else CostType.LLM_API,
                context_window=model.context_window,
                aliases=_aliases(model, taken),
            )
            if prices.add(listed) is listed:
                prices.quotes.extend(_quotes(prices, provider, model))
    return prices


def _aliases(model: ModelInfo, taken: set[tuple[str, str]]) -> list[tuple[str, str]]:
    found = []
    for alias in _clauses(model.match):
        if alias not in taken and alias != ("exact", model.id.lower()):
            taken.add(alias)
            found.append(alias)
    return found


def _clauses(clause: Any) -> Iterator[tuple[str, str]]:
    name = type(clause).__name__
    if name == "ClauseOr":
        for inner in clause.or_:
            yield from _clauses(inner)
    elif name == "ClauseAnd":
        yield "regex", _conjunction([alias for inner in clause.and_ for alias in _clauses(inner)])
    elif name in _ALIAS_KINDS:
        kind, attribute = _ALIAS_KINDS[name]
        text = getattr(clause, attribute)
        yield kind, text if kind == "regex" else text.lower()
    else:
        raise SourceError(f"unknown rule {name} in genai-prices: the importer has to learn it")


def _conjunction(aliases: list[tuple[str, str]]) -> str:
    """Return one expression for several rules that must all hold; the first literal one is what it consumes."""
    literal = next(index for index, (kind, _) in enumerate(aliases) if kind != "regex")
    conditions = "".join(
        f"(?=.*(?:{text if kind == 'regex' else _literal(kind, text)}))"
        for index, (kind, text) in enumerate(aliases)
        if index != literal
    )
    kind, text = aliases[literal]
    return f"^{conditions}" + ("" if kind in {"prefix", "exact"} else ".*") + _literal(kind, text).lstrip("^")


def _literal(kind: str, text: str) -> str:
    start = "^" if kind in {"prefix", "exact"} else ""
    return start + re.escape(text) + ("$" if kind in {"suffix", "exact"} else "")


def _quotes(prices: PriceList, provider: Provider, model: ModelInfo) -> Iterator[Quote]:
    yield from _tier_quotes(prices, provider, model, "standard")
    for tier, context in CONTEXTS.items():
        if any(variant.when == context for variant in model.price_variants or ()):
            yield from _tier_quotes(prices, provider, model, tier)


def _tier_quotes(prices: PriceList, provider: Provider, model: ModelInfo, tier: str) -> Iterator[Quote]:
    starts: list[datetime | None] = [None, *_start_dates(model, tier)]
    timeline: list[tuple[datetime | None, tuple[Component, ...]]] = []
    for index, start in enumerate(starts):
        following = starts[index + 1] if index + 1 < len(starts) else None
        day = start or (following - timedelta(days=1) if following else _ANY_DAY)
        components = _components(prices, model, day, tier)
        if not timeline or timeline[-1][1] != components:
            timeline.append((start, components))
    for index, (start, components) in enumerate(timeline):
        end = timeline[index + 1][0] if index + 1 < len(timeline) else None
        if components:
            yield Quote(provider.id, model.id, tier, "", start, end, components, SOURCE)


def _start_dates(model: ModelInfo, tier: str) -> list[datetime]:
    conditional = model.prices if isinstance(model.prices, list) else []
    variants = [variant for variant in model.price_variants or () if variant.when == CONTEXTS.get(tier)]
    constraints = [item.constraint for item in conditional] + [variant.constraint for variant in variants]
    dates = {getattr(constraint, "start_date", None) for constraint in constraints}
    return sorted(datetime.combine(date, time.min, UTC) for date in dates if date is not None)


def _components(prices: PriceList, model: ModelInfo, day: datetime, tier: str) -> tuple[Component, ...]:
    """Return the prices of one day: those of most of it around the clock, the others with their window."""
    edges = sorted({time.min, *_edges(model)})
    spans = [
        (start, edges[(index + 1) % len(edges)], _at(prices, model, datetime.combine(day.date(), start, UTC), tier))
        for index, start in enumerate(edges)
    ]
    usual = max(spans, key=lambda span: sum(_minutes(other) for other in spans if other[2] == span[2]))[2]
    found = list(usual.values())
    for start, end, components in spans:
        if components.keys() != usual.keys():
            raise SourceError(f"{model.id}: a time of day changes what is charged, not only the price")
        found += [
            _within(component, start, end) for meter, component in components.items() if component != usual[meter]
        ]
    return tuple(found)


def _edges(model: ModelInfo) -> Iterator[time]:
    for item in model.prices if isinstance(model.prices, list) else []:
        for edge in ("start_time", "end_time"):
            value = getattr(item.constraint, edge, None)
            if value is not None:
                moment = datetime.combine(_ANY_DAY.date(), value, value.tzinfo or UTC)
                yield moment.astimezone(UTC).time()


def _minutes(span: tuple[time, time, object]) -> int:
    start, end, _ = span
    length = (end.hour - start.hour) * 60 + end.minute - start.minute
    return length if length > 0 else length + 24 * 60


def _within(component: Component, start: time, end: time) -> Component:
    return Component(
        component.meter,
        component.unit_price,
        component.per,
        component.mode,
        component.tiers,
        component.threshold_meter,
        (start, end),
    )


def _at(prices: PriceList, model: ModelInfo, moment: datetime, tier: str) -> dict[str, Component]:
    context = CONTEXTS.get(tier)
    if context and not any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(moment))
        for variant in model.price_variants or ()
    ):
        return {}
    found = dict(_translated(prices, model.get_prices(moment, context)))
    if not found and model.id.endswith(":free"):
        # Their list has no numbers for what the provider itself calls free; elsewhere no numbers mean no price.
        return {meter: Component(meter, Decimal(0)) for meter in ("input_tokens", "output_tokens")}
    return found


def _translated(prices: PriceList, listed: ModelPrice) -> Iterator[tuple[str, Component]]:
    for key, value in listed.__dict__.items():
        if value is None:
            continue
        if key not in METERS:
            raise SourceError(f"unknown unit {key} in genai-prices: the importer has to learn it")
        meter, per = METERS[key]
        if isinstance(value, Decimal):
            yield meter, Component(meter, prices.tidy(value), per)
        else:
            tiers = tuple(Tier(Decimal(tier.start), prices.tidy(tier.price)) for tier in value.tiers)
            yield meter, Component(meter, prices.tidy(value.base), per, "threshold_all", tiers)
