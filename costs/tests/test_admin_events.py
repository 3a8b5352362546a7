"""The ledger in the admin: found by keys, read only, corrected by further events."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in
from core.windows import Window
from costs import reader
from costs.explorer import preset
from costs.inputs import CostItem, Verdict
from costs.models import CostEvent
from costs.reader_plan import Filters
from costs.services.ingest import record_costs
from costs.tests.ledger_case import SENDER, price_models

LIST = "/admin/costs/costevent/"
TRACE = "0af7651916cd43dd8448eb211c80319c"
pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def event() -> CostEvent:
    now = timezone.now()
    items = [
        CostItem(cost_type="tool_usage", entity_type="agent", entity_id=f"agent-{number}", amount=Decimal("1.5"),
                 provider="search", trace_id=TRACE if number == 1 else "", idempotency_key=f"key-{number}")
        for number in range(3)
    ]  # fmt: skip
    verdicts = record_costs(items, sender=SENDER, now=now)
    return _event(verdicts[1])


def _event(verdict: Verdict) -> CostEvent:
    assert verdict.record_id is not None
    event: CostEvent = CostEvent.objects.get(pk=verdict.record_id)
    return event


def _found(client: Client, term: str) -> list[str]:
    return [str(row.pk) for row in client.get(LIST, {"q": term}).context["cl"].result_list]


def test_search__by_id_entity_trace_and_key__finds_exactly_that_event(client: Client, event: CostEvent) -> None:
    for term in (str(event.pk), "agent-1", TRACE, TRACE.upper()):
        assert _found(client, term) == [str(event.pk)]
    assert _found(client, "agent") == []


def test_search__by_idempotency_key_of_an_api_key__finds_its_event(client: Client) -> None:
    from core.apikeys import create_key
    from core.ports.scopes import scopes
    from costs.inputs import Sender

    key = create_key("k", scopes=[next(iter(scopes)).name], now=timezone.now())
    family = key.key.family
    item = CostItem(cost_type="other", entity_type="agent", entity_id="a", amount=Decimal(1), idempotency_key="mine")
    verdict = record_costs([item], sender=Sender(source=f"key:{family.hex}"), now=timezone.now())[0]

    assert _found(client, "mine") == [str(verdict.record_id)]


def test_list__without_period__shows_30_days_and_says_so(client: Client, event: CostEvent) -> None:
    answer = client.get(LIST)

    assert len(answer.context["cl"].result_list) == 3
    assert any(spec.title == "when it occurred" and spec.value() == "30d" for spec in answer.context["cl"].filter_specs)


def test_list__senseless_selection__does_not_fail(client: Client, event: CostEvent) -> None:
    assert client.get(f"{LIST}?entity=nonsense").status_code == 302


def test_detail__priced_event__shows_its_meters_and_price_version(client: Client) -> None:
    price_models()
    item = CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", provider="openai", model="gpt-4o-mini",
                    input_tokens=1_000_000, output_tokens=500_000, idempotency_key="k")  # fmt: skip
    verdict = record_costs([item], sender=SENDER, now=timezone.now())[0]

    answer = client.get(f"{LIST}{verdict.record_id}/change/")

    assert {meter for meter, _, _ in answer.context["event_meters"]} == {"input tokens", "output tokens"}
    assert sum(Decimal(value) for _, _, value in answer.context["event_meters"]) == verdict.amount
    event = _event(verdict)
    assert f"/admin/costs/priceversion/{event.price_version_id}/change/" in answer.content.decode()


def test_correct__amount_and_reason__writes_reversal_and_new_event_and_keeps_the_first(
    client: Client, event: CostEvent
) -> None:
    answer = client.post(
        f"{LIST}{event.pk}/correct/", {"_form_submitted": "on", "amount": "2.25", "reason": "invoice says so"}
    )

    replacement = CostEvent.objects.get(adjusts=event.pk, event_class="usage")
    reversal = CostEvent.objects.get(adjusts=event.pk, event_class="reversal")
    assert answer.headers["Location"].endswith(f"{replacement.pk}/change/")
    assert (replacement.amount, reversal.amount) == (Decimal("2.25"), Decimal("-1.5"))
    assert CostEvent.objects.get(pk=event.pk).amount == Decimal("1.5")
    window = preset("7d", timezone.now(), reader.organisation_zone())
    assert reader.total(window).base_amount == Decimal("5.25")
    entry = AuditEntry.objects.get(action="cost.corrected")
    assert (entry.reason, entry.actor_label) == ("invoice says so", "root")
    chain = client.get(f"{LIST}{event.pk}/change/").context
    assert (len(chain["event_chain"]), chain["chain_total"]) == (3, "2.25 USD")


@pytest.mark.parametrize("values", [{"amount": "2"}, {"amount": "-1", "reason": "x"}, {"amount": "a", "reason": "x"}])
def test_correct__without_reason_or_sense__changes_nothing(
    client: Client, event: CostEvent, values: dict[str, str]
) -> None:
    answer = client.post(f"{LIST}{event.pk}/correct/", {"_form_submitted": "on", **values})

    assert answer.status_code == 200
    assert CostEvent.objects.count() == 3
    assert not AuditEntry.objects.filter(action="cost.corrected").exists()


def test_correct__twice__says_that_it_was_corrected(client: Client, event: CostEvent) -> None:
    form = {"_form_submitted": "on", "amount": "2", "reason": "first"}
    client.post(f"{LIST}{event.pk}/correct/", form)

    answer = client.post(f"{LIST}{event.pk}/correct/", form | {"amount": "3"})

    assert "corrected already" in answer.content.decode()
    assert CostEvent.objects.count() == 5


@pytest.mark.parametrize("role", ["finance_viewer", "auditor", "researcher"])
def test_correct__by_a_reader__is_refused_and_not_offered(event: CostEvent, role: str) -> None:
    reading = signed_in(person(roles=(role,)))
    page = reading.get(f"{LIST}{event.pk}/change/")

    assert page.status_code == 200
    assert "Correct the amount" not in page.content.decode()
    form = {"_form_submitted": "on", "amount": "2", "reason": "x"}
    assert reading.post(f"{LIST}{event.pk}/correct/", form).status_code == 403
    assert CostEvent.objects.count() == 3


def test_correct__of_what_corrects_another__is_refused(client: Client, event: CostEvent) -> None:
    client.post(f"{LIST}{event.pk}/correct/", {"_form_submitted": "on", "amount": "2", "reason": "first"})
    reversal = CostEvent.objects.get(event_class="reversal")

    answer = client.post(f"{LIST}{reversal.pk}/correct/", {"_form_submitted": "on", "amount": "2", "reason": "x"})

    assert answer.status_code == 403
    assert CostEvent.objects.count() == 5


def test_finance__corrects__and_may_not_change_by_form(event: CostEvent) -> None:
    finance = signed_in(person(roles=("finance",)))

    assert finance.post(f"{LIST}{event.pk}/change/", {"amount": "9"}).status_code == 403
    answer = finance.post(f"{LIST}{event.pk}/correct/", {"_form_submitted": "on", "amount": "2", "reason": "x"})
    assert answer.status_code == 302
    assert CostEvent.objects.count() == 5


@pytest.mark.parametrize(("days", "by_time"), [(1, True), (30, False)])
def test_list__on_sqlite__reads_a_day_by_time_and_a_month_newest_first(days: int, by_time: bool) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("on PostgreSQL the planner knows")
    rows = reader.narrow(CostEvent.objects.order_by("-id"), Filters(), _last(days))[:50]

    plan = _plan(rows)

    assert ("cost_event_by_time" in plan) == by_time
    assert ("TEMP B-TREE FOR ORDER BY" in plan) == by_time


def test_count__on_sqlite__of_a_month_is_taken_from_the_index_by_time() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("on PostgreSQL the planner knows")
    rows = reader.narrow(CostEvent.objects.order_by("-id"), Filters(), _last(30))

    assert "cost_event_by_time" in _plan(rows.order_by()[:10_001])


def _last(days: int) -> Window:
    return Window(timezone.now() - timedelta(days=days), timezone.now())


def _plan(rows: QuerySet[CostEvent]) -> str:
    with connection.cursor() as cursor:
        sql, values = rows.query.sql_with_params()
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", values)
        return " ".join(row[3] for row in cursor.fetchall())
