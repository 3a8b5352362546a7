"""Drafting, approving, ending and retiring prices; books; what is refused, and that nothing changed then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.db.utils import DatabaseError

from core.errors import Conflict, Forbidden, Invalid, Refusal
from core.models import AuditEntry
from costs import pricebook
from costs.models import PriceBook, PriceComponent, PriceEpoch, PriceVersion
from costs.pricing import Component, Tier
from costs.services.prices import (
    Offer,
    approve_price,
    components_of,
    create_book,
    draft_price,
    end_price,
    publish_price,
    retire_price,
)
from costs.tests.price_book import NOW, components, contract_book, list_book, sell, sku

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=10)


@pytest.fixture
def maria() -> User:
    return person("maria")


@pytest.fixture
def bob() -> User:
    return person("bob")


def person(name: str) -> User:
    user = User.objects.create_user(name)
    user.user_permissions.add(Permission.objects.get(codename="change_priceversion"))
    return user


def offer(**values: Any) -> Offer:
    terms: dict[str, Any] = {"book": list_book(), "sku": sku(), "components": components(input_tokens="3")}
    return Offer(**(terms | values))


def price(at: datetime = NOW, **values: Any) -> Any:
    terms: dict[str, Any] = {"provider": "openai", "model": "gpt-test", "quantities": {"input_tokens": 1_000_000}}
    return pricebook.current_table().price(at=at, **(terms | values))


def actions() -> list[str]:
    made_here = AuditEntry.objects.exclude(subject_type__startswith="alerts.")
    return list(made_here.order_by("id").values_list("action", flat=True))


def test_draft__before_it_is_approved__prices_nothing(maria: User) -> None:
    draft = draft_price(offer(), now=NOW, user=maria, note="from the quote")

    assert (draft.status, draft.created_by, draft.note) == ("draft", maria, "from the quote")
    assert price().status == "unpriced"
    assert actions()[-1] == "price.drafted"


def test_approve__by_somebody_else__counts_from_its_beginning(maria: User, bob: User) -> None:
    sell("openai", "gpt-test", input_tokens="2")
    draft = draft_price(offer(valid_from=LATER), now=NOW, user=maria)

    approved = approve_price(draft, user=bob, now=NOW)

    assert (approved.status, approved.approved_by, approved.approved_at) == ("approved", bob, NOW)
    assert [price(at).amount for at in (LATER - timedelta(microseconds=1), LATER)] == [2, 3]
    assert actions()[-1] == "price.approved"


def test_approve__by_its_author__is_refused_while_others_may(maria: User, bob: User) -> None:
    draft = draft_price(offer(), now=NOW, user=maria)

    with pytest.raises(Forbidden):
        approve_price(draft, user=maria, now=NOW)

    draft.refresh_from_db()
    assert draft.status == "draft"


def test_approve__by_its_author_who_is_alone__is_possible(maria: User) -> None:
    draft = draft_price(offer(), now=NOW, user=maria)

    assert approve_price(draft, user=maria, now=NOW).status == "approved"


def test_approve__twice__is_refused(maria: User, bob: User) -> None:
    draft = draft_price(offer(), now=NOW, user=maria)
    approve_price(draft, user=bob, now=NOW)

    with pytest.raises(Conflict) as refusal:
        approve_price(draft, user=bob, now=NOW)

    assert refusal.value.code == "not_a_draft"


def test_approve__beginning_in_the_past__needs_to_be_said(maria: User, bob: User) -> None:
    old = sell("openai", "gpt-test", input_tokens="2")
    draft = draft_price(offer(valid_from=NOW - timedelta(days=30)), now=NOW, user=maria)

    with pytest.raises(Conflict) as refusal:
        approve_price(draft, user=bob, now=NOW)
    old.refresh_from_db()
    assert (refusal.value.code, old.valid_to) == ("back_dated", None)

    approve_price(draft, user=bob, now=NOW, back_dated=True)

    assert [price(NOW - timedelta(days=days)).amount for days in (31, 30, 0)] == [2, 3, 3]


def test_approve__before_a_price_that_follows__ends_where_that_begins(maria: User, bob: User) -> None:
    sell("openai", "gpt-test", input_tokens="2", valid_from=LATER)
    draft = draft_price(offer(valid_from=NOW), now=NOW, user=maria)

    approve_price(draft, user=bob, now=NOW)

    draft.refresh_from_db()
    assert draft.valid_to == LATER
    assert [price(at).amount for at in (NOW, LATER)] == [3, 2]


@pytest.mark.parametrize(
    ("valid_from", "valid_to"),
    [(None, None), (NOW, None), (NOW + timedelta(days=1), NOW + timedelta(days=2))],
    ids=["the whole of it", "the same instant", "a piece of it"],
)
def test_approve__would_swallow_or_cut_another_price__is_refused(
    maria: User, bob: User, valid_from: datetime | None, valid_to: datetime | None
) -> None:
    old = sell("openai", "gpt-test", input_tokens="2", valid_from=None if valid_from is None else NOW)
    draft = draft_price(offer(valid_from=valid_from, valid_to=valid_to), now=NOW, user=maria)

    with pytest.raises(Conflict) as refusal:
        approve_price(draft, user=bob, now=NOW, back_dated=True)

    old.refresh_from_db()
    draft.refresh_from_db()
    assert (refusal.value.code, old.valid_to, draft.status) == ("overlap", None, "draft")


def test_publish__other_tier_region_or_book__does_not_touch_the_price(maria: User) -> None:
    first = sell("openai", "gpt-test", input_tokens="2")

    sell("openai", "gpt-test", input_tokens="1", service_tier="batch")
    sell("openai", "gpt-test", input_tokens="2.2", region="EU")
    sell("openai", "gpt-test", input_tokens="1.5", book=contract_book())

    first.refresh_from_db()
    assert first.valid_to is None
    assert price(service_tier="batch").list_amount == 1
    assert (price(region="eu").amount, price(region="eu").list_amount) == (Decimal("1.5"), Decimal("2.2"))


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"components": []}, "no_components"),
        ({"components": components(input_tokens="-1")}, "negative_price"),
        ({"components": components(input_tokens="NaN")}, "not_a_price"),
        ({"components": components(input_tokens="0.0000000000001")}, "not_a_price"),
        ({"components": components(input_tokens="1e30")}, "not_a_price"),
        ({"components": [Component("seconds", Decimal(1), 0)]}, "negative_price"),
        ({"components": components(input_tokens="1") * 2}, "meter_twice"),
        ({"components": [Component("seconds", Decimal(1), tiers=(Tier(Decimal(1), Decimal(1)),))]}, "tiers"),
        ({"components": [Component("s", Decimal(1), 1, "volume", (Tier(Decimal(0), Decimal(1)),))]}, "tiers"),
        ({"valid_from": NOW, "valid_to": NOW}, "empty_range"),
    ],
)
def test_draft__makes_no_sense__is_refused_and_nothing_is_written(terms: dict[str, Any], code: str) -> None:
    asked = offer(**terms)

    with pytest.raises(Invalid) as refusal:
        draft_price(asked, now=NOW)

    assert refusal.value.code == code
    assert not PriceVersion.objects.exists()
    assert not PriceComponent.objects.exists()


def test_publish__every_part_of_a_component__comes_back_from_the_database() -> None:
    wanted = [
        Component(
            "input_tokens", Decimal("0.0000003625"), 1000, "graduated", (Tier(Decimal(5), Decimal("2.5"), Decimal(1)),)
        ),
        Component("output_tokens", Decimal(3), threshold_meter="seconds", window=(time(22, 30), time(6, 0))),
    ]

    version = publish_price(offer(components=wanted), now=NOW)

    assert list(components_of(version)) == wanted


def test_end__at_a_coming_instant__leaves_what_was_before() -> None:
    version = sell("openai", "gpt-test", input_tokens="2")

    end_price(version, at=LATER, now=NOW, reason="contract ends")

    assert price(LATER - timedelta(seconds=1)).amount == 2
    assert price(LATER).status == "unpriced"
    assert AuditEntry.objects.latest("id").reason == "contract ends"


@pytest.mark.parametrize(
    ("at", "refusal"),
    [(NOW - timedelta(seconds=1), Invalid), (LATER + timedelta(days=1), Conflict)],
    ids=["in the past", "after its end"],
)
def test_end__senseless_instant__is_refused(at: datetime, refusal: type[Refusal]) -> None:
    version = sell("openai", "gpt-test", input_tokens="2", valid_to=LATER)

    with pytest.raises(refusal):
        end_price(version, at=at, now=NOW, reason="x")

    version.refresh_from_db()
    assert version.valid_to == LATER


def test_retire__draft_or_not_begun__is_withdrawn_and_one_that_counts_is_not(maria: User) -> None:
    counting = sell("openai", "gpt-test", input_tokens="2", valid_to=LATER)
    coming = sell("openai", "gpt-test", input_tokens="3", valid_from=LATER)
    draft = draft_price(offer(), now=NOW, user=maria)

    retired = [retire_price(version, now=NOW, reason="a slip").status for version in (coming, draft)]
    with pytest.raises(Conflict):
        retire_price(counting, now=NOW, reason="a slip")

    assert retired == ["retired", "retired"]
    assert (price().amount, price(LATER).status) == (2, "unpriced")


def test_book__name_taken__is_refused() -> None:
    create_book(name="Contract", kind="contracted", currency="EUR", priority=5, now=NOW)

    with pytest.raises(Conflict):
        create_book(name="Contract", kind="list", currency="USD", priority=1, now=NOW)

    assert PriceBook.objects.get().currency == "EUR"


def test_changes__of_the_book__raise_the_epoch_and_are_priced_at_once() -> None:
    numbers = []
    for cost in ("1", "2"):
        version = sell("openai", "gpt-test", input_tokens=cost, valid_from=NOW + timedelta(days=int(cost)))
        numbers.append(PriceEpoch.objects.get().number)
        assert price(NOW + timedelta(days=int(cost))).version_id == version.pk

    assert numbers[1] > numbers[0] > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda version: PriceVersion.objects.filter(pk=version.pk).update(valid_from=NOW),
        lambda version: PriceVersion.objects.filter(pk=version.pk).update(status="draft"),
        lambda version: PriceVersion.objects.filter(pk=version.pk).update(valid_to=None),
        lambda version: PriceVersion.objects.filter(pk=version.pk).update(valid_to=LATER + timedelta(days=1)),
        lambda version: PriceVersion.objects.filter(pk=version.pk).update(content_hash="x"),
        lambda version: version.components.update(unit_price=1),
        lambda version: version.components.all().delete(),
        lambda version: version.components.create(meter="output_tokens", unit_price=1),
        lambda version: version.delete(),
    ],
    ids=["begin", "status", "endless", "longer", "hash", "price", "less", "more", "gone"],
)
@pytest.mark.django_db(transaction=True)
def test_database__approved_price__cannot_be_changed_by_anybody(change: Callable[[PriceVersion], Any]) -> None:
    version = sell("openai", "gpt-test", input_tokens="2", valid_to=LATER)

    with pytest.raises(DatabaseError, match="approved price never changes"):
        change(version)

    assert PriceVersion.objects.get().valid_to == LATER
    assert [row.unit_price for row in PriceComponent.objects.all()] == [2]


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_database__overlapping_approved_prices__are_refused() -> None:
    sell("openai", "gpt-test", input_tokens="2")
    draft = draft_price(offer(valid_from=NOW), now=NOW)

    with pytest.raises(DatabaseError, match="price_version_one_at_a_time"):
        PriceVersion.objects.filter(pk=draft.pk).update(status="approved")

    assert connection.vendor == "postgresql"
    assert PriceVersion.objects.filter(status="approved").count() == 1


def test_table__changed_by_another_process__is_compiled_again_within_a_second() -> None:
    sell("openai", "gpt-test", input_tokens="2")
    before = pricebook.current_table()
    # Another process: the number rises, and nothing tells this one.
    PriceEpoch.objects.update(number=PriceEpoch.objects.get().number + 1)

    assert pricebook.current_table() is before
    pricebook._looked_at -= 1.1
    assert pricebook.current_table() is not before
    assert pricebook.current_table() is pricebook.current_table()
