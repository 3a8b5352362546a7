"""Raw answers of providers: what was used, read from the body as each provider writes it.

Some providers count cached tokens inside the input (OpenAI, Gemini), some beside it (Anthropic). The rules of the
genai-prices package bring them to one convention, the inclusive one of `costs.pricing.meters`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from costs.importers.quotes import SourceError
from costs.pricing import Quantity, meters, provider_name

# Their name of a count: the parameter of `meters`. Text is what remains, so it has no name of its own.
COUNTS: dict[str, str] = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "audio_input_tokens",
    "input_image_tokens": "image_input_tokens",
    "input_video_tokens": "video_input_tokens",
    "input_tool_tokens": "tool_input_tokens",
    "cache_audio_read_tokens": "cache_read_audio_tokens",
    "cache_image_read_tokens": "cache_read_image_tokens",
    "cache_video_read_tokens": "cache_read_video_tokens",
    "output_reasoning_tokens": "reasoning_tokens",
    "output_audio_tokens": "audio_output_tokens",
    "output_image_tokens": "image_output_tokens",
    "output_video_tokens": "video_output_tokens",
    "output_citation_tokens": "citation_tokens",
}
OTHERS: dict[str, str] = {
    "input_characters": "input_characters",
    "input_text_messages": "text_messages",
    "audio_seconds": "audio_seconds",
    "input_audio_seconds": "audio_input_seconds",
    "output_audio_seconds": "audio_output_seconds",
    "input_pixels": "input_pixels",
    "input_document_pages": "pages",
    "input_annotated_document_pages": "annotated_pages",
    "rerank_searches": "rerank_searches",
    "web_searches": "web_searches",
    "social_searches": "social_searches",
    "storage_searches": "storage_searches",
    "code_executions": "code_executions",
}


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a provider's answer says it used: the model it names, and meters that do not overlap."""

    model: str
    quantities: dict[str, Quantity]


def extract(body: Mapping[str, Any], *, provider: str, api_flavor: str = "default") -> Extracted:
    """Return what a provider's answer says was used.

    Raises SourceError when the provider or the flavour is unknown or the body has no usage of that shape, and
    PricingInputError when its counts contradict each other.
    """
    from genai_prices.data_snapshot import get_snapshot  # heavy: see costs.importers.genai

    known = {candidate.id: candidate for candidate in get_snapshot().providers}
    found = known.get(provider) or known.get(provider_name(provider))
    if found is None:
        raise SourceError(f"no rules to read answers of provider {provider!r}")
    try:
        model, usage = found.extract_usage(body, api_flavor=api_flavor)
    except ValueError as error:
        raise SourceError(str(error)) from error
    reported = {name: value for name, value in vars(usage).items() if value is not None}
    return Extracted(model or "", _meters(reported))


def _meters(reported: Mapping[str, Any]) -> dict[str, Quantity]:
    counts = {COUNTS[name]: int(value) for name, value in reported.items() if name in COUNTS}
    others = {OTHERS[name]: _exact(value) for name, value in reported.items() if name in OTHERS}
    return meters(**counts, others=others)


def _exact(value: Any) -> Quantity:
    # A provider's seconds come as binary floats; their text is the number that was meant.
    return value if isinstance(value, int | Decimal) else Decimal(str(value))
