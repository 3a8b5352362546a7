"""The routing tree as Alertmanager's configuration file: what amtool shows, checks and tests routes with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml

from alerts.matching import stored_matchers
from alerts.models import InhibitRule, Receiver, TimeInterval
from alerts.services.routetree import load_tree
from alerts.tree import Branch

NOBODY = "nobody"


def configuration() -> str:
    """Return YAML that Alertmanager accepts, with everything but the channels: those have secrets."""
    tree = load_tree()
    receivers = {row.pk: row.name for row in Receiver.objects.order_by("name")}
    document = {
        "route": _route(tree.root, receivers, is_root=True) if tree else {"receiver": NOBODY},
        "inhibit_rules": [_inhibition(rule) for rule in InhibitRule.objects.filter(enabled=True)],
        "receivers": [{"name": name} for name in (*receivers.values(), NOBODY)],
        "time_intervals": [_interval(row) for row in TimeInterval.objects.order_by("name")],
    }
    text: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return text


def _route(branch: Branch, receivers: Mapping[int, str], *, is_root: bool = False) -> dict[str, Any]:
    route: dict[str, Any] = {
        "receiver": receivers.get(branch.receiver or 0, NOBODY),
        "group_by": list(branch.group_by),
        "group_wait": _duration(branch.wait),
        "group_interval": _duration(branch.interval, least=1),
        "repeat_interval": _duration(branch.repeat, least=1),
    }
    if not is_root:
        route |= {
            "matchers": [str(matcher) for matcher in branch.matchers],
            "continue": branch.continues,
            "mute_time_intervals": [times.name for times in branch.mute],
            "active_time_intervals": [times.name for times in branch.active],
        }
    if branch.children:
        route["routes"] = [_route(child, receivers) for child in branch.children]
    return route


def _inhibition(rule: InhibitRule) -> dict[str, Any]:
    return {
        "source_matchers": [str(matcher) for matcher in stored_matchers(rule.source_matchers)],
        "target_matchers": [str(matcher) for matcher in stored_matchers(rule.target_matchers)],
        "equal": list(rule.equal),
    }


def _interval(row: TimeInterval) -> dict[str, Any]:
    located = [{**item, "location": row.time_zone} for item in row.intervals]
    return {"name": row.name, "time_intervals": located}


def _duration(value: timedelta, *, least: int = 0) -> str:
    return f"{max(least, int(value.total_seconds()))}s"
