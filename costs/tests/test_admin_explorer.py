"""The cost explorer: what it shows adds up, leads to exactly its events and can be taken away."""

from __future__ import annotations

import csv
import io
import zipfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.models import AuditEntry
from core.tests.people import administrator, person, signed_in
from costs import explorer
from costs.inputs import CostItem
from costs.models import CostEvent
from costs.reader_links import SelectionError, selection
from costs.reader_plan import UTC as ZONE
from costs.services.ingest import record_costs
from costs.tests.ledger_case import SENDER, fold_everything

PAGE = "/admin/costs/explorer/"
pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def fleet() -> list[CostEvent]:
    """Sixty costs of the last 20 days, of six agents, three types and two currencies, one of them without a price."""
    now = timezone.now()
    items = [
        CostItem(
            cost_type=("llm_api", "tool_usage", "compute")[number % 3], entity_type="agent",
            entity_id=f"agent-{number % 6}", amount=Decimal(number + 1) / 8,
            currency="EUR" if number % 10 == 0 else "USD", provider="p", model=f"m{number % 2}",
            occurred_at=now - timedelta(hours=8 * number), tags={"team": f"t{number % 4}"},
            idempotency_key=f"k{number}",
        )
        for number in range(60)
    ]  # fmt: skip
    items.append(
        CostItem(cost_type="llm_api", entity_type="agent", entity_id="agent-0", provider="acme", model="nobody-knows",
                 input_tokens=10, output_tokens=5, idempotency_key="unpriced")
    )  # fmt: skip
    assert {verdict.status for verdict in record_costs(items, sender=SENDER, now=now)} == {"recorded"}
    return list(CostEvent.objects.all())


def _shown(client: Client, address: str) -> set[str]:
    """Return the ids of all events of a list, page by page."""
    found: set[str] = set()
    answer = client.get(address)
    assert answer.status_code == 200, address
    for number in range(1, answer.context["cl"].paginator.num_pages + 1):
        rows = client.get(f"{address}&p={number}").context["cl"].result_list
        found |= {str(row.pk) for row in rows}
    return found


def test_explorer__first_visit__shows_30_days_by_cost_type_adding_up(client: Client, fleet: list[CostEvent]) -> None:
    found = client.get(PAGE).context["found"]

    assert (found.view.period, found.view.group, found.view.grain) == ("30d", "cost_type", "day")
    assert found.total.event_count == 61
    assert found.total.base_amount == sum(event.base_amount or 0 for event in fleet)
    assert sum((row.measures.base_amount for row in found.rows), Decimal(0)) == found.total.base_amount
    bars = sum((sum(values, Decimal(0)) for _, _, values in found.bars.series), Decimal(0))
    assert bars == found.total.base_amount
    assert len(found.bars.buckets) == 30


@pytest.mark.parametrize("query", ["group=cost_type", "group=entity", "group=entity&split=cost_type", "group=model",
                                   "group=tag:team", "group=currency&measure=original", "group=entity_type&grain=week",
                                   "group=provider&period=90d", "group=model&measure=tokens", "group="])  # fmt: skip
def test_explorer__every_row__leads_to_exactly_its_events(client: Client, fleet: list[CostEvent], query: str) -> None:
    answer = client.get(f"{PAGE}?{query}")
    found, rows = answer.context["found"], answer.context["table_rows"]

    seen: set[str] = set()
    for row, shown in zip(found.rows, rows, strict=True):
        events = _shown(client, shown["link"])
        assert len(events) == row.measures.event_count
        assert seen & events == set()
        seen |= events
    assert seen == {str(event.pk) for event in fleet}


@pytest.mark.parametrize("group", ["cost_type", "entity"])
def test_explorer__every_bar__leads_to_exactly_its_events(client: Client, fleet: list[CostEvent], group: str) -> None:
    found = client.get(f"{PAGE}?group={group}&measure=events").context["found"]

    for series, _, values in found.bars.series:
        for label, value in zip(found.bars.labels, values, strict=True):
            if not value:
                continue
            query = QueryDict(found.view.query(), mutable=True)
            query.update({"bar": label, "series": series})
            answer = client.get(f"{reverse('admin:costs_explorer_rows')}?{query.urlencode()}")
            assert answer.status_code == 302
            assert len(_shown(client, answer["Location"])) == value


def test_explorer__more_series_than_colours__the_rest_is_one_series_that_keeps_the_total(client: Client) -> None:
    now = timezone.now()
    items = [
        CostItem(cost_type="other", entity_type="agent", entity_id=f"a{number}", amount=Decimal(number + 1),
                 idempotency_key=f"k{number}")
        for number in range(15)
    ]  # fmt: skip
    record_costs(items, sender=SENDER, now=now)

    found = client.get(f"{PAGE}?group=entity").context["found"]

    assert [series for series, _, _ in found.bars.series][-1] == "All others"
    assert len(found.bars.series) == 9
    assert sum((sum(values, Decimal(0)) for _, _, values in found.bars.series), Decimal(0)) == Decimal(120)


def test_explorer__filters__are_kept_in_address_rows_and_figures(client: Client, fleet: list[CostEvent]) -> None:
    answer = client.get(f"{PAGE}?period=30d&group=model&entity=agent:agent-0&cost_type=llm_api")

    found = answer.context["found"]
    wanted = [event for event in fleet if event.entity.entity_id == "agent-0" and event.cost_type == "llm_api"]
    assert found.total.event_count == len(wanted)
    assert ("entity", "agent:agent-0") in parse_qsl(found.view.query())
    assert _shown(client, answer.context["figures"][0].link) == {str(event.pk) for event in wanted}


def test_explorer__unpriced_events__are_counted_named_and_linked(client: Client, fleet: list[CostEvent]) -> None:
    answer = client.get(PAGE)

    figure = answer.context["figures"][3]
    assert (figure.label, figure.value, figure.tone) == ("Without a price", "1", "warning")
    assert _shown(client, figure.link) == {str(event.pk) for event in fleet if event.amount is None}
    assert any("1 event(s) have no price yet" in sentence for sentence in answer.context["why"])


def test_explorer__nothing_recorded_ever__shows_the_first_command(client: Client) -> None:
    page = client.get(PAGE).content.decode()

    assert "No costs yet" in page
    assert "curl -X POST http://testserver/api/v1/financial/costs" in page


@pytest.mark.parametrize("query", ["group=colour", "period=custom&from=2026-03-01", "measure=x", "entity=agent",
                                   "period=custom&from=2026-03-02&to=2026-03-01", "tag=x",
                                   "period=custom&from=a&to=b"])  # fmt: skip
def test_explorer__senseless_address__says_why_and_shows_the_default(client: Client, query: str) -> None:
    answer = client.get(f"{PAGE}?{query}")

    assert answer.status_code == 200
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]
    assert answer.context["view"].period == "30d"


def test_export_csv__has_every_row_with_every_digit_and_is_audited(client: Client, fleet: list[CostEvent]) -> None:
    answer = client.post(f"{PAGE}export/csv/?period=30d&group=entity")

    text = answer.getvalue().decode().removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert {row["Entity id"] for row in rows} == {f"agent:agent-{number}" for number in range(6)}
    assert sum(Decimal(row["USD"]) for row in rows) == sum(event.base_amount or 0 for event in fleet)
    assert AuditEntry.objects.get(action="costs.explored").after["format"] == "csv"


def test_export_xlsx__opens_as_a_workbook(client: Client, fleet: list[CostEvent]) -> None:
    answer = client.post(f"{PAGE}export/xlsx/?period=30d&group=cost_type")

    sheet = zipfile.ZipFile(io.BytesIO(answer.content)).read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 4
    assert all(f"<t>{words}</t>" in sheet for words in ("Cost type", "USD", "LLM API", "Compute", "Tool usage"))


def test_export__by_get_or_without_permission__is_refused(client: Client) -> None:
    stranger = signed_in(person(permissions=("core.view_job",)))

    assert client.get(f"{PAGE}export/csv/").status_code == 405
    assert stranger.post(f"{PAGE}export/csv/").status_code == 403
    assert stranger.get(PAGE).status_code == 403
    assert not AuditEntry.objects.filter(action="costs.explored").exists()


def test_drill__bar_that_is_not_there__is_404(client: Client, fleet: list[CostEvent]) -> None:
    assert client.get(f"{reverse('admin:costs_explorer_rows')}?bar=1999-01-01&series=x").status_code == 404


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("today", "2026-03-18", "2026-03-19"),
        ("yesterday", "2026-03-17", "2026-03-18"),
        ("7d", "2026-03-12", "2026-03-19"),
        ("month", "2026-03-01", "2026-03-19"),
        ("last_month", "2026-02-01", "2026-03-01"),
        ("quarter", "2026-01-01", "2026-03-19"),
        ("year", "2026-01-01", "2026-03-19"),
    ],
)
def test_preset__of_a_day__is_whole_days_with_today(period: str, first: str, last: str) -> None:
    window = explorer.preset(period, NOW, ZONE)

    assert (window.start.isoformat()[:10], window.end.isoformat()[:10]) == (first, last)


def test_selection__of_an_address__comes_back_from_its_own_query() -> None:
    period, kinds = "from=2026-03-01&to=2026-03-05", "cost_type=llm_api&cost_type=other"
    query = f"{period}&entity=agent:a:b&subtree=1&{kinds}&provider=(none)&tag=a=b=c"

    first = selection(QueryDict(query), ZONE)

    assert first.filters.entity == ("agent", "a:b")
    assert (first.filters.provider, dict(first.filters.tags)) == ("", {"a": "b=c"})
    assert selection(QueryDict(first.query()), ZONE) == first


@pytest.mark.parametrize("query", ["from=2026-03-01", "entity=x", "tag=x", "from=2026-03-01T10:00&to=2026-03-02"])
def test_selection__senseless__is_refused(query: str) -> None:
    with pytest.raises(SelectionError):
        selection(QueryDict(query), ZONE)


@pytest.mark.django_db(transaction=True)
def test_explorer__folded_or_not__shows_the_same(client: Client, fleet: list[CostEvent]) -> None:
    before = client.get(f"{PAGE}?group=entity").context["found"]

    fold_everything(timezone.now())

    after: Any = client.get(f"{PAGE}?group=entity").context["found"]
    assert after.total == before.total
    assert [row.measures for row in after.rows] == [row.measures for row in before.rows]


@pytest.mark.parametrize(
    ("group", "said"),
    [("tag:team", "so the shorter the period, the sooner the answer"), ("entity", "the daily totals per entity")],
)
def test_page__says_where_its_figures_come_from_and_what_makes_them_slow(group: str, said: str) -> None:
    now = timezone.now()
    record_costs(
        [CostItem(cost_type="llm_api", entity_type="agent", entity_id="a", amount=Decimal(1))], sender=SENDER, now=now
    )
    client = signed_in(administrator())

    page = client.get("/admin/costs/explorer/", {"group": group, "period": "30d"}).content.decode()

    assert said in page
