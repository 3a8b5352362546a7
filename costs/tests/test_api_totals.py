"""Totals, breakdowns, series and lists of costs over HTTP, exact over their windows."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from django.utils import timezone

from costs.models import CostEvent
from costs.tests.api_client import BASE, Caller

pytestmark = pytest.mark.django_db
# A whole month that is over: nothing in it is in the future, whenever the tests run.
_THIS_MONTH = timezone.now().astimezone(UTC).date().replace(day=1)
MONTH = (_THIS_MONTH - timedelta(days=1)).strftime("%Y-%m")
BEFORE = (_THIS_MONTH - timedelta(days=1)).replace(day=1) - timedelta(days=1)
WHOLE = {"start_date": f"{MONTH}-01", "end_date": _THIS_MONTH.isoformat()}


def cost(at: str, amount: str, **changes: Any) -> dict[str, Any]:
    base = {"cost_type": "compute", "amount": amount, "entity_type": "agent", "entity_id": "a", "occurred_at": at}
    return base | changes


COSTS = [
    cost(f"{BEFORE}T23:59:59.999999Z", "1000"),
    cost(f"{MONTH}-01T00:00:00Z", "0.1", tags={"team": "blue"}),
    cost(f"{MONTH}-02T10:15:00Z", "0.2", provider="aws", model="c7", tags={"team": "red"}),
    cost(f"{MONTH}-02T10:45:00Z", "0.000000000001", provider="aws", model="c7"),
    cost(f"{MONTH}-02T11:00:00Z", "3", cost_type="storage"),
    cost(f"{MONTH}-02T10:15:00Z", "500", entity_id="b"),
]


@pytest.fixture
def caller() -> Caller:
    return recorded()


def recorded() -> Caller:
    caller = Caller()
    assert caller.send("costs:batch", COSTS).status == 200
    return caller


def test_total__of_an_entity__is_the_exact_sum_with_its_types(caller: Caller) -> None:
    answer = caller.get("costs/agent/a", **WHOLE)

    assert answer.status == 200
    assert answer.body == {
        "entity_type": "agent",
        "entity_id": "a",
        "currency": "USD",
        "total_cost": "3.300000000001",
        "breakdown": {"compute": "0.300000000001", "storage": "3"},
        "start_date": f"{MONTH}-01T00:00:00Z",
        "end_date": f"{_THIS_MONTH}T00:00:00Z",
        "event_count": 4,
        "unpriced_count": 0,
        "unconverted_count": 0,
        "group_by": None,
        "groups": [],
    }


@pytest.mark.parametrize(
    ("start", "end", "total"),
    [
        (f"{MONTH}-01", f"{MONTH}-02", "0.1"),
        (f"{MONTH}-01T00:00:00Z", f"{MONTH}-02T10:15:00Z", "0.1"),
        (f"{MONTH}-02T10:15:00Z", f"{MONTH}-02T10:45:00Z", "0.2"),
        (f"{MONTH}-02T12:15:00+02:00", f"{MONTH}-02T12:45:00.000001+02:00", "0.200000000001"),
        (f"{BEFORE:%Y-%m}-01", f"{MONTH}-01", "1000"),
        (f"{MONTH}-03", f"{MONTH}-03", "0"),
    ],
)
def test_total__window__includes_its_start_and_not_its_end(caller: Caller, start: str, end: str, total: str) -> None:
    assert caller.get("costs/agent/a", start_date=start, end_date=end).body["total_cost"] == total


def test_total__date_alone__is_midnight_in_the_organisations_zone() -> None:
    with override_settings(ORGANISATION_ZONE=ZoneInfo("America/Bogota")):
        caller = recorded()
        answer = caller.get("costs/agent/a", start_date=f"{MONTH}-02", end_date=f"{MONTH}-03")
        before = caller.get("costs/agent/a", start_date=BEFORE, end_date=f"{MONTH}-01")

    assert (answer.body["start_date"], answer.body["total_cost"]) == (f"{MONTH}-02T05:00:00Z", "3.200000000001")
    assert before.body["total_cost"] == "1000.1"


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("model", {"": "3.1", "c7": "0.200000000001"}),
        ("provider", {"": "3.1", "aws": "0.200000000001"}),
        ("type", {"compute": "0.300000000001", "storage": "3"}),
        ("day", {f"{MONTH}-01": "0.1", f"{MONTH}-02": "3.200000000001"}),
        ("tag:team", {"": "3.000000000001", "blue": "0.1", "red": "0.2"}),
        (
            "hour",
            {
                f"{MONTH}-01T00:00:00+00:00": "0.1",
                f"{MONTH}-02T10:00:00+00:00": "0.200000000001",
                f"{MONTH}-02T11:00:00+00:00": "3",
            },
        ),
    ],
)
def test_total__grouped__breaks_down_by_the_dimension(caller: Caller, by: str, groups: dict[str, str]) -> None:
    answer = caller.get("costs/agent/a", **WHOLE, group_by=by)
    breakdown = caller.get("costs/agent/a/breakdown", **WHOLE, by=by)

    assert {group["key"]: group["total_cost"] for group in answer.body["groups"]} == groups
    assert {group["key"]: group["total_cost"] for group in breakdown.body["groups"]} == groups
    assert answer.body["breakdown"] == {"compute": "0.300000000001", "storage": "3"}
    assert (answer.body["total_cost"], breakdown.body["total_cost"]) == ("3.300000000001", "3.300000000001")


def test_breakdown__limit__sums_the_rest_and_orders_by_cost(caller: Caller) -> None:
    answer = caller.get("costs/agent/a/breakdown", **WHOLE, by="tag:team", limit=1)

    assert [group["key"] for group in answer.body["groups"]] == [""]
    assert (answer.body["groups"][0]["share_percent"], answer.body["rest"]) == ("90.91", "0.3")


@pytest.mark.parametrize(
    ("filters", "total"),
    [
        ({"cost_type": "storage"}, "3"),
        ({"cost_type": "storage,compute"}, "3.300000000001"),
        ({"provider": "aws"}, "0.200000000001"),
        ({"model": "c7", "tag": "team:red"}, "0.2"),
        ({"tag": "team:blue"}, "0.1"),
    ],
)
def test_total__filtered__counts_only_what_matches(caller: Caller, filters: dict[str, str], total: str) -> None:
    assert caller.get("costs/agent/a", **WHOLE, **filters).body["total_cost"] == total


def test_series__by_day__has_every_bucket_and_adds_up(caller: Caller) -> None:
    answer = caller.get("costs/agent/a/timeseries", start_date=f"{MONTH}-01", end_date=f"{MONTH}-04", grain="day")

    points = [(point["at"], point["total_cost"], point["event_count"]) for point in answer.body["points"]]
    assert points == [(f"{MONTH}-01", "0.1", 1), (f"{MONTH}-02", "3.200000000001", 3), (f"{MONTH}-03", "0", 0)]
    assert answer.body["total_cost"] == "3.300000000001"


def test_series__by_hour__starts_each_bucket_in_utc(caller: Caller) -> None:
    answer = caller.get(
        "costs/agent/a/timeseries", start_date=f"{MONTH}-02T10:00:00Z", end_date=f"{MONTH}-02T12:00:00Z", grain="hour"
    )

    points = [(point["at"], point["total_cost"]) for point in answer.body["points"]]
    assert points == [(f"{MONTH}-02T10:00:00+00:00", "0.200000000001"), (f"{MONTH}-02T11:00:00+00:00", "3")]


def test_total__entity_nobody_reported_for__has_spent_nothing(caller: Caller) -> None:
    answer = caller.get("costs/agent/nobody", **WHOLE)

    assert (answer.status, answer.body["total_cost"], answer.body["breakdown"]) == (200, "0", {})


def test_total__id_with_slashes_and_spaces__is_understood(caller: Caller) -> None:
    caller.send("costs", cost(f"{MONTH}-05T00:00:00Z", "7", entity_id="team/a b/ü"))

    assert caller.get("costs/agent/team%2Fa%20b%2F%C3%BC", **WHOLE).body["total_cost"] == "7"
    assert caller.get("costs/agent/team%2Fa%20b%2F%C3%BC/timeseries", **WHOLE).body["total_cost"] == "7"


@pytest.mark.parametrize(
    ("path", "query", "status", "pointer"),
    [
        ("costs/agent/a", {"start_date": f"{MONTH}-02", "end_date": f"{MONTH}-01"}, 422, "/end_date"),
        ("costs/agent/a", {"start_date": f"{MONTH}-02T10:00:00"}, 400, "/start_date"),
        ("costs/agent/a", {"start_date": "yesterday"}, 400, "/start_date"),
        ("costs/agent/a", {"satrt_date": f"{MONTH}-02"}, 400, "/satrt_date"),
        ("costs/agent/a", {"group_by": "colour"}, 422, "/group_by"),
        ("costs/agent/a", {"tag": "team"}, 422, "/tag"),
        ("costs/agent/a/breakdown", {}, 400, "/by"),
        ("costs/agent/a/breakdown", {"by": "tag:"}, 422, "/by"),
        ("costs/agent/a/timeseries", {"grain": "second"}, 422, "/grain"),
        ("costs/agent/a/timeseries", {"grain": "hour", "start_date": "2000-01-01"}, 422, "/grain"),
        ("costs", {"entity_id": "a"}, 422, "/entity_id"),
        ("costs", {"limit": "0"}, 422, "/limit"),
        ("costs", {"cursor": "made-up"}, 400, "/cursor"),
    ],
)
def test_reading__senseless_parameter__is_named(path: str, query: dict[str, str], status: int, pointer: str) -> None:
    answer = Caller().get(path, **query)

    assert (answer.status, [error["pointer"] for error in answer.body["errors"]]) == (status, [pointer])


@pytest.mark.parametrize("path", ["costs/agent/a", "costs/agent/a/breakdown?by=model", "costs/agent/a/timeseries"])
def test_reading__key_bound_to_another_entity__is_403(path: str) -> None:
    assert Caller(entity=("agent", "b")).get(path).status == 403


def test_list__pages__hold_every_event_once_newest_first(caller: Caller) -> None:
    found, address = [], f"costs?limit=2&entity_type=agent&entity_id=a&start_date={MONTH}-01&end_date={_THIS_MONTH}"
    while address:
        page = caller.get(address).body
        found += page["items"]
        address = page["next"] and page["next"].partition(BASE)[2]

    assert [item["amount"] for item in found] == ["3", "0.000000000001", "0.2", "0.1"]
    assert found[2]["tags"] == {"team": "red"}


@pytest.mark.parametrize(
    ("query", "count"),
    [({}, 5), ({"entity_type": "agent", "entity_id": "b"}, 1), ({"cost_type": "storage"}, 1), ({"tag": "team:red"}, 1)],
)
def test_list__filtered__holds_what_matches(caller: Caller, query: dict[str, str], count: int) -> None:
    assert len(caller.get("costs", **WHOLE, **query).body["items"]) == count


def test_list__bound_key__sees_its_own_entity_only(caller: Caller) -> None:
    bound = Caller(entity=("agent", "b"))

    assert [item["entity_id"] for item in bound.get("costs", **WHOLE).body["items"]] == ["b"]
    assert bound.get("costs", entity_type="agent", entity_id="a").status == 403


def test_list__event__shows_how_it_was_recorded(caller: Caller) -> None:
    item = caller.get("costs", **WHOLE, entity_type="agent", entity_id="b").body["items"][0]

    event = CostEvent.objects.get(entity__entity_id="b")
    assert (item["record_id"], item["amount"], item["base_amount"]) == (str(event.id), "500", "500")
    assert (item["occurred_at"], item["price_status"]) == (f"{MONTH}-02T10:15:00Z", "reported")
    assert urlsplit(item["idempotency_key"]).path == ""
