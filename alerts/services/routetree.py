"""The routing tree as it is stored, put together once per pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.choices import ACTIVE_STATES
from alerts.matching import stored_matchers
from alerts.models import Alert, Route, TimeInterval
from alerts.tree import GROUP_INTERVAL, GROUP_WAIT, REPEAT_INTERVAL, Branch, Times


@dataclass(frozen=True, slots=True)
class RouteTree:
    """The root, and every branch by the key of its route."""

    root: Branch
    branches: Mapping[int, Branch]

    def branch(self, route: int) -> Branch:
        """Return the branch of a route; one made since the tree was read counts as the root until it is read again."""
        return self.branches.get(route, self.root)


def load_tree() -> RouteTree | None:
    """Read the tree with four queries; None before anybody has made a root."""
    children: dict[int | None, list[Route]] = {}
    for route in Route.objects.prefetch_related("mute_intervals", "active_intervals").order_by("position", "id"):
        children.setdefault(route.parent_id, []).append(route)
    if None not in children:
        return None
    root = _branch(children[None][0], None, children)
    return RouteTree(root, {branch.id: branch for branch in root.walk()})


def labels_of(alert: Alert) -> dict[str, str]:
    """Return the labels that an alert is routed, silenced and grouped by: its own, its severity and its source."""
    return {"severity": alert.severity, "source": alert.source, **alert.labels}


def reroute(*, now: datetime) -> int:
    """Let the next pass of routing look at every alert that fires again, because the tree has changed."""
    return Alert.objects.filter(state__in=ACTIVE_STATES).update(routed_seq=0)


def _branch(route: Route, parent: Branch | None, children: Mapping[int | None, Sequence[Route]]) -> Branch:
    own = Branch(
        id=route.pk,
        name=route.name,
        path=f"{parent.path} › {route.name}" if parent else route.name,
        matchers=stored_matchers(route.matchers),
        receiver=route.receiver_id or (parent.receiver if parent else None),
        continues=route.continues,
        group_by=tuple(route.group_by) if route.group_by is not None else (parent.group_by if parent else ()),
        wait=_seconds(route.group_wait_seconds, parent.wait if parent else GROUP_WAIT),
        interval=_seconds(route.group_interval_seconds, parent.interval if parent else GROUP_INTERVAL),
        repeat=_seconds(route.repeat_interval_seconds, parent.repeat if parent else REPEAT_INTERVAL),
        mute=tuple(times_of(item) for item in route.mute_intervals.all()),
        active=tuple(times_of(item) for item in route.active_intervals.all()),
    )
    below = [_branch(child, own, children) for child in children.get(route.pk, ())]
    return replace(own, children=tuple(below))


def _seconds(own: int | None, inherited: timedelta) -> timedelta:
    return inherited if own is None else timedelta(seconds=own)


def times_of(interval: TimeInterval) -> Times:
    """Return a stored time interval as the tree uses it."""
    return Times(interval.name, ZoneInfo(interval.time_zone), interval.intervals)
