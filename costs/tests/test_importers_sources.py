"""What the two price lists are read as, and how they become one."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from costs.importers import genai, litellm
from costs.importers.litellm import Entry
from costs.importers.merge import SOURCE as BOTH
from costs.importers.merge import merge
from costs.importers.quotes import Disagreement, ListedModel, PriceList, Quote, SourceError, digest, tidy
from costs.pricing import Component, Tier

START = datetime(2026, 10, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        ("2.9999900000000002", "2.99999"),
        ("0.29999999999999998", "0.3"),
        ("0.0000003625", "0.0000003625"),
        ("0.1234567", "0.1234567"),
        ("3", "3"),
        ("0", "0"),
        ("1e-7", "0.0000001"),
    ],
)
def test_tidy__binary_dust__is_rounded_and_a_price_is_not(given: str, clean: str) -> None:
    assert tidy(Decimal(given)) == Decimal(clean)


@pytest.mark.parametrize("given", ["-1", "NaN", "Infinity"])
def test_tidy__no_price__is_refused(given: str) -> None:
    with pytest.raises(SourceError):
        tidy(Decimal(given))


def test_digest__order_and_trailing_zeros__do_not_matter() -> None:
    one = [Component("input_tokens", Decimal("2.50")), Component("output_tokens", Decimal("1E+1"))]
    other = [Component("output_tokens", Decimal(10)), Component("input_tokens", Decimal("2.5"))]

    assert digest(one) == digest(other)
    assert digest(one) != digest(other[:1])
    assert digest(one) != digest([replace(one[0], per=1000), one[1]])


def test_genai__importing_the_importer__does_not_import_the_package() -> None:
    code = (
        "import os, sys; os.environ['DJANGO_SETTINGS_MODULE'] = 'config.settings_test'; import django; django.setup();"
        "from costs.importers import genai; genai.fingerprint(); print('genai_prices' in sys.modules)"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == "False"


def test_genai__history__is_a_timeline_without_gaps_or_overlaps() -> None:
    timelines: dict[Any, list[Quote]] = {}
    for quote in genai.read().quotes:
        timelines.setdefault(quote.key, []).append(quote)

    for key, quotes in timelines.items():
        for earlier, later in pairwise(quotes):
            assert earlier.valid_to == later.valid_from, key
            assert earlier.digest() != later.digest(), key
    assert sum(len(quotes) > 1 for quotes in timelines.values()) > 50


def test_genai__hours_of_the_day__are_windows_beside_the_usual_price() -> None:
    quotes = [quote for quote in genai.read().quotes if (quote.provider, quote.code) == ("deepseek", "deepseek-flash")]

    windows = {
        (component.window[0].hour, component.window[1].hour): component.unit_price
        for component in quotes[-1].components
        if component.meter == "input_tokens" and component.window
    }

    assert windows == {(1, 4): Decimal("0.3"), (6, 10): Decimal("0.3")}


def fake_map(folder: Path, entries: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another map in the place of ours, through the trimming that every map goes through."""
    source = folder / "map.json"
    source.write_text(json.dumps(entries))
    monkeypatch.setattr(litellm, "DATA", folder / "trimmed.json.gz")
    litellm.trim(source, "1.2.3", "2026-11-21")


def entries_of(folder: Path, entries: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> dict[str, Entry]:
    fake_map(folder, entries, monkeypatch)
    return {entry.name: entry for entry in litellm.read()[1]}


def test_litellm__tiers_and_thresholds__are_taken_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2.5e-06,
        "input_cost_per_token_above_200k_tokens": 5e-06,
        "input_cost_per_token_batches": 1.25e-06,
        "output_cost_per_token": 1e-05,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
        "max_output_tokens": 4096,
        "supports_vision": True,
    }

    entry = entries_of(tmp_path, {"openai/gpt-x": values}, monkeypatch)["openai/gpt-x"]

    above = (Tier(Decimal(200_000), Decimal(5)),)
    assert (entry.provider, entry.code, entry.max_output_tokens) == ("openai", "gpt-x", 4096)
    assert set(entry.prices["standard"]) == {
        Component("input_tokens", Decimal("2.5"), mode="threshold_all", tiers=above),
        Component("output_tokens", Decimal(10)),
        Component("cache_write_1h_tokens", Decimal(6)),
    }
    # What the batch price list does not name is as in the standard one.
    assert set(entry.prices["batch"]) == {
        Component("input_tokens", Decimal("1.25"), mode="threshold_all", tiers=above),
        Component("output_tokens", Decimal(10)),
        Component("cache_write_1h_tokens", Decimal(6)),
    }
    assert "flex" not in entry.prices


def test_litellm__ranges_of_input__become_thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = [
        {"input_cost_per_token": 4e-07, "output_cost_per_token": 1.2e-06, "range": [0, 256000.0]},
        {"input_cost_per_token": 1.2e-06, "output_cost_per_token": 1.2e-06, "range": [256000.0, 1000000.0]},
    ]
    values = {"litellm_provider": "dashscope", "tiered_pricing": ranges}

    entry = entries_of(tmp_path, {"dashscope/qwen": values}, monkeypatch)["dashscope/qwen"]

    assert set(entry.prices["standard"]) == {
        Component(
            "input_tokens", Decimal("0.4"), mode="threshold_all", tiers=(Tier(Decimal(256_000), Decimal("1.2")),)
        ),
        Component("output_tokens", Decimal("1.2")),
    }


@pytest.mark.parametrize(
    ("name", "provider", "place"),
    [
        ("gpt-x", "openai", ("openai", "gpt-x", "")),
        ("gemini/gemini-x", "gemini", ("google", "gemini-x", "")),
        ("vertex_ai/gemini-x", "vertex_ai-language-models", ("google", "gemini-x", "")),
        ("bedrock/us-gov-west-1/anthropic.claude-x", "bedrock", ("aws", "anthropic.claude-x", "us-gov-west-1")),
        ("us.anthropic.claude-x", "bedrock_converse", ("aws", "us.anthropic.claude-x", "")),
        ("azure/eu/gpt-x", "azure", ("azure", "gpt-x", "eu")),
        ("azure/global/gpt-x", "azure", ("azure", "gpt-x", "")),
        ("fireworks_ai/accounts/fireworks/models/x", "fireworks_ai", ("fireworks", "accounts/fireworks/models/x", "")),
    ],
)
def test_litellm__names__say_provider_model_and_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, provider: str, place: tuple[str, str, str]
) -> None:
    values = {"litellm_provider": provider, "input_cost_per_token": 1e-06}

    entry = entries_of(tmp_path, {name: values}, monkeypatch)[name]

    assert (entry.provider, entry.code, entry.region) == place


@pytest.mark.parametrize(
    "values",
    [
        {"litellm_provider": "ollama", "input_cost_per_token": 0.0, "output_cost_per_token": 0.0},
        {"litellm_provider": "openai", "mode": "chat"},
        {"input_cost_per_token": 1e-06},
    ],
)
def test_litellm__nothing_priced__is_left_out_rather_than_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    assert entries_of(tmp_path, {"x": values}, monkeypatch) == {}


def test_litellm__trimmed_from_a_wheel__is_the_same_bytes_as_from_its_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = {"gpt-x": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "supports_vision": True}}
    fake_map(tmp_path, entries, monkeypatch)
    from_map = litellm.DATA.read_bytes()
    wheel = tmp_path / "litellm.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(entries))

    count = litellm.trim(wheel, "1.2.3", "2026-11-21")

    assert (count, litellm.DATA.read_bytes()) == (1, from_map)
    assert litellm.fingerprint()["version"] == "1.2.3"
    assert b"supports_vision" not in gzip.decompress(from_map)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a": 1}'])
def test_litellm__file_of_another_kind__is_refused_and_the_copy_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    fake_map(tmp_path, {}, monkeypatch)
    before = litellm.DATA.read_bytes()
    (tmp_path / "other").write_bytes(content)

    with pytest.raises(SourceError):
        litellm.trim(tmp_path / "other", "1.2.4", "2026-11-21")

    assert litellm.DATA.read_bytes() == before


def flat(**prices: str) -> tuple[Component, ...]:
    return tuple(Component(meter, Decimal(price)) for meter, price in prices.items())


def first_list(components: tuple[Component, ...], tier: str = "standard", start: datetime | None = None) -> PriceList:
    prices = PriceList(genai.SOURCE)
    prices.add(ListedModel("openai", "gpt-x", aliases=[("prefix", "gpt-x")]))
    prices.quotes.append(Quote("openai", "gpt-x", "standard", "", None, None, components, genai.SOURCE))
    if tier != "standard":
        prices.quotes.append(Quote("openai", "gpt-x", tier, "", start, None, components, genai.SOURCE))
    return prices


def entry(name: str = "gpt-x", region: str = "", provider: str = "openai", **tiers: tuple[Component, ...]) -> Entry:
    return Entry(name, provider, name, region, "llm_api", None, 4096, tiers)


def merged(first: PriceList, *entries: Entry) -> PriceList:
    return merge(first, PriceList(litellm.SOURCE), entries)


def test_merge__sources_agree__the_second_adds_tiers_and_meters_it_alone_knows() -> None:
    both = flat(input_tokens="2", output_tokens="8")
    more = (*flat(input_tokens="2.001", output_tokens="8"), *flat(cache_write_1h_tokens="4"))

    found = merged(first_list(both), entry(standard=more, batch=flat(input_tokens="1", output_tokens="4")))

    standard, batch = found.quotes
    assert set(standard.components) == {*both, *flat(cache_write_1h_tokens="4")}
    assert (standard.source, batch.source, batch.service_tier) == (BOTH, litellm.SOURCE, "batch")
    assert found.disagreements == []
    assert found.models["openai", "gpt-x"].max_output_tokens == 4096


def test_merge__part_at_the_price_of_its_whole__adds_nothing() -> None:
    found = merged(
        first_list(flat(input_tokens="2", output_tokens="8")),
        entry(standard=flat(input_tokens="2", output_tokens="8", cache_read_tokens="2.0001")),
    )

    assert found.quotes[0].components == flat(input_tokens="2", output_tokens="8")


def test_merge__sources_disagree__the_first_is_used_and_a_person_is_asked() -> None:
    found = merged(
        first_list(flat(input_tokens="2", output_tokens="8")),
        entry(standard=flat(input_tokens="2.02", output_tokens="8"), batch=flat(input_tokens="1.01")),
    )

    assert [quote.components for quote in found.quotes] == [flat(input_tokens="2", output_tokens="8")]
    assert found.disagreements == [
        Disagreement(
            "openai", "gpt-x", "standard", "input_tokens", "genai-prices", Decimal(2), "litellm", Decimal("2.02")
        )
    ]


def test_merge__disagreement_above_a_threshold_only__is_found_too() -> None:
    dearer = Component("input_tokens", Decimal(2), mode="threshold_all", tiers=(Tier(Decimal(200_000), Decimal(4)),))

    found = merged(first_list(flat(input_tokens="2")), entry(standard=(dearer,)))

    (row,) = found.disagreements
    assert (row.meter, row.used_price, row.other_price) == ("input_tokens > 200000", Decimal(2), Decimal(4))


def test_merge__dated_name_at_the_same_price__is_another_name_of_the_model() -> None:
    same = flat(input_tokens="2", output_tokens="8")

    found = merged(first_list(same), entry("gpt-x-2026-01-01", standard=same))

    assert ("exact", "gpt-x-2026-01-01") in found.models["openai", "gpt-x"].aliases
    assert len(found.models) == 1


def test_merge__dated_name_at_another_price__is_a_model_of_its_own() -> None:
    other = flat(input_tokens="5", output_tokens="15")

    found = merged(first_list(flat(input_tokens="2", output_tokens="8")), entry("gpt-x-2026-01-01", standard=other))

    assert [(quote.code, quote.components) for quote in found.quotes][1] == ("gpt-x-2026-01-01", other)
    assert found.disagreements == []


def test_merge__tier_that_begins_late_in_the_first__is_filled_by_the_second_before() -> None:
    half = flat(input_tokens="1", output_tokens="4")

    found = merged(
        first_list(half, "batch", START), entry(standard=half, batch=flat(input_tokens="1", output_tokens="4"))
    )

    batch = {(q.valid_from, q.valid_to, q.source) for q in found.quotes if q.service_tier == "batch"}
    assert batch == {(None, START, litellm.SOURCE), (START, None, genai.SOURCE)}


def test_merge__region__has_prices_of_its_own_only_where_they_differ() -> None:
    base, dearer = flat(input_tokens="2", output_tokens="8"), flat(input_tokens="2.2", output_tokens="8.8")

    found = merged(
        first_list(base), entry(standard=base), entry(region="eu", standard=dearer), entry(region="us", standard=base)
    )

    assert [(quote.region, quote.components) for quote in found.quotes] == [("", base), ("eu", dearer)]


def test_merge__seller_at_the_makers_price__gets_the_makers_history_and_its_own_tiers() -> None:
    base = flat(input_tokens="2", output_tokens="8")
    seller = entry(provider="azure", standard=base, priority=flat(input_tokens="4", output_tokens="16"))

    found = merged(first_list(base), seller)

    assert [(q.provider, q.service_tier, q.source) for q in found.quotes[1:]] == [
        ("azure", "standard", genai.SOURCE),
        ("azure", "priority", litellm.SOURCE),
    ]
