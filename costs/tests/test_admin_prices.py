"""The price book in the admin: drafted by one, approved by another, tested before it is trusted."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry, Job
from core.tests.people import administrator, person, signed_in
from costs.inputs import CostItem
from costs.models import PriceBook, PriceDiscrepancy, PriceVersion, Sku, SkuAlias
from costs.services.ingest import record_costs
from costs.tests.ledger_case import SENDER
from costs.tests.price_book import contract_book, list_book, sell

PRICES = "/admin/costs/priceversion/"
TESTER = "/admin/costs/prices/tester/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def clients() -> tuple[Client, Client]:
    """Two people of finance: one drafts, the other approves."""
    return signed_in(person("ann", roles=("finance",))), signed_in(person("bob", roles=("finance",)))


@pytest.fixture
def listed() -> PriceVersion:
    return sell("openai", "gpt-test", input_tokens="2.5", output_tokens="10")


def _draft(client: Client, sku: Sku, **values: Any) -> Any:
    usual = {
        "_form_submitted": "on", "book": contract_book().pk, "service_tier": "standard", "region": "",
        "valid_from": timezone.localtime().strftime("%Y-%m-%dT%H:%M"), "discount_percent": "", "note": "contract 7",
    }  # fmt: skip
    return client.post(f"/admin/costs/sku/{sku.pk}/draft/", usual | values)


def _approve(client: Client, version: PriceVersion, **values: str) -> Any:
    return client.post(f"{PRICES}{version.pk}/approve/", {"_form_submitted": "on", **values})


def _prices(version: PriceVersion) -> dict[str, Decimal]:
    return dict(version.components.values_list("meter", "unit_price"))


def test_contract__drafted_with_a_discount_and_approved_by_another__is_charged(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    ann, bob = clients
    _draft(ann, listed.sku, discount_percent="20")
    draft = PriceVersion.objects.get(status="draft")

    assert _approve(bob, draft).status_code == 302

    assert _prices(draft) == {"input_tokens": Decimal(2), "output_tokens": Decimal(8)}
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", provider="openai", model="gpt-test",
                    input_tokens=1_000_000, output_tokens=0, idempotency_key="k")  # fmt: skip
    assert record_costs([item], sender=SENDER, now=timezone.now())[0].amount == Decimal(2)
    assert AuditEntry.objects.get(action="price.approved").actor_label == "bob"


def test_approve__by_the_author__is_refused_and_stays_a_draft(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    ann, _ = clients
    _draft(ann, listed.sku, price_input_tokens="1")
    draft = PriceVersion.objects.get(status="draft")

    answer = _approve(ann, draft)

    assert "somebody other than its author" in answer.content.decode()
    draft.refresh_from_db()
    assert draft.status == "draft"
    assert _prices(draft) == {"input_tokens": Decimal(1), "output_tokens": Decimal(10)}


def test_draft__without_any_price__asks_again_and_writes_nothing(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    answer = _draft(clients[0], listed.sku)

    assert "Give a discount, or a price for at least one meter." in answer.content.decode()
    assert not PriceVersion.objects.filter(status="draft").exists()


def test_draft__for_a_model_without_a_price__takes_what_is_filled_in(clients: tuple[Client, Client]) -> None:
    sku = Sku.objects.create(provider="acme", code="own-model")

    _draft(clients[0], sku, book=list_book().pk, price_input_tokens="0.4", price_output_tokens="1.6")

    assert _prices(PriceVersion.objects.get()) == {"input_tokens": Decimal("0.4"), "output_tokens": Decimal("1.6")}


def test_approve__price_that_begins_in_the_past__wants_to_be_told_so(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    ann, bob = clients
    past = (timezone.localtime() - timedelta(days=9)).strftime("%Y-%m-%dT%H:%M")
    _draft(ann, listed.sku, book=list_book().pk, discount_percent="10", valid_from=past)
    draft = PriceVersion.objects.get(status="draft")

    refused = _approve(bob, draft)
    accepted = _approve(bob, draft, back_dated="on")

    assert "back-dated" in refused.content.decode()
    assert accepted.status_code == 302


def test_end_and_withdraw__only_what_may_be__with_a_reason(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    ann, _ = clients
    _draft(ann, listed.sku, discount_percent="5")
    draft = PriceVersion.objects.get(status="draft")
    at = (timezone.localtime() + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M")

    ann.post(f"{PRICES}{listed.pk}/end/", {"_form_submitted": "on", "at": at, "reason": "contract over"})
    ann.post(f"{PRICES}{draft.pk}/retire/", {"_form_submitted": "on", "reason": "typing error"})

    listed.refresh_from_db()
    draft.refresh_from_db()
    assert listed.valid_to is not None
    assert draft.status == "retired"
    retired = ann.post(f"{PRICES}{listed.pk}/retire/", {"_form_submitted": "on", "reason": "x"})
    assert retired.status_code == 403


@pytest.mark.parametrize("role", ["finance_viewer", "auditor"])
def test_price_actions__by_a_reader__are_refused(listed: PriceVersion, role: str) -> None:
    client = signed_in(person(roles=(role,)))

    assert _draft(client, listed.sku, discount_percent="5").status_code == 403
    assert client.post(f"{PRICES}{listed.pk}/end/", {"_form_submitted": "on"}).status_code == 403
    assert client.get("/admin/costs/prices/reprice/").status_code == 403
    assert client.get(TESTER).status_code == 200
    assert PriceVersion.objects.count() == 1


def test_sku_page__two_versions__stand_in_order_on_the_ruler(clients: tuple[Client, Client]) -> None:
    now = timezone.now()
    first = sell("openai", "gpt-test", valid_from=now - timedelta(days=100), input_tokens="3")
    second = sell("openai", "gpt-test", valid_from=now - timedelta(days=10), input_tokens="2")

    context = clients[0].get(f"/admin/costs/sku/{first.sku_id}/change/").context

    shown = context["sku_versions"]
    assert [item["version"].pk for item in shown] == [first.pk, second.pk]
    assert [item["now"] for item in shown] == [False, True]
    assert float(shown[0]["left"]) + float(shown[0]["width"]) == pytest.approx(float(shown[1]["left"]), abs=0.1)


def test_tester__known_model__shows_steps_meters_and_the_exact_amount(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    call = {"model": "gpt-test", "service_tier": "standard", "input_tokens": "3000", "cache_read_tokens": "1000",
            "output_tokens": "7"}  # fmt: skip

    answer = clients[0].get(TESTER, call).context["answer"]

    assert answer["exact"] == "0.00757 USD"
    assert {name: quantity for name, quantity, _ in answer["meters"]}["input tokens"] == "2,000"
    assert "openai/gpt-test" in answer["steps"][1]
    assert str(listed.pk) in answer["version"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"model": "gpt-tset"}, "has no model"),
        ({"model": "gpt-test", "cache_read_tokens": "99999"}, "larger than the whole"),
        ({"model": "gpt-test", "service_tier": "flex"}, "no price for service tier"),
    ],
)
def test_tester__what_has_no_price__says_why_and_names_the_nearest(
    clients: tuple[Client, Client], listed: PriceVersion, call: dict[str, str], words: str
) -> None:
    usual = {"service_tier": "standard", "input_tokens": "100", "output_tokens": "1"}

    answer = clients[0].get(TESTER, usual | call).context["answer"]

    assert "amount" not in answer
    assert words in answer["steps"][-1]
    assert answer.get("nearest", []) == (["openai/gpt-test"] if call["model"] == "gpt-tset" else [])


def test_discrepancies__kept_and_drafted__leave_the_queue_with_a_note(clients: tuple[Client, Client]) -> None:
    versions = [sell("openai", f"gpt-{number}", input_tokens="2") for number in range(2)]
    rows = [
        PriceDiscrepancy.objects.create(
            sku=version.sku, meter="input_tokens", used_source="a", used_price=Decimal(2), other_source="b",
            other_price=Decimal(3), found_at=timezone.now(),
        )
        for version in versions
    ]  # fmt: skip
    lists = "/admin/costs/pricediscrepancy/"

    for row, action in zip(rows, ("keep", "use_other"), strict=True):
        clients[0].post(lists, {"action": action, "_selected_action": [row.pk], "_form_submitted": "on", "note": "n"})

    assert list(PriceDiscrepancy.objects.order_by("pk").values_list("status", "note")) == [
        ("ignored", "n"), ("resolved", "n"),
    ]  # fmt: skip
    draft = PriceVersion.objects.get(status="draft")
    assert (draft.sku, _prices(draft)) == (versions[1].sku, {"input_tokens": Decimal(3)})


def test_aliases__own_one__is_added_through_its_service_and_removed(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    form = {"sku": listed.sku_id, "provider": "openai", "kind": "exact", "pattern": "our-gpt"}

    clients[0].post("/admin/costs/skualias/add/", form)
    alias = SkuAlias.objects.get(pattern="our-gpt")
    again = clients[0].post("/admin/costs/skualias/add/", form, follow=True)
    clients[0].post(f"/admin/costs/skualias/{alias.pk}/delete/", {"post": "yes"})

    assert AuditEntry.objects.filter(action="sku.alias_added").count() == 1
    assert "already exists" in again.content.decode()
    assert not SkuAlias.objects.exists()
    assert AuditEntry.objects.filter(action="sku.alias_removed").exists()


def test_price_books__added__never_changed(clients: tuple[Client, Client]) -> None:
    form = {"name": "Contract A", "kind": "contracted", "currency": "USD", "priority": "20"}

    clients[0].post("/admin/costs/pricebook/add/", form)
    book = PriceBook.objects.get()
    changed = clients[0].post(f"/admin/costs/pricebook/{book.pk}/change/", form | {"priority": "1"})

    assert changed.status_code == 403
    book.refresh_from_db()
    assert (book.priority, AuditEntry.objects.filter(action="price_book.created").count()) == (20, 1)


def test_reprice__preview_then_book__starts_a_job_for_exactly_what_was_shown(
    clients: tuple[Client, Client], listed: PriceVersion
) -> None:
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", provider="openai", model="gpt-test",
                    input_tokens=1_000_000, output_tokens=0, idempotency_key="k")  # fmt: skip
    record_costs([item], sender=SENDER, now=timezone.now())
    ann, bob = clients
    past = (timezone.localtime() - timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")
    _draft(ann, listed.sku, discount_percent="50", valid_from=past)
    _approve(bob, PriceVersion.objects.get(status="draft"), back_dated="on")
    today = timezone.localdate()
    query = f"?first={today - timedelta(days=1)}&last={today}&provider=&model="

    preview = ann.get(f"/admin/costs/prices/reprice/{query}").context
    answer = ann.post(
        f"/admin/costs/prices/reprice/{query}", {"token": preview["report"].token, "reason": "contract came late"}
    )

    assert [row["difference"] for row in preview["rows"]] == ["-1.25 USD"]
    job = Job.objects.get()
    assert answer["Location"] == f"/admin/core/job/{job.pk}/change/"
    assert (job.kind, job.arguments["token"], job.arguments["reason"]) == (
        "costs.reprice", preview["report"].token, "contract came late",
    )  # fmt: skip


def test_reprice__without_a_reason__starts_nothing(clients: tuple[Client, Client]) -> None:
    today = timezone.localdate()

    clients[0].post(f"/admin/costs/prices/reprice/?first={today}&last={today}", {"token": "x", "reason": " "})

    assert not Job.objects.exists()


def test_sync__asked_for__starts_a_job(clients: tuple[Client, Client]) -> None:
    assert signed_in(administrator()).get("/admin/costs/pricesyncrun/sync/").status_code == 200
    assert not Job.objects.exists()

    clients[0].post("/admin/costs/pricesyncrun/sync/", {"_form_submitted": "on"})

    assert Job.objects.get().kind == "costs.sync_prices"
