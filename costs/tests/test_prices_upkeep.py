"""Aliases, disagreeing sources and the queue of models without a price."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from core.errors import Conflict, Invalid
from core.models import AuditEntry
from costs import pricebook
from costs.models import PriceDiscrepancy, PriceVersion, SkuAlias, UnpricedModel
from costs.services.prices import approve_price
from costs.services.prices_upkeep import add_alias, add_sku, decide_discrepancy, remove_alias, settle_unpriced_model
from costs.tests.price_book import NOW, sell, sku

pytestmark = pytest.mark.django_db


def meaning(model: str, provider: str = "openai") -> str:
    return str(pricebook.current_table().resolve(provider, model).sku or "")


def test_alias__of_a_sku__prices_the_name_at_once_and_its_removal_unprices_it() -> None:
    sell("openai", "gpt-test", input_tokens="2")

    alias = add_alias(sku=sku(), provider="azure.ai.openai", kind="exact", pattern=" prod-deployment ", now=NOW)
    known = meaning("Prod-Deployment", "azure")
    remove_alias(alias, now=NOW)

    assert (known, meaning("prod-deployment", "azure")) == ("openai/gpt-test", "")
    entries = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(entries)[-2:] == ["sku.alias_added", "sku.alias_removed"]


def test_alias__over_a_built_in_one__takes_its_place() -> None:
    SkuAlias.objects.create(sku=sku(), provider="openai", kind="exact", pattern="x", built_in=True)
    other = sku("openai", "gpt-other")

    add_alias(sku=other, provider="openai", kind="exact", pattern="x", now=NOW)

    assert meaning("x") == "openai/gpt-other"
    assert SkuAlias.objects.get().built_in is False


@pytest.mark.parametrize(("kind", "pattern", "refusal"), [("regex", "(", Invalid), ("exact", " ", Invalid)])
def test_alias__senseless__is_refused(kind: str, pattern: str, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        add_alias(sku=sku(), provider="openai", kind=kind, pattern=pattern, now=NOW)

    assert not SkuAlias.objects.exists()


def test_alias__given_twice__is_refused() -> None:
    add_alias(sku=sku(), provider="openai", kind="exact", pattern="x", now=NOW)

    with pytest.raises(Conflict):
        add_alias(sku=sku("openai", "gpt-other"), provider="openai", kind="exact", pattern="x", now=NOW)

    assert meaning("x") == "openai/gpt-test"


def test_alias__built_in__cannot_be_removed() -> None:
    alias = SkuAlias.objects.create(sku=sku(), provider="openai", kind="exact", pattern="x", built_in=True)

    with pytest.raises(Conflict):
        remove_alias(alias, now=NOW)

    assert SkuAlias.objects.exists()


def test_sku__added_under_another_name_of_the_provider__is_one_and_the_same() -> None:
    first = add_sku(provider="azure.ai.openai", code="gpt-x", cost_type="llm_api", now=NOW)
    second = add_sku(provider="azure", code=" gpt-x ", cost_type="llm_api", now=NOW)

    assert first == second
    assert first.provider == "azure"


def discrepancy(meter: str = "input_tokens") -> PriceDiscrepancy:
    return PriceDiscrepancy.objects.create(
        sku=sku(),
        meter=meter,
        used_source="genai-prices",
        used_price=Decimal(2),
        other_source="litellm",
        other_price=Decimal(3),
        found_at=NOW,
    )


def test_discrepancy__kept__is_settled_and_no_price_changes() -> None:
    sell("openai", "gpt-test", input_tokens="2")
    row = discrepancy()

    draft = decide_discrepancy(
        row, use_other=False, user=User.objects.create_user("maria"), now=NOW, note="the list says 2"
    )

    row.refresh_from_db()
    assert (draft, row.status, row.decided_by, row.note) == (None, "ignored", "maria", "the list says 2")
    assert PriceVersion.objects.count() == 1


def test_discrepancy__other_one_chosen__is_drafted_whole_and_counts_once_approved() -> None:
    sell("openai", "gpt-test", input_tokens="2", output_tokens="8")
    maria, bob = User.objects.create_user("maria"), User.objects.create_user("bob")
    quantities = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}

    draft = decide_discrepancy(discrepancy(), use_other=True, user=maria, now=NOW, note="their list is stale")
    assert draft is not None
    approve_price(draft, user=bob, now=NOW, back_dated=True)

    found: Any = pricebook.current_table().price(provider="openai", model="gpt-test", at=NOW, quantities=quantities)
    assert (found.amount, draft.source) == (11, "litellm")


@pytest.mark.parametrize("meter", ["input_tokens > 200000", "input_tokens"], ids=["threshold", "no price any more"])
def test_discrepancy__cannot_be_expressed__stays_open(meter: str) -> None:
    row = discrepancy(meter)

    with pytest.raises(Conflict):
        decide_discrepancy(row, use_other=True, user=User.objects.create_user("maria"), now=NOW, note="x")

    row.refresh_from_db()
    assert row.status == "open"
    assert not PriceVersion.objects.exists()


def test_discrepancy__settled_twice__is_refused_and_leaves_no_draft() -> None:
    sell("openai", "gpt-test", input_tokens="2")
    row, maria = discrepancy(), User.objects.create_user("maria")
    decide_discrepancy(row, use_other=False, user=maria, now=NOW, note="x")

    with pytest.raises(Conflict):
        decide_discrepancy(row, use_other=True, user=maria, now=NOW, note="y")

    assert PriceVersion.objects.count() == 1


@pytest.mark.parametrize(("ignore", "status"), [(True, "ignored"), (False, "resolved")])
def test_unpriced_model__settled__leaves_the_queue_once(ignore: bool, status: str) -> None:
    row = UnpricedModel.objects.create(provider="x", model="y", event_count=1, first_seen_at=NOW, last_seen_at=NOW)

    settle_unpriced_model(row, ignore=ignore, now=NOW, note="internal model")
    with pytest.raises(Conflict):
        settle_unpriced_model(row, ignore=ignore, now=NOW, note="again")

    row.refresh_from_db()
    assert (row.status, row.resolved_at) == (status, NOW)
    assert AuditEntry.objects.filter(action="unpriced_model.settled").count() == 1
