"""The routing pass: alerts that changed are put into the groups they are told of in, and those groups are woken.

It works on whatever `routed_seq < seq` says, so a change is never lost; doing the same work twice changes nothing.
An alert stays in the group it is in while its route still matches, also when the route has come to group by other
labels: what a channel was told under one key is ended under the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import F

from alerts.choices import ACTIVE_STATES
from alerts.models import Alert, AlertGroup, AlertGroupMember
from alerts.services import nudges
from alerts.services.routetree import RouteTree, labels_of, load_tree
from alerts.tree import Branch, group_key, reach

BATCH = 500
MOST_BATCHES = 40


def run(now: datetime) -> int:
    """Route what changed, in batches; return how many alerts that were. Does nothing while there is no root route."""
    tree = load_tree()
    if tree is None:
        return 0
    done = 0
    for _ in range(MOST_BATCHES):
        count = _route_batch(tree, now)
        done += count
        if count < BATCH:
            break
    return done


@transaction.atomic
def _route_batch(tree: RouteTree, now: datetime) -> int:
    """Route one batch. Alerts that another worker has in hand are left to it; nobody is waited for but groups."""
    changed = Alert.objects.filter(routed_seq__lt=F("seq")).select_for_update(skip_locked=True, no_key=True)
    alerts = list(changed.defer("annotations", "generator_url").order_by("pk")[:BATCH])
    if alerts:
        batch = _Batch(tree, now, {alert.pk: alert for alert in alerts})
        batch.plan()
        batch.write()
        Alert.objects.filter(pk__in=batch.alerts).update(routed_seq=F("seq"))
    return len(alerts)


@dataclass
class _Place:
    """A group that an alert belongs to, by its labels."""

    branch: Branch
    labels: dict[str, str]
    key: str


@dataclass
class _Batch:
    """What a batch of changed alerts does to groups."""

    tree: RouteTree
    now: datetime
    alerts: Mapping[UUID, Alert]
    joining: list[tuple[Alert, _Place]] = field(default_factory=list)
    rejoining: list[int] = field(default_factory=list)
    leaving: list[int] = field(default_factory=list)
    # The groups to wake, with the alerts for whose sake.
    woken: dict[int, list[Alert]] = field(default_factory=dict)

    def plan(self) -> None:
        """Compare where the alerts are with where they belong."""
        present: dict[UUID, list[AlertGroupMember]] = {}
        for member in AlertGroupMember.objects.filter(alert__in=self.alerts).select_related("group"):
            present.setdefault(member.alert_id, []).append(member)
        for alert in self.alerts.values():
            members = present.get(alert.pk, [])
            if alert.state in ACTIVE_STATES:
                self._place(alert, members)
            for member in members:
                self.woken.setdefault(member.group_id, []).append(alert)

    def _place(self, alert: Alert, members: Sequence[AlertGroupMember]) -> None:
        labels = labels_of(alert)
        wanted = {branch.id: branch for branch in reach(self.tree.root, labels)}
        for member in members:
            if member.group.route_id not in wanted:
                self.leaving += [member.pk] if member.left_at is None else []
                continue
            del wanted[member.group.route_id]
            self.rejoining += [member.pk] if member.left_at is not None else []
        for branch in wanted.values():
            own = branch.group_labels(labels)
            self.joining.append((alert, _Place(branch, own, group_key(own))))

    def write(self) -> None:
        """Write memberships and wake the groups."""
        groups = self._groups(place for _, place in self.joining)
        rows = []
        for alert, place in self.joining:
            group = groups[place.branch.id, place.key]
            rows.append(AlertGroupMember(group_id=group, alert=alert))
            self.woken.setdefault(group, []).append(alert)
        AlertGroupMember.objects.bulk_create(rows, ignore_conflicts=True)
        AlertGroupMember.objects.filter(pk__in=self.leaving).update(left_at=self.now)
        AlertGroupMember.objects.filter(pk__in=self.rejoining).update(left_at=None)
        self._wake()

    def _groups(self, places: Iterable[_Place]) -> dict[tuple[int, str], int]:
        """Return the keys of the groups at these places, made where they are missing."""
        wanted = {(place.branch.id, place.key): place for place in places}
        if not wanted:
            return {}
        new = [
            AlertGroup(route_id=route, key=key, labels=wanted[route, key].labels, created_at=self.now)
            for route, key in sorted(wanted)
        ]
        AlertGroup.objects.bulk_create(new, ignore_conflicts=True)
        routes, keys = {route for route, _ in wanted}, {key for _, key in wanted}
        rows = AlertGroup.objects.filter(route__in=routes, key__in=keys).values_list("route_id", "key", "pk")
        return {(route, key): pk for route, key, pk in rows if (route, key) in wanted}

    def _wake(self) -> None:
        """Make the groups due: a new one when it has waited for more, another an interval after it was last looked at.

        `changes` tells a flush that has read the group already to look again.
        """
        groups = list(AlertGroup.objects.filter(pk__in=self.woken).select_for_update(no_key=True).order_by("pk"))
        for group in groups:
            due = self._due(group, self.woken[group.pk])
            group.next_flush_at = due if group.next_flush_at is None else min(due, group.next_flush_at)
            group.changes += 1
        AlertGroup.objects.bulk_update(groups, ["next_flush_at", "changes"], batch_size=200)
        if any(group.next_flush_at == self.now for group in groups):
            nudges.wake("flush_groups")

    def _due(self, group: AlertGroup, alerts: Sequence[Alert]) -> datetime:
        branch = self.tree.branch(group.route_id)
        if group.flushed_at is not None:
            return max(self.now, group.flushed_at + branch.interval)
        began = min(alert.starts_at for alert in alerts)
        return max(self.now, min(self.now, began) + branch.wait)
