"""Where a cost belongs (entity, type, provider, model, tier, region), judged once per combination and remembered.

A batch repeats few combinations many times, so everything about them is checked and rendered once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from core.errors import FieldError
from costs.choices import ServiceTier
from costs.inputs import CostItem
from costs.pricing import service_tier

PlaceKey = tuple[str, str, str, str, str, str, str]

_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_TIERS = frozenset(ServiceTier.values)
# Control characters and lone surrogates: no identifier needs them, and no database takes all of them.
_FORBIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LONGEST = {"entity_id": 200, "provider": 64, "model": 160, "region": 40}
MOST_REMEMBERED = 50_000


class Place(msgspec.Struct, gc=False):
    """One combination: its mistakes, or what is needed to write it."""

    entity_type: str
    entity_id: str
    cost_type: str
    provider: str
    model: str
    service_tier: str
    region: str
    errors: tuple[FieldError, ...]
    # Type and id of the entity, as entities are looked up.
    entity: tuple[str, str]
    # The columns after the entity's key as COPY text.
    copy_text: str


_remembered: dict[PlaceKey, Place] = {}


def place_of(item: CostItem) -> Place:
    """Return the place of an item; wrong ones are not remembered, or nonsense could fill the memory."""
    key = (
        item.entity_type,
        item.entity_id,
        item.cost_type,
        item.provider,
        item.model,
        item.service_tier,
        item.region,
    )
    place = _remembered.get(key)
    if place is None:
        place = _judge(key)
        if not place.errors:
            if len(_remembered) >= MOST_REMEMBERED:
                _remembered.clear()
            _remembered[key] = place
    return place


def copy_escaped(text: str) -> str:
    r"""Return `text` for PostgreSQL's COPY text format, where \, tab and line ends have a meaning."""
    if text.isprintable() and "\\" not in text:
        return text
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def is_clean(text: str) -> bool:
    """Say whether a text holds no control character and no lone surrogate."""
    return text.isprintable() or _FORBIDDEN.search(text) is None


def _judge(key: PlaceKey) -> Place:
    entity_type, entity_id, cost_type, provider, model, tier, region = key
    tier = service_tier(tier)
    errors = tuple(_mistakes(entity_type, entity_id, cost_type, provider, model, tier, region))
    columns = (cost_type, provider, model, tier, region)
    copy_text = "\t".join(copy_escaped(column) for column in columns)
    return Place(
        entity_type, entity_id, cost_type, provider, model, tier, region, errors, (entity_type, entity_id), copy_text
    )


def _mistakes(*values: str) -> Iterator[FieldError]:
    entity_type, entity_id, cost_type, provider, model, tier, region = values
    for name, word in (("entity_type", entity_type), ("cost_type", cost_type)):
        if not _WORD.match(word):
            detail = "lower-case letters, digits and _, starting with a letter, at most 32"
            yield FieldError(f"/{name}", "pattern", detail)
    texts = {"entity_id": entity_id, "provider": provider, "model": model, "region": region}
    for name, text in texts.items():
        if len(text) > _LONGEST[name]:
            yield FieldError(f"/{name}", "max_length", f"at most {_LONGEST[name]} characters")
        if not is_clean(text):
            yield FieldError(f"/{name}", "pattern", "no control characters")
        if text != text.strip():
            yield FieldError(f"/{name}", "pattern", "no space at the beginning or end")
    if not entity_id:
        yield FieldError("/entity_id", "required", "names the entity that spends")
    if tier not in _TIERS:
        yield FieldError("/service_tier", "not_a_choice", f"one of {', '.join(sorted(_TIERS))}")
