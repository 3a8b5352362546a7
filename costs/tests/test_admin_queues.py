"""What waits for a person, and what they make of it: models without a price, refused items, rates, entities."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in
from costs import reader
from costs.explorer import preset
from costs.inputs import CostItem, Rejected
from costs.models import CostCenter, CostEvent, Entity, FxRate, IngestReject, RollupAudit, SkuAlias, UnpricedModel
from costs.services import entities
from costs.services.ingest import record_costs
from costs.tests.budgeting import spend
from costs.tests.ledger_case import SENDER, fold_everything
from costs.tests.price_book import sell

UNPRICED, REJECTS, RATES = "/admin/costs/unpricedmodel/", "/admin/costs/ingestreject/", "/admin/costs/rates/import/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def unpriced() -> UnpricedModel:
    sell("openai", "gpt-test", input_tokens="2", output_tokens="8")
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", provider="openai", model="our-gtp-test",
                    input_tokens=1_000_000, output_tokens=0, idempotency_key="k")  # fmt: skip
    record_costs([item], sender=SENDER, now=timezone.now())
    return UnpricedModel.objects.get()


def _reject(payload: Any) -> IngestReject:
    from costs.inputs import FieldError

    bad = Rejected(payload=payload, errors=(FieldError("/amount", "invalid", "not a number"),))
    record_costs([bad], sender=SENDER, now=timezone.now())
    return IngestReject.objects.latest("id")


def _act(client: Client, address: str, **values: Any) -> Any:
    return client.post(address, {"_form_submitted": "on", **values}, follow=True)


def test_unpriced__list__shows_events_and_the_most_alike(client: Client, unpriced: UnpricedModel) -> None:
    page = client.get(UNPRICED).content.decode()

    assert "openai/gpt-test" in page
    assert "provider=openai&amp;model=our-gtp-test&amp;price_status=unpriced&amp;period=all" in page


def test_unpriced__named__prices_what_waited_and_leaves_the_queue(client: Client, unpriced: UnpricedModel) -> None:
    _act(client, f"{UNPRICED}{unpriced.pk}/alias/", sku="openai/gpt-test", kind="exact")

    unpriced.refresh_from_db()
    assert unpriced.status == "resolved"
    assert SkuAlias.objects.get(built_in=False).pattern == "our-gtp-test"
    window = preset("today", timezone.now(), reader.organisation_zone())
    total = reader.total(window)
    assert (total.base_amount, total.unpriced_count, total.event_count) == (Decimal(2), 0, 1)


def test_unpriced__named_after_nothing_known__is_refused(client: Client, unpriced: UnpricedModel) -> None:
    answer = _act(client, f"{UNPRICED}{unpriced.pk}/alias/", sku="openai/gpt-9", kind="exact")

    assert "The price book has no such model" in answer.content.decode()
    assert not SkuAlias.objects.exists()


def test_unpriced__ignored__keeps_the_note_and_reports(client: Client, unpriced: UnpricedModel) -> None:
    answer = _act(client, UNPRICED, action="ignore", _selected_action=[unpriced.pk], note="internal")

    unpriced.refresh_from_db()
    assert unpriced.status == "ignored"
    assert [str(message) for message in answer.context["messages"]] == ["1 ignored."]
    assert AuditEntry.objects.get(action="unpriced_model.settled").reason == "internal"


def test_reject__mended__is_recorded_under_its_sender(client: Client) -> None:
    reject = _reject({"cost_type": "other", "entity_type": "agent", "entity_id": "a", "amount": "12,5"})
    mended = '{"cost_type": "other", "entity_type": "agent", "entity_id": "a", "amount": "12.5"}'

    _act(client, f"{REJECTS}{reject.pk}/mend/", payload=mended)

    event = CostEvent.objects.get()
    assert (event.amount, event.source) == (Decimal("12.5"), SENDER.source)
    reject.refresh_from_db()
    assert reject.status == "resolved"


@pytest.mark.parametrize("payload", ["{", '{"amount": "x"}', "[]"])
def test_reject__mended_badly__stays_with_its_reasons(client: Client, payload: str) -> None:
    reject = _reject({"amount": "12,5"})

    _act(client, f"{REJECTS}{reject.pk}/mend/", payload=payload)

    reject.refresh_from_db()
    assert reject.status == "open"
    assert not CostEvent.objects.exists()


def test_rejects__retried_and_ignored_in_bulk__report_each(client: Client) -> None:
    good = _reject({"cost_type": "other", "entity_type": "agent", "entity_id": "a", "amount": "1"})
    bad = _reject({"amount": "12,5"})

    retried = client.post(REJECTS, {"action": "retry", "_selected_action": [good.pk, bad.pk]}, follow=True)
    ignored = _act(client, REJECTS, action="ignore", _selected_action=[bad.pk, good.pk], reason="test data")

    assert [str(message) for message in retried.context["messages"]] == [
        "1 recorded. 1 still refused, with the reasons shown."
    ]
    assert [str(message) for message in ignored.context["messages"]] == ["1 ignored. 1 did not wait any more."]
    assert dict(IngestReject.objects.values_list("pk", "status")) == {good.pk: "resolved", bad.pk: "ignored"}


@pytest.mark.parametrize("role", ["finance_viewer", "auditor"])
def test_queues__by_a_reader__offer_and_do_nothing(unpriced: UnpricedModel, role: str) -> None:
    reject = _reject({"amount": "12,5"})
    client = signed_in(person(roles=(role,)))

    assert client.post(f"{UNPRICED}{unpriced.pk}/ignore/", {"_form_submitted": "on", "note": "x"}).status_code == 403
    assert client.post(f"{REJECTS}{reject.pk}/mend/", {"_form_submitted": "on", "payload": "{}"}).status_code == 403
    assert client.get(RATES).status_code == 403
    assert set(IngestReject.objects.values_list("status", flat=True)) == {"open"}


def test_rates_import__preview_then_record__writes_the_good_lines_only(client: Client) -> None:
    bad = "EUR,USD,x,2026-01-03\nEUR,XXX,1,2026-01-03\nGBP,USD,1.3,2026-02-30\nEUR,USD\n"
    text = f"base,quote,rate,date\nEUR,USD,1.10,2026-01-02\n{bad}"

    preview = client.post(RATES, {"file": SimpleUploadedFile("r.csv", text.encode()), "source": "bank"})
    assert FxRate.objects.count() == 0
    client.post(RATES, {"text": text, "source": "bank", "confirm": "1"})

    lines = preview.context["lines"]
    assert [line.is_good for line in lines] == [True, False, False, False, False]
    assert "'x' is not a number" in lines[1].mistakes[0]
    assert "'XXX' is not a known currency" in lines[2].mistakes[0]
    assert "not a date" in lines[3].mistakes[0]
    assert list(FxRate.objects.values_list("base", "rate", "source")) == [("EUR", Decimal("1.1"), "bank")]


def test_rates_import__known_and_contradicting_lines__change_nothing(client: Client) -> None:
    client.post(RATES, {"text": "EUR;USD;1.10;2026-01-02", "source": "bank", "confirm": "1"})

    again = client.post(RATES, {"text": "EUR,USD,1.1,2026-01-02\nEUR,USD,1.2,2026-01-02", "source": "bank"})

    assert [(line.known, line.is_good) for line in again.context["lines"]] == [(True, True), (True, False)]
    assert FxRate.objects.count() == 1


def test_rate__added_late__converts_what_waited_by_the_action(client: Client) -> None:
    spend(timezone.now(), "10", currency="EUR")
    today = timezone.now().date()
    client.post("/admin/costs/fxrate/add/", {"base": "EUR", "quote": "USD", "rate": "1.1", "as_of_date": today,
                                            "source": "bank"})  # fmt: skip

    _act(client, "/admin/costs/fxrate/convert/")

    total = reader.total(preset("today", timezone.now(), reader.organisation_zone()))
    assert (total.base_amount, total.unconverted_count) == (Decimal(11), 0)


def test_entity__moved_renamed_and_booked__goes_through_the_services(client: Client) -> None:
    spend(timezone.now(), "3")
    entity = Entity.objects.get()
    team = Entity.objects.get(pk=entities.resolve([("team", "t")], now=timezone.now())["team", "t"])
    center = CostCenter.objects.create(code="C1", name="Research")

    client.post(
        f"/admin/costs/entity/{entity.pk}/change/", {"name": "Writer", "parent": team.pk, "cost_center": center.pk}
    )

    entity.refresh_from_db()
    assert (entity.name, entity.parent, entity.cost_center) == ("Writer", team, center)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert {"entity.renamed", "entity.moved", "entity.cost_center_set"} <= actions
    page = client.get(f"/admin/costs/entity/{team.pk}/change/").context
    assert page["entity_spent"] == "3.00 USD"


def test_entity__moved_below_itself__is_refused_at_the_field(client: Client) -> None:
    now = timezone.now()
    keys = entities.resolve([("team", "a"), ("team", "b")], now=now)
    above, below = (Entity.objects.get(pk=keys["team", name]) for name in ("a", "b"))
    entities.set_parent(below, above, now=now)

    answer = client.post(f"/admin/costs/entity/{above.pk}/change/", {"name": "", "parent": below.pk, "cost_center": ""})

    assert "would make a circle" in str(answer.context["adminform"].form.errors["parent"])
    above.refresh_from_db()
    assert above.parent is None


def test_entity__added_by_hand__is_part_of_the_tree(client: Client) -> None:
    client.post("/admin/costs/entity/add/", {"entity_type": "team", "entity_id": "new", "name": "New team"})

    entity = Entity.objects.get()
    assert (entity.name, entity.ancestor_links.get().depth) == ("New team", 0)


@pytest.mark.django_db(transaction=True)
def test_audits__compared_now__are_kept_and_equal(client: Client) -> None:
    spend(timezone.now(), "3")
    fold_everything(timezone.now())

    answer = _act(client, "/admin/costs/rollupaudit/compare/")

    assert "equal to the last digit" in next(str(message) for message in answer.context["messages"])
    assert RollupAudit.objects.filter(equal=True).exists()
