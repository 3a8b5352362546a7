"""Which SKU a name means: spellings, aliases, patterns, providers; and what is never guessed."""

from __future__ import annotations

import pytest

from costs.pricing import Alias, Catalog, SkuEntry

SKUS = [
    SkuEntry(1, "openai", "gpt-4o"),
    SkuEntry(2, "openai", "gpt-4o-mini"),
    SkuEntry(3, "openai", "gpt-4o-2024-05-13"),
    SkuEntry(4, "anthropic", "claude-sonnet-4-5"),
    SkuEntry(5, "aws", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    SkuEntry(6, "aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    SkuEntry(7, "openrouter", "anthropic/claude-sonnet-4.5"),
    SkuEntry(8, "openai", "ft:gpt-4o-2024-08-06"),
    SkuEntry(9, "together", "llama-x"),
    SkuEntry(10, "groq", "llama-x"),
    SkuEntry(11, "google", "gemini-2.5-pro"),
    SkuEntry(12, "github-copilot", "gpt-4o"),
    SkuEntry(13, "tavily", "search"),
    SkuEntry(14, "google", "gemini-2.5-pro-tts"),
]
BUILT_IN = [
    Alias(4, "anthropic", "prefix", "claude-sonnet-4-5", True),
    Alias(4, "anthropic", "prefix", "claude-sonnet-4.5", True),
    Alias(11, "google", "prefix", "gemini-2.5-pro", True),
    Alias(2, "openai", "exact", "gpt-4o-mini-2024-07-18", True),
]


def catalog(*aliases: Alias) -> Catalog:
    return Catalog(SKUS, [*BUILT_IN, *aliases])


@pytest.mark.parametrize(
    ("provider", "model", "sku"),
    [
        ("openai", "gpt-4o", 1),
        ("OpenAI", " GPT-4o ", 1),
        ("azure.ai.openai", "gpt-4o", 1),
        ("openai", "openai/gpt-4o", 1),
        ("openai", "gpt-4o-2024-05-13", 3),
        ("openai", "gpt-4o-2024-11-20", 1),
        ("openai", "gpt-4o-20240513", 3),
        ("openai", "gpt-4o-mini-20240718", 2),
        ("openai", "gpt-4o-latest", 1),
        ("openai", "ft:gpt-4o-2024-08-06:acme::abc123", 8),
        ("anthropic", "claude-sonnet-4-5-20250929", 4),
        ("anthropic", "claude-sonnet-4.5", 4),
        ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", 5),
        ("aws", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", 6),
        ("gcp.vertex_ai", "publishers/google/models/gemini-2.5-pro", 11),
        ("google", "models/gemini-2.5-pro-preview-05-06", 11),
        ("openrouter", "anthropic/claude-sonnet-4.5", 7),
        ("litellm", "anthropic/claude-sonnet-4.5", 4),
        ("", "anthropic/claude-sonnet-4.5", 4),
        ("", "gpt-4o-mini", 2),
        ("", "gpt-4o", 1),
        ("", "gpt-4o-2024-11-20", 1),
        ("", "search", 13),
    ],
)
def test_resolve__a_spelling_of_a_known_model__is_that_model(provider: str, model: str, sku: int) -> None:
    found = catalog().resolve(provider, model)

    assert found.sku is not None, found.reason
    assert found.sku.id == sku


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o-ultra"),
        ("openai", "gpt-4"),
        ("openai", "gpt-4o-mini-audio"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc"),
        ("anthropic", "claude-sonnet-4-5-fast"),
        ("google", "gemini-2.5-pro-image"),
        ("aws", "global.anthropic.claude-opus-9"),
        ("aws", "us-gov.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("mistral", "gpt-4o"),
        ("nobody", "gpt-4o"),
        ("openai", ""),
        ("openai", "   "),
    ],
)
def test_resolve__a_name_that_only_looks_alike__is_unknown(provider: str, model: str) -> None:
    found = catalog().resolve(provider, model)

    assert found.sku is None
    assert found.reason


def test_resolve__no_provider_and_several_sellers__is_ambiguous_and_says_who() -> None:
    found = catalog().resolve("", "llama-x")

    assert found.sku is None
    assert found.reason == "'llama-x' is sold by several providers (groq, together): name one"


def test_resolve__seller_of_other_makers_models__falls_back_to_the_maker_and_says_so() -> None:
    found = catalog().resolve("google", "claude-sonnet-4-5")

    assert found.sku is not None
    assert (found.sku.id, found.fallback) == (4, True)
    assert "list price of anthropic" in found.matched_by


def test_resolve__operators_exact_alias__wins_over_the_models_own_name() -> None:
    names = catalog(Alias(2, "openai", "exact", "GPT-4o"))

    assert names.resolve("openai", "gpt-4o").sku == SKUS[1]
    assert names.resolve("openai", "gpt-4o").matched_by == "operator alias"


def test_resolve__operators_alias_without_provider__holds_for_all() -> None:
    names = catalog(Alias(4, "", "exact", "our-claude"))

    assert names.resolve("gateway", "our-claude").sku == SKUS[3]
    assert names.resolve("", "our-claude").sku == SKUS[3]


def test_resolve__exact_name__wins_over_every_pattern() -> None:
    names = catalog(Alias(2, "openai", "prefix", "gpt-4o-2024-05-1"))

    assert names.resolve("openai", "gpt-4o-2024-05-13").sku == SKUS[2]


def test_resolve__two_patterns__the_more_specific_wins() -> None:
    names = catalog(Alias(1, "openai", "prefix", "team-"), Alias(2, "openai", "regex", r"^team-small-\d+$"))

    assert names.resolve("openai", "team-small-7").sku == SKUS[1]
    assert names.resolve("openai", "team-large").sku == SKUS[0]


def test_resolve__equally_specific_patterns__the_operators_wins() -> None:
    names = catalog(Alias(1, "anthropic", "prefix", "claude-sonnet-4-5"))

    assert names.resolve("anthropic", "claude-sonnet-4-5-20990101").sku == SKUS[0]


def test_resolve__operators_pattern__may_swallow_what_a_built_in_one_may_not() -> None:
    names = catalog(Alias(4, "anthropic", "prefix", "claude-sonnet-4-5"))

    assert catalog().resolve("anthropic", "claude-sonnet-4-5-internal").sku is None
    assert names.resolve("anthropic", "claude-sonnet-4-5-internal").sku == SKUS[3]


@pytest.mark.parametrize(
    ("kind", "pattern", "name"),
    [("suffix", "-house", "my-house"), ("contains", "hou", "a-house"), ("regex", "^h[ou]+se$", "house")],
)
def test_resolve__every_kind_of_pattern__matches_without_regard_to_case(kind: str, pattern: str, name: str) -> None:
    names = catalog(Alias(9, "together", kind, pattern))

    assert names.resolve("together", name.upper()).sku == SKUS[8]


def test_resolve__more_names_than_it_remembers__answers_stay_right() -> None:
    names = catalog()
    names.MEMORY = 3

    found = [names.resolve("openai", name).sku for name in ["gpt-4o", "a", "b", "c", "d", "gpt-4o"]]

    assert found == [SKUS[0], None, None, None, None, SKUS[0]]


def test_nearest__misspelt_name__suggests_and_prices_nothing() -> None:
    names = catalog()

    assert names.nearest("gpt-4oo", "openai")[0] == "openai/gpt-4o"
    assert names.nearest("claude-sonet-4-5")[0] == "anthropic/claude-sonnet-4-5"
    assert names.nearest("zzzzzzzz") == []
    assert names.resolve("openai", "gpt-4oo").sku is None
