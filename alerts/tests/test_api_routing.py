"""The routing tree over the API."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.models import InhibitRule, Receiver, Route, TimeInterval
from alerts.tests.routing_case import branch, receiver, root
from alerts.tests.test_api_alerts import ask

__all__ = ["ask"]
pytestmark = pytest.mark.django_db


def test_routes_test__labels_of_a_branch__says_whom_and_why(ask: Any) -> None:
    # given
    top = root(receiver("everybody"))
    branch(top, 'team="db"', receiver("dba", opens_incident=True), name="Databases", group_wait_seconds=5)
    branch(top, 'team="web"', receiver("web"), name="Web")
    # when
    found = ask("post", "routes/test", {"labels": {"team": "db", "alertname": "Slow"}}).json()
    # then
    assert [(item["path"], item["receiver"], item["group_wait_seconds"]) for item in found["reached"]] == [
        ("root › Databases", "dba", 5)
    ]
    assert [(item["path"], item["why"]) for item in found["looked_at"]] == [
        ("root", "matches, and a route below it takes it"),
        ("root › Databases", "matches, and no route below it does"),
    ]


def test_route__made_changed_removed__tree_follows(ask: Any) -> None:
    # given
    top = root(receiver("everybody"))
    receiver("dba")
    body = {"name": "DB", "parent_id": top.pk, "matchers": [{"name": "team", "op": "=", "value": "db"}]}
    # when
    made = ask("post", "routes", {**body, "receiver": "dba"}).json()
    changed = ask("put", f"routes/{made['id']}", {**body, "continues": True}).json()
    removed = ask("delete", f"routes/{made['id']}")
    # then
    assert (made["receiver"], changed["receiver"], changed["continues"]) == ("dba", None, True)
    assert removed.status_code == 204
    assert list(Route.objects.all()) == [top]


@pytest.mark.parametrize(
    ("change", "status"),
    [({"parent_id": None}, 409), ({"receiver": "nobody"}, 422), ({"repeat_interval_seconds": 0}, 422)],
)
def test_route__senseless__refused_and_nothing_made(ask: Any, change: dict[str, Any], status: int) -> None:
    # given
    top = root()
    # when
    refused = ask("post", "routes", {"name": "x", "parent_id": top.pk, **change})
    # then
    assert refused.status_code == status
    assert Route.objects.count() == 1


def test_root__removed__refused(ask: Any) -> None:
    # when
    refused = ask("delete", f"routes/{root().pk}")
    # then
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:agent-factory:problem:route_is_root")


def test_receiver__in_use__not_removed(ask: Any) -> None:
    # given
    used = receiver("used")
    root(used)
    # when
    refused = ask("delete", f"receivers/{used.pk}")
    # then
    assert refused.status_code == 409
    assert Receiver.objects.filter(pk=used.pk).exists()


def test_inhibit_rule_and_interval__made_and_removed__as_asked(ask: Any) -> None:
    # given
    InhibitRule.objects.all().delete()
    source = [{"name": "severity", "op": "=", "value": "critical"}]
    rule = {"name": "r", "source_matchers": source, "target_matchers": source, "equal": ["alertname"]}
    nights = {"name": "nights", "time_zone": "Europe/Paris", "intervals": [{"weekdays": ["saturday"]}]}
    # when
    made = ask("post", "inhibit-rules", rule).json()
    interval = ask("post", "time-intervals", nights).json()
    wrong = ask("post", "time-intervals", {**nights, "intervals": [{"weekdays": ["caturday"]}]})
    # then
    assert InhibitRule.objects.get().equal == ["alertname"]
    assert TimeInterval.objects.get().name == "nights"
    assert wrong.json()["errors"][0]["pointer"] == "/intervals/0/weekdays/0"
    assert ask("delete", f"inhibit-rules/{made['id']}").status_code == 204
    assert ask("delete", f"time-intervals/{interval['id']}").status_code == 204
