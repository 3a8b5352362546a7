"""Reading price lists into the price book: what is new, what changed, what waits, and what is left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from core.ports.health import health_checks
from costs import pricebook
from costs.importers import litellm
from costs.importers.quotes import Disagreement, ListedModel, PriceList, Quote
from costs.models import PriceComponent, PriceDiscrepancy, PriceEpoch, PriceSyncRun, PriceVersion, Sku, SkuAlias
from costs.pricing import Component
from costs.services.prices import Offer, approve_price, draft_price, end_price, retire_price
from costs.services.prices_sync import fingerprints, store_prices, sync_prices
from costs.services.prices_upkeep import decide_discrepancy
from costs.tests.price_book import NOW, components, list_book, sell

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
SOURCES: dict[str, object] = {"test": "1"}


def listed(*timeline: tuple[datetime | None, str], tier: str = "standard", other: str = "") -> PriceList:
    """Return a price list of one model: input prices from instants on, and what another source says."""
    prices = PriceList("genai-prices", rounded=1)
    prices.add(ListedModel("openai", "gpt-test", max_output_tokens=4096, aliases=[("prefix", "gpt-test")]))
    ends = [start for start, _ in timeline[1:]] + [None]
    for (start, cost), end in zip(timeline, ends, strict=True):
        parts = (Component("input_tokens", Decimal(cost)), Component("output_tokens", Decimal(8)))
        prices.quotes.append(Quote("openai", "gpt-test", tier, "", start, end, parts, "genai-prices"))
    if other:
        used, price = Decimal(timeline[-1][1]), Decimal(other)
        row = Disagreement("openai", "gpt-test", tier, "input_tokens", "genai-prices", used, "litellm", price)
        prices.disagreements.append(row)
    return prices


def store(*timeline: tuple[datetime | None, str], now: datetime = NOW, **values: Any) -> PriceSyncRun:
    return store_prices(listed(*timeline, **values), SOURCES, now=now)


def cost(at: datetime, tier: str = "standard") -> Decimal | None:
    table = pricebook.current_table()
    quantities = {"input_tokens": 1_000_000}
    return table.price(provider="openai", model="gpt-test", service_tier=tier, at=at, quantities=quantities).amount


def versions() -> Any:
    rows = PriceComponent.objects.filter(meter="input_tokens").select_related("version")
    return [
        (row.version.status, row.version.valid_from, row.version.valid_to, row.unit_price)
        for row in rows.order_by("version__id")
    ]


def test_sync__model_nobody_knew__is_taken_with_its_history() -> None:
    change = NOW - 30 * DAY

    run = store((None, "2"), (change, "3"))

    assert (run.created_count, run.waiting_count, run.rounded_count) == (2, 0, 1)
    assert versions() == [("approved", None, change, 2), ("approved", change, None, 3)]
    assert [cost(change - DAY), cost(NOW)] == [2, 3]
    assert Sku.objects.get().max_output_tokens == 4096
    assert SkuAlias.objects.get().built_in is True


def test_sync__same_again__writes_nothing() -> None:
    store((None, "2"))
    before = list(PriceVersion.objects.values())

    run = store((None, "2"), now=NOW + DAY)

    assert (run.created_count, run.unchanged_count) == (0, 1)
    assert list(PriceVersion.objects.values()) == before


def test_sync__changed_price_without_a_date__begins_now_and_history_stays() -> None:
    store((None, "2"))

    store((None, "2.2"), now=NOW + DAY)

    assert versions() == [("approved", None, NOW + DAY, 2), ("approved", NOW + DAY, None, Decimal("2.2"))]
    assert [cost(NOW), cost(NOW + DAY)] == [2, Decimal("2.2")]


def test_sync__change_dated_in_the_past__begins_now_and_the_time_before_waits_for_a_person() -> None:
    store((None, "2"))

    run = store((None, "2"), (NOW - 5 * DAY, "2.2"), now=NOW)

    assert (run.created_count, run.waiting_count) == (1, 1)
    assert [cost(NOW - DAY), cost(NOW)] == [2, Decimal("2.2")]
    draft = PriceVersion.objects.get(status="draft")
    assert (draft.valid_from, draft.valid_to) == (NOW - 5 * DAY, NOW)
    approve_price(draft, user=User.objects.create_user("bob"), now=NOW, back_dated=True)
    assert [cost(NOW - 6 * DAY), cost(NOW - 5 * DAY), cost(NOW)] == [2, Decimal("2.2"), Decimal("2.2")]


def test_sync__announced_change__begins_when_the_source_says() -> None:
    store((None, "2"))

    store((None, "2"), (NOW + 9 * DAY, "1.9"), now=NOW)
    again = store((None, "2"), (NOW + 9 * DAY, "1.9"), now=NOW + DAY)

    assert [cost(NOW + 9 * DAY - timedelta(seconds=1)), cost(NOW + 9 * DAY)] == [2, Decimal("1.9")]
    assert again.created_count == 0


@pytest.mark.parametrize(("new", "waiting"), [("2.5", 0), ("2.51", 1), ("1.5", 0), ("1.49", 1)])
def test_sync__change_of_more_than_a_quarter__waits_for_approval(new: str, waiting: int) -> None:
    store((None, "2"))

    run = store((None, new), now=NOW + DAY)

    assert run.waiting_count == waiting
    assert cost(NOW + DAY) == (2 if waiting else Decimal(new))


def test_sync__price_that_was_nought__waits_for_approval() -> None:
    store((None, "0"))

    assert store((None, "0.01"), now=NOW + DAY).waiting_count == 1


def test_sync__draft_waiting_or_refused__is_not_drafted_again() -> None:
    store((None, "2"))
    store((None, "9"), now=NOW + DAY)
    draft = PriceVersion.objects.get(status="draft")

    waiting = store((None, "9"), now=NOW + 2 * DAY)
    retire_price(draft, now=NOW + 2 * DAY, reason="a slip of theirs")
    refused = store((None, "9"), now=NOW + 3 * DAY)

    assert [(run.created_count, run.waiting_count) for run in (waiting, refused)] == [(0, 0), (0, 0)]
    assert cost(NOW + 3 * DAY) == 2


def test_sync__price_set_by_a_person__is_not_overwritten() -> None:
    store((None, "2"))
    sku = Sku.objects.get()
    draft = draft_price(Offer(list_book(), sku, components(input_tokens="1.8"), valid_from=NOW), now=NOW)
    approve_price(draft, user=User.objects.create_user("bob"), now=NOW, back_dated=True)

    unchanged = store((None, "2"), now=NOW + DAY)
    changed = store((None, "2.1"), now=NOW + 2 * DAY)

    assert (unchanged.waiting_count, changed.created_count, changed.waiting_count) == (0, 0, 1)
    assert cost(NOW + 3 * DAY) == Decimal("1.8")


def test_sync__price_ended_by_a_person__does_not_come_back() -> None:
    store((None, "2"))
    end_price(PriceVersion.objects.get(), at=NOW + DAY, now=NOW, reason="not sold to us any more")

    run = store((None, "2"), now=NOW + 2 * DAY)

    assert (run.created_count, run.waiting_count, cost(NOW + 2 * DAY)) == (0, 0, None)


def test_sync__price_goes_back__is_a_new_version_again() -> None:
    store((None, "2"))
    store((None, "2.2"), now=NOW + DAY)

    store((None, "2"), now=NOW + 2 * DAY)

    assert [cost(NOW), cost(NOW + DAY), cost(NOW + 2 * DAY)] == [2, Decimal("2.2"), 2]


def test_sync__tier_comes_later__leaves_the_standard_price_alone() -> None:
    store((None, "2"))

    store((NOW, "1"), tier="batch", now=NOW + DAY)

    assert [cost(NOW), cost(NOW, "batch"), cost(NOW - DAY, "batch")] == [2, 1, None]


def test_sync__sources_disagree__a_row_is_opened_once_and_closed_when_they_agree() -> None:
    first = store((None, "2"), other="3")
    second = store((None, "2"), other="3", now=NOW + DAY)
    agreed = store((None, "2"), now=NOW + 2 * DAY)

    row: Any = PriceDiscrepancy.objects.get()
    assert [run.discrepancy_count for run in (first, second, agreed)] == [1, 1, 0]
    assert (row.used_price, row.other_price, row.status, row.found_at) == (2, 3, "resolved", NOW)


def test_sync__settled_disagreement__comes_back_only_when_the_prices_change() -> None:
    store((None, "2"), other="3")
    maria = User.objects.create_user("maria")
    decide_discrepancy(PriceDiscrepancy.objects.get(), use_other=False, user=maria, now=NOW, note="x")

    same = store((None, "2"), other="3", now=NOW + DAY)
    other = store((None, "2"), other="4", now=NOW + 2 * DAY)

    assert (same.discrepancy_count, other.discrepancy_count) == (0, 1)
    assert PriceDiscrepancy.objects.get().other_price == 4


def test_sync__sku_mended_by_a_person__keeps_what_was_set() -> None:
    store((None, "2"))
    Sku.objects.update(max_output_tokens=99)

    store((None, "2"), now=NOW + DAY)

    assert Sku.objects.get().max_output_tokens == 99


def test_sync__operators_alias_of_the_same_name__is_not_touched() -> None:
    sell("openai", "gpt-other", input_tokens="1")
    SkuAlias.objects.create(sku=Sku.objects.get(), provider="openai", kind="prefix", pattern="gpt-test")

    store((None, "2"))

    assert [(alias.sku.code, alias.built_in) for alias in SkuAlias.objects.all()] == [("gpt-other", False)]


def test_load_prices__installed_lists__are_loaded_once_and_the_second_time_is_quick() -> None:
    first, second = StringIO(), StringIO()

    call_command("load_prices", stdout=first)
    versions_loaded, epoch = PriceVersion.objects.count(), PriceEpoch.objects.get().number
    began = time.perf_counter()
    call_command("load_prices", stdout=second)
    took = time.perf_counter() - began

    run = PriceSyncRun.objects.get()
    assert first.getvalue().startswith(f"Loaded {versions_loaded} prices, 0 unchanged, 0 waiting for approval, ")
    assert second.getvalue().startswith("The price book is up to date (read ")
    assert (PriceVersion.objects.filter(status="approved").count(), PriceEpoch.objects.get().number) == (
        versions_loaded,
        epoch,
    )
    assert versions_loaded > 6000
    assert run.sources == fingerprints()
    assert took < 2
    table = pricebook.current_table()
    now = datetime(2026, 11, 20, tzinfo=UTC)
    found = table.price(provider="openai", model="gpt-4o", at=now, quantities={"input_tokens": 1000})
    assert (found.amount, found.sku) == (Decimal("0.0025"), "openai/gpt-4o")
    assert health_checks.get("prices").run().status == "ok"
    forced = sync_prices(now=now + DAY, force=True)
    assert (forced.run.created_count, forced.run.waiting_count) == (0, 0)


def test_load_prices__source_that_cannot_be_read__is_said_and_nothing_is_half_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "map.json"
    broken.write_text('{"x": {"litellm_provider": "openai", "input_cost_per_token": -1}}')
    monkeypatch.setattr(litellm, "DATA", tmp_path / "trimmed.json.gz")
    litellm.trim(broken, "0", "2026-11-21")

    with pytest.raises(CommandError, match="-1000000 is not a price"):
        call_command("load_prices", stdout=StringIO())

    assert not PriceVersion.objects.exists()
    assert not Sku.objects.exists()
    assert PriceSyncRun.objects.get().error == "-1000000 is not a price"
    health = health_checks.get("prices").run()
    assert (health.status, health.detail) == ("warning", "the price book is empty")


def test_trim_litellm__file_of_another_kind__is_a_clear_error(tmp_path: Any) -> None:
    (tmp_path / "x").write_text("no")

    with pytest.raises(CommandError, match="neither a LiteLLM wheel nor its price map"):
        call_command("trim_litellm", str(tmp_path / "x"), release="1")
