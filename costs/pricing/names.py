"""What a model is called: providers under their many names, and spellings of one model that mean the same.

Nothing here guesses. A spelling is followed only where providers define it: dates and version suffixes of a
snapshot, the region before a Bedrock model, the path before a published model, the owner's part of a fine-tune.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

# Other names of a provider: OpenTelemetry's gen_ai.provider.name and gen_ai.system, gateways, and common spellings.
PROVIDER_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "amazon": "aws",
        "amazon-bedrock": "aws",
        "amazon_bedrock": "aws",
        "anthropic-claude": "anthropic",
        "aws.bedrock": "aws",
        "aws_bedrock": "aws",
        "az.ai.inference": "azure",
        "az.ai.openai": "azure",
        "azure.ai.inference": "azure",
        "azure.ai.openai": "azure",
        "azure_ai": "azure",
        "azure_openai": "azure",
        "azure_text": "azure",
        "bedrock": "aws",
        "bedrock_converse": "aws",
        "bedrock_mantle": "aws",
        "bigmodel": "zhipuai",
        "chatgpt": "openai",
        "cohere_chat": "cohere",
        "codestral": "mistral",
        "fireworks-ai": "fireworks",
        "fireworks_ai": "fireworks",
        "fireworks_ai-embedding-models": "fireworks",
        "gcp.gemini": "google",
        "gcp.gen_ai": "google",
        "gcp.vertex_ai": "google",
        "gemini": "google",
        "github_copilot": "github-copilot",
        "google-gla": "google",
        "google-vertex": "google",
        "google_genai": "google",
        "google_vertexai": "google",
        "grok": "x-ai",
        "meta_llama": "meta",
        "mistral_ai": "mistral",
        "mistralai": "mistral",
        "moonshot": "moonshotai",
        "moonshot_ai": "moonshotai",
        "text-completion-codestral": "mistral",
        "text-completion-openai": "openai",
        "together-ai": "together",
        "together_ai": "together",
        "togetherai": "together",
        "vertex": "google",
        "vertex_ai": "google",
        "vertexai": "google",
        "voyage": "voyageai",
        "x_ai": "x-ai",
        "xai": "x-ai",
        "z-ai": "zai",
        "z_ai": "zai",
        "zhipu": "zhipuai",
        "zhipu_ai": "zhipuai",
    }
)

# Providers that sell other makers' models at the makers' list price; one step, and the standard tier only.
FALLBACK_PROVIDERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"azure": ("openai", "anthropic", "deepseek", "x-ai", "moonshotai"), "google": ("anthropic",)}
)

# Names that describe a way of asking, not who is paid: the provider is in front of the model's name.
ROUTERS = frozenset({"litellm"})

# Whose model a bare name is, when several providers sell one of that name.
_MAKERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("openai", re.compile(r"gpt-|chatgpt-|o[134](-|$)|ft:|text-embedding-|whisper-|tts-|dall-e|omni-moderation")),
    ("anthropic", re.compile(r"claude")),
    ("google", re.compile(r"gemini")),
    ("mistral", re.compile(r"(mi|code|dev|magi|mini)stral|mixtral|pixtral|voxtral|open-mi")),
    ("deepseek", re.compile(r"deepseek-")),
    ("x-ai", re.compile(r"grok-")),
    ("cohere", re.compile(r"command-|rerank-|embed-(english|multilingual)")),
    ("moonshotai", re.compile(r"kimi-|moonshot-")),
    ("minimax", re.compile(r"minimax-")),
    ("voyageai", re.compile(r"voyage-")),
    ("zhipuai", re.compile(r"glm-")),
)

TIER_ALIASES: Mapping[str, str] = MappingProxyType(
    {"": "standard", "default": "standard", "on_demand": "standard", "standard_only": "standard", "fast": "priority"}
)

# Inference profiles whose price is that of the region's own model; global and us-gov are priced apart.
_GEOGRAPHIES = "us|eu|apac|jp|au|ca|in|sa|me|af|il|kr|uk|mx|br"
_GEOGRAPHY = re.compile(rf"^(?:{_GEOGRAPHIES})\.(?=[a-z])")
_PATH = re.compile(r"^(?:models/|publishers/[^/]+/models/|projects/.+/models/|arn:aws[\w-]*:bedrock:[^/]*/)")
_COMPACT_DATE = re.compile(r"(?<=[-@])(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=$|[-:])")
_DASHED_DATE = re.compile(r"(?<=[-@])(20\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])(?=$|[-:])")
_SNAPSHOT = re.compile(r"[-@](?:20\d\d-?(?:0[1-9]|1[0-2])-?(?:0[1-9]|[12]\d|3[01]))(?:-v\d+(?::\d+)?)?$")
_VERSION = re.compile(r"(?:-v\d+(?::\d+)?|:\d+|[-@]latest|@default)$")
_FINE_TUNE = re.compile(r"^(ft:[^:]+):.*$")

# What may stand around the text that a built-in pattern matches without the model becoming another one.
_HARMLESS_BEFORE = re.compile(
    rf"^(?:[\w.:-]+/)*(?:(?:{_GEOGRAPHIES})\.)?(?:(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|qwen)\.)?$"
)
_HARMLESS_AFTER = re.compile(
    r"^(?:[-@:]?(?:20\d\d(?:-?(?:0[1-9]|1[0-2])(?:-?(?:0[1-9]|[12]\d|3[01]))?)?|\d{4}|00\d|v\d+(?::\d+)?|latest|default"
    r"|(?:preview|exp)(?:-\d\d-\d\d)?))*$"
)


def provider_name(provider: str) -> str:
    """Return the one name under which a provider's prices are kept."""
    name = provider.strip().lower()
    if name.startswith("vertex_ai"):
        return "google"
    return PROVIDER_ALIASES.get(name, name)


def service_tier(tier: str) -> str:
    """Return the service tier that a provider's own word for it means."""
    name = tier.strip().lower()
    return TIER_ALIASES.get(name, name)


def maker(model: str) -> str:
    """Return the provider that makes the model of this bare name, or nothing."""
    return next((provider for provider, pattern in _MAKERS if pattern.match(model)), "")


def harmless(before: str, after: str) -> bool:
    """Say whether what surrounds a matched pattern only dates, versions or places the same model."""
    return bool(_HARMLESS_BEFORE.match(before) and _HARMLESS_AFTER.match(after))


def spellings(model: str) -> Iterator[tuple[str, str]]:
    """Yield (spelling, how it was derived) from the name as given to the most general that means the same model.

    The first is the name itself. A fine-tune is only ever another fine-tune of the same base model.
    """
    seen = {model}
    yield model, "exact"
    current = model
    for pattern, how in ((_PATH, "path"), (_FINE_TUNE, "fine-tune"), (_GEOGRAPHY, "region")):
        shorter = pattern.sub(r"\1" if pattern is _FINE_TUNE else "", current, count=1)
        if shorter not in seen:
            seen.add(shorter)
            current = shorter
            yield current, how
    for variant, how in _dated(current):
        if variant not in seen:
            seen.add(variant)
            yield variant, how


def _dated(model: str) -> Iterator[tuple[str, str]]:
    yield _COMPACT_DATE.sub(r"\1-\2-\3", model), "date"
    yield _DASHED_DATE.sub(r"\1\2\3", model), "date"
    plain = _VERSION.sub("", model)
    yield plain, "version"
    yield _SNAPSHOT.sub("", plain), "snapshot"
