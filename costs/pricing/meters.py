"""Names of what is counted, and how the inclusive counts that senders report become meters that do not overlap."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

Quantity = int | Decimal


class PricingInputError(ValueError):
    """The quantities contradict each other or are not quantities at all; nothing can be priced from them."""


TOTAL_INPUT = "total_input_tokens"

# A meter that a price list does not name is charged as the meter it is a part of.
PARENTS: Mapping[str, str] = MappingProxyType(
    {
        "cache_read_tokens": "input_tokens",
        "cache_write_tokens": "input_tokens",
        "cache_write_1h_tokens": "cache_write_tokens",
        "audio_input_tokens": "input_tokens",
        "image_input_tokens": "input_tokens",
        "video_input_tokens": "input_tokens",
        "tool_input_tokens": "input_tokens",
        "cache_read_audio_tokens": "cache_read_tokens",
        "cache_read_image_tokens": "cache_read_tokens",
        "cache_read_video_tokens": "cache_read_tokens",
        "cache_write_audio_tokens": "cache_write_tokens",
        "reasoning_tokens": "output_tokens",
        "audio_output_tokens": "output_tokens",
        "image_output_tokens": "output_tokens",
        "video_output_tokens": "output_tokens",
        "citation_tokens": "output_tokens",
        "audio_input_seconds": "audio_seconds",
        "audio_output_seconds": "audio_seconds",
        "annotated_pages": "pages",
        "web_searches_low": "web_searches",
        "web_searches_high": "web_searches",
    }
)

INPUT_METERS = frozenset(
    {
        "input_tokens",
        "cache_read_tokens",
        "cache_write_tokens",
        "cache_write_1h_tokens",
        "audio_input_tokens",
        "image_input_tokens",
        "video_input_tokens",
        "tool_input_tokens",
        "cache_read_audio_tokens",
        "cache_read_image_tokens",
        "cache_read_video_tokens",
        "cache_write_audio_tokens",
    }
)
OUTPUT_METERS = frozenset(
    {
        "output_tokens",
        "reasoning_tokens",
        "audio_output_tokens",
        "image_output_tokens",
        "video_output_tokens",
        "citation_tokens",
    }
)

# Counted by senders for their own sake: a price list that does not name them charges nothing for them.
UNCHARGED = frozenset({"requests", "calls", "tool_calls", "duration_seconds", "latency_ms"})

# Charged at the parent's price they may be charged too little, so the amount is marked as partial.
DEARER_THAN_PARENT = frozenset({"cache_write_1h_tokens"})


def meters(  # noqa: PLR0913  # one name for each count that providers report
    *,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cache_read_tokens: int | None = None,
    cache_write_tokens: int | None = None,
    cache_write_1h_tokens: int | None = None,
    reasoning_tokens: int | None = None,
    audio_input_tokens: int | None = None,
    audio_output_tokens: int | None = None,
    image_input_tokens: int | None = None,
    image_output_tokens: int | None = None,
    video_input_tokens: int | None = None,
    video_output_tokens: int | None = None,
    tool_input_tokens: int | None = None,
    citation_tokens: int | None = None,
    cache_read_audio_tokens: int | None = None,
    cache_read_image_tokens: int | None = None,
    cache_read_video_tokens: int | None = None,
    others: Mapping[str, Quantity] | None = None,
) -> dict[str, Quantity]:
    """Return disjoint meters from counts that include one another (the OpenTelemetry convention).

    `input_tokens` contains every other kind of input, `cache_write_tokens` contains the one-hour writes, a cached
    audio, image or video token is in both its subsets, and `output_tokens` contains reasoning and other modalities.
    Without a total, the parts are all there is. Zeros are left out, except for a reported total.
    Raises PricingInputError when a part is larger than the whole it belongs to, or a count is negative.
    """
    cached = {
        "audio": cache_read_audio_tokens or 0,
        "image": cache_read_image_tokens or 0,
        "video": cache_read_video_tokens or 0,
    }
    modal = {
        "audio": _at_least(audio_input_tokens, cached["audio"]),
        "image": _at_least(image_input_tokens, cached["image"]),
        "video": _at_least(video_input_tokens, cached["video"]),
    }
    write_1h = cache_write_1h_tokens or 0
    write = _at_least(cache_write_tokens, write_1h)
    read = _at_least(cache_read_tokens, sum(cached.values()))
    whole = {"cache_write_1h_tokens": write_1h, "cache_write_tokens": write - write_1h}
    whole["tool_input_tokens"] = tool_input_tokens or 0
    counts = _input(input_tokens, read, whole, modal, cached)
    parts = {
        "reasoning_tokens": reasoning_tokens or 0,
        "audio_output_tokens": audio_output_tokens or 0,
        "image_output_tokens": image_output_tokens or 0,
        "video_output_tokens": video_output_tokens or 0,
        "citation_tokens": citation_tokens or 0,
    }
    counts |= parts
    counts["output_tokens"] = 0 if output_tokens is None else output_tokens - sum(parts.values())
    _refuse_negative(counts)
    found: dict[str, Quantity] = {meter: count for meter, count in counts.items() if count}
    for name, total in (("input_tokens", input_tokens), ("output_tokens", output_tokens)):
        if total == 0:
            found.setdefault(name, 0)
    for name, quantity in (others or {}).items():
        found[name] = found.get(name, 0) + quantity
    return found


def _at_least(count: int | None, part: int) -> int:
    """Return a reported count, or its only reported part where the whole was left out."""
    return part if count is None else count


def _input(
    total: int | None, read: int, counts: dict[str, int], modal: dict[str, int], cached: dict[str, int]
) -> dict[str, int]:
    if total is not None:
        _place_overlap(total - read - sum(counts.values()), read, modal, cached)
    counts["cache_read_tokens"] = read - sum(cached.values())
    for kind, count in modal.items():
        counts[f"{kind}_input_tokens"] = count - cached[kind]
        counts[f"cache_read_{kind}_tokens"] = cached[kind]
    counts["input_tokens"] = 0 if total is None else total - sum(counts.values())
    return counts


def _place_overlap(room: int, read: int, modal: dict[str, int], cached: dict[str, int]) -> None:
    """Count as cached what cannot be anything else: tokens of a modality beyond the uncached input.

    Without it they would be charged twice, once as cached and once as audio.
    """
    excess = sum(modal.values()) - sum(cached.values()) - room
    for kind, count in modal.items():
        moved = min(excess, count - cached[kind], read - sum(cached.values()))
        if moved > 0:
            cached[kind] += moved
            excess -= moved


def _refuse_negative(counts: Mapping[str, int]) -> None:
    wrong = sorted(meter for meter, count in counts.items() if count < 0)
    if wrong:
        raise PricingInputError(f"the parts are larger than the whole: {', '.join(wrong)} would be negative")


def exact(meter: str, quantity: Quantity) -> int | Fraction:
    """Return a quantity as an exact number; raises PricingInputError unless it is finite and not negative."""
    if isinstance(quantity, bool) or not isinstance(quantity, int | Decimal):
        raise PricingInputError(f"{meter}: a quantity is a whole or a decimal number")
    if isinstance(quantity, Decimal):
        if not quantity.is_finite() or abs(quantity.adjusted()) > 40:
            raise PricingInputError(f"{meter}: a quantity must be a finite number of reasonable size")
        quantity_exact: int | Fraction = Fraction(quantity)
    else:
        quantity_exact = quantity
    if quantity_exact < 0:
        raise PricingInputError(f"{meter}: a quantity cannot be negative")
    return quantity_exact
