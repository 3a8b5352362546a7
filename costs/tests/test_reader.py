"""The reader: whatever source answers, the sums are those of the events, to the last digit."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.money import ZERO
from core.windows import Window, midnight
from costs import reader
from costs.inputs import CostItem
from costs.models import CostCenter, CostEvent, Entity
from costs.reader_links import narrowed
from costs.reader_plan import Answer, Filters, Measures, Question, QuestionError, buckets, offsets, plan, whole_days
from costs.services import entities, fx
from costs.services.ingest import record_costs
from costs.tests.ledger_case import SENDER, fold_everything

BERLIN, KOLKATA, ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata"), ZoneInfo("UTC")
START = datetime(2026, 3, 27, 0, 0, tzinfo=UTC)
NOW = datetime(2026, 4, 2, 12, 0, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/Santiago")
GROUPINGS: tuple[tuple[str, ...], ...] = (
    (), ("day",), ("hour",), ("minute",), ("week",), ("month",), ("entity",), ("entity_type", "day"), ("cost_type",),
    ("model", "day"), ("provider", "hour"), ("cost_center",), ("currency",), ("tag:team",), ("entity", "model"),
)  # fmt: skip


def _items(numbers: list[int]) -> list[CostItem]:
    return [
        CostItem(
            cost_type=("llm_api", "tool_usage", "storage")[number % 3],
            entity_type=("agent", "workflow")[number % 2],
            entity_id=f"e{number % 5}",
            amount=Decimal(number * 7 + 1).scaleb(-12 if number % 4 else -2),
            currency=("USD", "EUR", "USD", "JPY")[number % 4],
            provider=("openai", "", "anthropic")[number % 3],
            model=("a", "", "b")[number % 3],
            occurred_at=START + timedelta(seconds=number * 337 % (5 * 86_400)),
            tags={"team": f"t{number % 2}"} if number % 3 else {},
            idempotency_key=f"n{number}-{place}",
        )
        for place, number in enumerate(numbers)
    ]


def _record(numbers: list[int], *, fold_after: int | None = None) -> None:
    """Record in two batches; the first is folded, so that the second is the tail on PostgreSQL."""
    items = _items(numbers)
    cut = len(items) if fold_after is None else fold_after
    for part in (items[:cut], items[cut:]):
        verdicts = record_costs(part, sender=SENDER, now=NOW) if part else []
        assert {verdict.status for verdict in verdicts} <= {"recorded"}
        if part is not items[cut:]:
            fold_everything(NOW)


def _by_hand(question: Question) -> Measures:
    """Add up the events one by one, without the reader's queries."""
    total = Measures()
    for event in CostEvent.objects.filter(
        occurred_at__gte=question.window.start, occurred_at__lt=question.window.end
    ).select_related("entity"):
        total = total + Measures(
            event.base_amount or ZERO, {event.currency: event.amount or ZERO}, event.event_count,
            event.unpriced_count, event.unconverted_count,
        )  # fmt: skip
    return total


@pytest.fixture(params=["UTC", "Europe/Berlin", "Asia/Kolkata"])
def zone(request: pytest.FixtureRequest, settings: Any) -> ZoneInfo:
    settings.ORGANISATION_TIME_ZONE = request.param
    settings.ORGANISATION_ZONE = ZoneInfo(request.param)
    return ZoneInfo(request.param)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("group_by", GROUPINGS, ids="+".join)
def test_ask__every_grouping_in_a_ragged_window__adds_up_to_the_events(
    zone: ZoneInfo, group_by: tuple[str, ...]
) -> None:
    fx.record_rate(base="EUR", quote="USD", rate=Decimal("1.1"), as_of_date=date(2026, 1, 1), source="t", now=NOW)
    _record(list(range(1, 120)), fold_after=80)
    # The clocks in Berlin change within this window; its ends lie within an hour, a day and a minute.
    window = Window(START + timedelta(hours=7, minutes=20, seconds=5), START + timedelta(days=4, hours=3, minutes=41))

    answer = reader.ask(Question(window, group_by=group_by))

    expected = _by_hand(answer.question)
    assert (answer.total.base_amount, answer.total.event_count) == (expected.base_amount, expected.event_count)
    assert answer.total.amounts == expected.amounts
    assert answer.total.unconverted_count == expected.unconverted_count > 0
    assert reader.sum_of(group.measures for group in answer.groups) == answer.total


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("group_by", [grouping for grouping in GROUPINGS if grouping], ids="+".join)
def test_events_of_a_group__are_exactly_what_the_group_counts(group_by: tuple[str, ...]) -> None:
    _record(list(range(1, 60)), fold_after=40)
    window = Window(START, START + timedelta(days=6))
    answer = reader.ask(Question(window, group_by=group_by))

    for group in answer.groups:
        chosen = narrowed(_selection(answer), group_by, group.keys, ZONE)
        assert chosen.window is not None
        rows = reader.events(chosen.filters, chosen.window)
        assert sum(row.event_count for row in rows) == group.measures.event_count
        assert sum((row.base_amount or ZERO for row in rows), ZERO) == group.measures.base_amount


def _selection(answer: Answer) -> Any:
    from costs.reader_links import Selection

    return Selection(answer.question.window, answer.question.filters)


@pytest.mark.django_db(transaction=True)
def test_ask__filters__keep_exactly_what_passes_them() -> None:
    _record(list(range(1, 61)))
    center = CostCenter.objects.create(code="C1", name="One")
    first = Entity.objects.get(entity_type="agent", entity_id="e0")
    entities.set_cost_center(first, center, now=NOW)
    window = Window(START, START + timedelta(days=6))

    def counted(**filters: Any) -> int:
        return reader.total(window, Filters(**filters)).event_count

    events = list(CostEvent.objects.select_related("entity"))
    assert counted(entity=("agent", "e0")) == sum(event.entity == first for event in events) > 0
    assert counted(entities=("agent:e0", "workflow:e1")) == sum(
        (event.entity.entity_type, event.entity.entity_id) in {("agent", "e0"), ("workflow", "e1")} for event in events
    )
    assert counted(cost_types=("storage",)) == sum(event.cost_type == "storage" for event in events)
    assert counted(provider="", model="") == sum(event.provider == "" for event in events)
    assert counted(currency="JPY") == sum(event.currency == "JPY" for event in events)
    assert counted(cost_center="C1") == counted(entity=("agent", "e0"))
    assert counted(cost_center="") == len(events) - counted(cost_center="C1")
    assert counted(tags={"team": "t1"}) == sum(event.tags.get("team") == "t1" for event in events)
    assert counted(tags={"team": ""}) == sum("team" not in event.tags for event in events)
    assert counted(entity=("agent", "nobody")) == 0


@pytest.mark.django_db(transaction=True)
def test_ask__subtree__counts_everything_below_and_nothing_beside() -> None:
    _record(list(range(1, 21)))
    keys = entities.resolve([("team", "t")], now=NOW)
    team = Entity.objects.get(pk=keys["team", "t"])
    for entity in Entity.objects.filter(entity_type="agent"):
        entities.set_parent(entity, team, now=NOW)
    window = Window(START, START + timedelta(days=6))

    below = reader.total(window, Filters(entity=("team", "t"), subtree=True))

    assert below.event_count == CostEvent.objects.filter(entity__entity_type="agent").count()
    assert reader.total(window, Filters(entity=("team", "t"))).event_count == 0


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("events", [3, 90])
def test_ask__however_much_there_is__makes_the_same_few_queries(events: int) -> None:
    _record(list(range(1, events)))
    question = Question(Window(START, START + timedelta(days=6)), Filters(entity_type="agent"), ("day", "entity"))

    with CaptureQueriesContext(connection) as queries:
        reader.ask(question)

    # The sums in one statement, the names of the entities, the age of the rollup.
    assert len(queries) == 3


@pytest.mark.parametrize(
    ("group_by", "filters", "tokens", "source"),
    [
        (("day", "cost_type"), {}, False, "model_hour"),
        (("model", "hour"), {"provider": "openai"}, True, "model_hour"),
        (("entity", "day"), {}, False, "entity_day"),
        (("entity", "day"), {}, True, "events"),
        (("entity", "model"), {}, False, "events"),
        (("tag:team",), {}, False, "events"),
        (("day",), {"price_status": "unpriced"}, False, "events"),
        (("cost_center", "month"), {"entity": ("team", "t"), "subtree": True}, False, "entity_day"),
    ],
)
def test_plan__question__takes_the_smallest_source_that_can_answer(
    group_by: tuple[str, ...], filters: dict[str, Any], tokens: bool, source: str
) -> None:
    question = Question(Window(START, START + timedelta(days=3)), Filters(**filters), group_by, tokens=tokens)

    assert plan(question, ZONE).source == source


def test_plan__days_of_a_zone_with_half_hours__do_not_come_from_hours() -> None:
    by_day = Question(Window(START, START + timedelta(days=3)), group_by=("day", "model"))
    by_model = Question(Window(START, START + timedelta(days=3)), group_by=("model",))

    assert plan(by_day, KOLKATA).source == "events"
    assert plan(by_model, KOLKATA).source == "model_hour"


def test_plan__window_within_one_hour__has_no_whole_hours_and_reads_events() -> None:
    window = Window(START + timedelta(minutes=5), START + timedelta(minutes=50))

    chosen = plan(Question(window, group_by=("cost_type",)), ZONE)

    assert (chosen.source, chosen.edges) == ("events", (window,))


def test_question__unknown_or_repeated_dimension__is_refused() -> None:
    window = Window(START, START + timedelta(days=1))

    for group_by in (("colour",), ("tag:",), ("day", "day")):
        with pytest.raises(QuestionError):
            Question(window, group_by=group_by)


def test_offsets__over_the_change_of_clocks__name_the_second_it_happens() -> None:
    found = offsets(Window(START, START + timedelta(days=5)), BERLIN)

    assert [(at, int(offset.total_seconds())) for at, offset in found] == [
        (START, 3600),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 7200),
    ]


@settings(max_examples=200)
@given(st.integers(0, 2 * 366 * 1440), st.integers(1, 4000), st.sampled_from(ZONES))
def test_whole_days__any_window__lie_inside_it_and_leave_less_than_a_day_at_each_end(
    begin: int, minutes: int, name: str
) -> None:
    zone = ZoneInfo(name)
    start = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=begin)
    window = Window(start, start + timedelta(minutes=minutes))

    first, last = whole_days(window, zone)

    if first < last:
        assert window.start <= midnight(first, zone)
        assert midnight(last, zone) <= window.end
        assert midnight(first - timedelta(days=1), zone) < window.start
        assert midnight(last + timedelta(days=1), zone) > window.end


def test_buckets__each_grain__name_every_bucket_once_in_order() -> None:
    window = Window(datetime(2026, 3, 28, 23, 30, tzinfo=UTC), datetime(2026, 4, 1, 1, 0, tzinfo=UTC))

    assert buckets("day", window, BERLIN) == ["2026-03-29", "2026-03-30", "2026-03-31", "2026-04-01"]
    assert buckets("week", window, BERLIN) == ["2026-03-23", "2026-03-30"]
    assert buckets("month", window, BERLIN) == ["2026-03", "2026-04"]
    assert len(buckets("hour", window, BERLIN)) == 74
    assert buckets("day", Window(START, START), BERLIN) == []


def test_top__more_groups_than_wanted__sums_the_rest_to_the_last_digit() -> None:
    groups = tuple(
        reader.Group((reader.Key(str(number), str(number)),), Measures(Decimal(number).scaleb(-12), event_count=1))
        for number in range(10)
    )
    answer = Answer(
        Question(Window(START, START)), groups, reader.sum_of(group.measures for group in groups), "USD", "events"
    )

    top, rest = answer.top(3)

    assert [group.keys[0].value for group in top] == ["9", "8", "7"]
    assert rest is not None
    assert rest.base_amount == Decimal("0.000000000021")


numbers = st.lists(st.integers(1, 5000), min_size=1, max_size=40, unique=True)
edges = st.tuples(st.integers(0, 6 * 1440), st.integers(1, 6 * 1440))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_numbers=numbers, cut=st.integers(0, 40), edge=edges, group_by=st.sampled_from(GROUPINGS))
def test_ask__random_events_windows_and_folds__equals_the_plain_sum(
    transactional_db: None, given_numbers: list[int], cut: int, edge: tuple[int, int], group_by: tuple[str, ...]
) -> None:
    before = CostEvent.objects.count()
    items = [
        CostItem(**(_values(item) | {"idempotency_key": f"{before}-{n}"}))
        for n, item in enumerate(_items(given_numbers))
    ]
    record_costs(items[:cut], sender=SENDER, now=NOW)
    fold_everything(NOW)
    record_costs(items[cut:], sender=SENDER, now=NOW)
    window = Window(START + timedelta(minutes=edge[0]), START + timedelta(minutes=edge[0] + edge[1]))

    answer = reader.ask(Question(window, group_by=group_by))

    expected = _by_hand(answer.question)
    assert (answer.total.base_amount, answer.total.event_count) == (expected.base_amount, expected.event_count)
    assert {code: value for code, value in answer.total.amounts.items() if value} == {
        code: value for code, value in expected.amounts.items() if value
    }


def _values(item: CostItem) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__struct_fields__}
