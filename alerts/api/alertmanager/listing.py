"""Which active alerts a caller asks for, each with what hides it and whom it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.http import QueryDict

from alerts.api.alertmanager.shapes import AlertStatus, GettableAlert, shown_alert
from alerts.choices import ACTIVE_STATES
from alerts.matching import Matcher, matches, parse_matchers
from alerts.models import Alert, AlertGroup, AlertGroupMember, Receiver
from alerts.services.inhibition import inhibitors_of
from alerts.services.routetree import RouteTree, labels_of, load_tree
from alerts.services.silences import Hiding, current_silences, hidden_by
from alerts.services.silences.reading import narrowed
from alerts.tree import reach
from core.errors import FieldError, Invalid

CHUNK = 1000
# As in Alertmanager, where an alert that was not looked at yet does not stay so for long: nothing is unprocessed.
FLAGS = ("active", "silenced", "inhibited", "unprocessed")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a caller asks for: matchers of labels, of receivers, and which states to leave in."""

    matchers: tuple[Matcher, ...]
    receiver: Matcher | None
    flags: Mapping[str, bool]

    def takes(self, alert: GettableAlert) -> bool:
        """Say whether an alert in this state is asked for."""
        status = alert.status
        if not self.flags["silenced"] and status.silenced_by:
            return False
        if not self.flags["inhibited"] and status.inhibited_by:
            return False
        if not self.flags.get(status.state, True):
            return False
        return self.receiver is None or any(self.reaches(receiver.name) for receiver in alert.receivers)

    def reaches(self, receiver: str) -> bool:
        """Say whether a receiver of this name is asked for."""
        return self.receiver is None or self.receiver.matches({"receiver": receiver})


def wanted_of(parameters: QueryDict) -> Wanted:
    """Read the query parameters that Alertmanager knows; raises Invalid for a matcher or flag that is none."""
    found = [matcher for text in parameters.getlist("filter") for matcher in parse_matchers(text)]
    pattern = parameters.get("receiver", "")
    receiver = parse_matchers([Matcher("receiver", "=~", pattern)])[0] if pattern else None
    return Wanted(tuple(found), receiver, {name: _flag(parameters.get(name, "true"), name) for name in FLAGS})


def _flag(text: str, name: str) -> bool:
    if text.lower() not in {"true", "false", "1", "0"}:
        detail = f"{name} is true or false"
        raise Invalid(detail, errors=[FieldError(f"/{name}", "invalid", detail)])
    return text.lower() in {"true", "1"}


class Board:
    """The tree, the silences and the receivers, read once for a whole list."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.tree: RouteTree | None = load_tree()
        self.silences: Sequence[Hiding] = current_silences(now)
        self.receivers: dict[int, str] = dict(Receiver.objects.values_list("pk", "name"))

    def shown(self, alerts: Sequence[Alert]) -> Iterator[GettableAlert]:
        """Yield alerts with their states; the same number of queries for all of them."""
        inhibitors = inhibitors_of(alerts)
        for alert in alerts:
            labels = labels_of(alert)
            silenced = [str(silence.id) for silence in hidden_by(self.silences, labels)]
            inhibited = [inhibitors[alert.pk].fingerprint] if alert.pk in inhibitors else []
            status = AlertStatus("suppressed" if silenced or inhibited else "active", silenced, inhibited)
            yield shown_alert(alert, status, self._reached(labels), self.now)

    def receiver(self, route: int) -> str:
        """Return the name of who gets what a route matches."""
        key = self.tree.branch(route).receiver if self.tree is not None else None
        return self.receivers.get(key or 0, "")

    def _reached(self, labels: Mapping[str, str]) -> list[str]:
        if self.tree is None:
            return []
        names = (self.receivers.get(branch.receiver or 0) for branch in reach(self.tree.root, labels))
        return list(dict.fromkeys(name for name in names if name))


def active_alerts(wanted: Wanted, now: datetime) -> Iterator[GettableAlert]:
    """Yield the active alerts that are asked for, a chunk of them at a time in memory."""
    board = Board(now)
    rows = narrowed(wanted.matchers).order_by("pk").iterator(chunk_size=CHUNK)
    matching = (alert for alert in rows if matches(wanted.matchers, labels_of(alert)))
    while chunk := list(islice(matching, CHUNK)):
        yield from (alert for alert in board.shown(chunk) if wanted.takes(alert))


def groups_of(wanted: Wanted, now: datetime) -> Iterator[tuple[Mapping[str, str], str, list[GettableAlert]]]:
    """Yield labels, receiver and asked-for alerts of every group that has some."""
    board = Board(now)
    present = AlertGroupMember.objects.filter(left_at=None, alert__state__in=ACTIVE_STATES)
    groups = AlertGroup.objects.filter(pk__in=present.values("group")).order_by("route", "pk").iterator(chunk_size=200)
    while chunk := list(islice(groups, 200)):
        members = present.filter(group__in=[group.pk for group in chunk]).select_related("alert").order_by("alert_id")
        by_group = _by_group((member.group_id, member.alert) for member in members)
        for group in chunk:
            receiver = board.receiver(group.route_id)
            alerts = [alert for alert in by_group.get(group.pk, []) if matches(wanted.matchers, labels_of(alert))]
            found = [alert for alert in board.shown(alerts) if wanted.takes(alert)] if wanted.reaches(receiver) else []
            if found:
                yield group.labels, receiver, found


def _by_group(pairs: Iterable[tuple[int, Alert]]) -> dict[int, list[Alert]]:
    found: dict[int, list[Alert]] = {}
    for key, alert in pairs:
        found.setdefault(key, []).append(alert)
    return found
