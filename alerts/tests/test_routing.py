"""Alerts reach the groups of the routes that take them, and stay there until they are over."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alerts.models import Alert, AlertGroup, AlertGroupMember, Route
from alerts.services import configuration, routing
from alerts.services.configuration import ReceiverTerms, RouteTerms
from alerts.services.intake import record
from alerts.services.routetree import load_tree
from alerts.services.routing_defaults import ensure_routing
from alerts.tests.routing_case import INTERVAL, WAIT, branch, channel, flush, receiver, report, root, send
from alerts.tree import reach

pytestmark = pytest.mark.django_db


def _reached(**labels: str) -> list[str]:
    tree = load_tree()
    assert tree is not None
    return [item.name for item in reach(tree.root, labels)]


def test_tree__first_that_matches_takes_it__unless_it_continues() -> None:
    # given
    top = root()
    first = branch(top, 'team="db"', name="db", continues=True)
    branch(first, 'severity="critical"', name="db-critical")
    branch(top, 'team=~"db|web"', name="both")
    branch(top, 'team="web"', name="never")
    # then
    assert _reached(team="db", severity="critical") == ["db-critical", "both"]
    assert _reached(team="db") == ["db", "both"]
    assert _reached(team="web") == ["both"]
    assert _reached(team="other") == ["root"]


def test_tree__timings_and_receiver__inherited_until_overridden() -> None:
    # given
    everybody = receiver("everybody")
    top = root(everybody, group_wait_seconds=10, repeat_interval_seconds=60)
    below = branch(branch(top, "a=b", group_wait_seconds=0), "c=d", group_by=["host"])
    # when
    tree = load_tree()
    # then
    assert tree is not None
    found = tree.branches[below.pk]
    assert (found.wait, found.repeat, found.interval) == (timedelta(0), timedelta(minutes=1), INTERVAL)
    assert (found.receiver, found.group_by, found.path) == (everybody.pk, ("host",), "root › a=b › c=d")


def test_route__changed_alert__routed_once_and_again_when_it_changes(now: datetime) -> None:
    # given
    root()
    record([report(at=now)], now=now)
    # when
    first, second = routing.run(now), routing.run(now)
    record([report(at=now, severity="critical")], now=now)
    third = routing.run(now)
    # then
    assert (first, second, third) == (1, 0, 1)
    assert AlertGroupMember.objects.count() == 1
    assert AlertGroup.objects.get().changes == 2


def test_route__pending__in_no_group_until_it_fires(now: datetime) -> None:
    # given
    root()
    waiting = report(at=now)
    object.__setattr__(waiting, "for_seconds", 60)
    # when
    send(now, waiting)
    none = AlertGroup.objects.count()
    send(now + timedelta(minutes=1), waiting)
    # then
    assert none == 0
    assert AlertGroup.objects.get().next_flush_at == now + timedelta(minutes=1) + WAIT


def test_group_by__changed_while_groups_are_open__they_end_under_their_old_key(now: datetime) -> None:
    # given
    everybody = receiver()
    top = root(everybody)
    send(now, report(at=now, host="a"))
    flush(now + WAIT)
    # when
    terms = RouteTerms(name="root", parent=None, receiver=everybody, group_by=["alertname", "host"])
    configuration.save_route(terms, now=now, route=top)
    send(now + timedelta(minutes=1), report(at=now, host="b"))
    told = flush(now + timedelta(minutes=1) + WAIT)
    send(now + timedelta(minutes=2), report(at=now, host="a", active=False))
    over = flush(now + WAIT + INTERVAL)
    # then
    assert [row.payload["group_labels"] for row in told] == [{"alertname": "Disk", "host": "b"}]
    assert [(row.payload["status"], row.payload["group_labels"]) for row in over] == [
        ("resolved", {"alertname": "Disk"})
    ]


def test_route__removed_with_an_open_group__its_channel_is_told_the_end(now: datetime) -> None:
    # given
    top = root(receiver("everybody", channel("general")))
    own = branch(top, 'team="db"', receiver("dba", channel("database")))
    send(now, report(at=now, team="db"))
    flush(now + WAIT)
    # when
    configuration.remove_route(own, now=now)
    routing.run(now + timedelta(minutes=1))
    flush(now + WAIT + INTERVAL)
    send(now + WAIT + INTERVAL, report(at=now, team="db", active=False))
    over = flush(now + WAIT + 2 * INTERVAL)
    # then
    assert {row.channel.name for row in over if row.channel and row.payload["status"] == "resolved"} == {
        "database",
        "general",
    }
    assert Route.objects.count() == 1


def test_severity__rises_into_another_route__told_there_and_ended_here(now: datetime) -> None:
    # given
    top = root(receiver("everybody", channel("general")))
    branch(top, 'severity="critical"', receiver("urgent", channel("pager")))
    send(now, report(at=now, severity="low"))
    flush(now + WAIT)
    # when
    send(now + timedelta(minutes=1), report(at=now, severity="critical"))
    told = flush(now + WAIT + INTERVAL)
    # then
    assert sorted((row.channel.name, row.payload["status"]) for row in told if row.channel) == [
        ("general", "resolved"),
        ("pager", "firing"),
    ]


def test_receiver__loses_a_channel__it_is_told_the_end_and_nothing_new(now: datetime) -> None:
    # given
    old, new = channel("old"), channel("new")
    everybody = receiver("everybody", old)
    root(everybody)
    send(now, report(at=now, host="a"))
    flush(now + WAIT)
    # when
    configuration.save_receiver(ReceiverTerms(name="everybody", channels=[new]), now=now, receiver=everybody)
    send(now + timedelta(minutes=1), report(at=now, host="b"), report(at=now, host="a", active=False))
    told = {row.channel.name: row.payload for row in flush(now + WAIT + INTERVAL) if row.channel}
    # then
    assert (told["old"]["status"], [item["labels"]["host"] for item in told["old"]["alerts"]]) == ("resolved", ["a"])
    assert (told["new"]["status"], [item["labels"]["host"] for item in told["new"]["alerts"]]) == ("firing", ["b"])


def test_defaults__run_twice__made_once_and_never_over_an_operator(now: datetime) -> None:
    # given
    everything = Route.objects.get(parent=None)
    Route.objects.filter(pk=everything.pk).update(name="Mine")
    # when
    made = ensure_routing(now=now)
    # then
    assert not made
    assert Route.objects.get(parent=None).name == "Mine"
    assert _reached(alertname="Watchdog", severity="critical") == ["Watchdog"]
    assert _reached(severity="page") == ["Urgent"]
    assert _reached(severity="warning") == ["Mine"]


def test_storm__ten_thousand_alerts__one_message_that_lists_fifty(now: datetime) -> None:
    # given
    root()
    # when
    send(now, *(report(at=now, host=f"h{number:05}") for number in range(10_000)))
    told = flush(now + WAIT)
    # then
    assert len(told) == 1
    assert told[0].payload["title"] == "High: Disk (10,000 firing)"
    assert (len(told[0].payload["alerts"]), told[0].payload["alert_count"]) == (50, 10_000)
    assert told[0].payload["text"].splitlines()[-1] == "… and 9,990 more."
    assert Alert.objects.count() == 10_000
