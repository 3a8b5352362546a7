"""How the alerts of a group stand at the moment of a flush: what fires, what is over, and what may not be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from django.conf import settings

from alerts.choices import ACTIVE_STATES, AlertState
from alerts.lifecycle import is_flapping
from alerts.models import Alert, AlertGroup, AlertGroupMember, GroupNotice
from alerts.notices import told_as
from alerts.services.inhibition import Inhibitor, inhibitors_of
from alerts.services.routetree import labels_of
from alerts.services.silences import Hiding, current_silences, hidden_by

Reason = Literal["silenced", "inhibited", "cooldown", "flapping"]


@dataclass(frozen=True, slots=True)
class Held:
    """Why an alert is not told of, and when it may be again; None: looked at again after each interval."""

    reason: Reason
    until: datetime | None = None


@dataclass(slots=True)
class GroupStanding:
    """One group at one moment, by fingerprint."""

    group: AlertGroup
    firing: dict[str, Alert] = field(default_factory=dict)
    held: dict[str, Held] = field(default_factory=dict)
    over: dict[str, tuple[Alert, datetime]] = field(default_factory=dict)
    members: list[AlertGroupMember] = field(default_factory=list)
    notices: dict[UUID | None, GroupNotice] = field(default_factory=dict)

    def told(self) -> dict[str, str]:
        """Return what may be told to fire, as it is written down."""
        return {
            name: told_as(alert.severity, acknowledged=alert.state == AlertState.ACKNOWLEDGED)
            for name, alert in self.firing.items()
        }


def read_standings(groups: Sequence[AlertGroup], now: datetime) -> dict[int, GroupStanding]:
    """Return how these groups stand, with a constant number of queries (one more per inhibit rule that applies)."""
    found = {group.pk: GroupStanding(group) for group in groups}
    members = AlertGroupMember.objects.filter(group__in=found).select_related("alert").order_by("alert_id")
    for member in members:
        found[member.group_id].members.append(member)
    for notice in GroupNotice.objects.filter(group__in=found).select_related("channel"):
        found[notice.group_id].notices[notice.channel_id] = notice
    active = [member.alert for standing in found.values() for member in standing.members if is_active(member)]
    hiding = _Hiding(current_silences(now), inhibitors_of(active), now)
    for standing in found.values():
        _sort(standing, hiding)
    return found


@dataclass(frozen=True, slots=True)
class _Hiding:
    """What keeps alerts from being told of."""

    silences: Sequence[Hiding]
    inhibitors: Mapping[UUID, Inhibitor]
    now: datetime

    def holds(self, alert: Alert) -> Held | None:
        if alert.pk in self.inhibitors:
            return Held("inhibited")
        if self.silences and hidden_by(self.silences, labels_of(alert)):
            return Held("silenced")
        if alert.quiet_until is not None and alert.quiet_until > self.now:
            return Held("cooldown", alert.quiet_until)
        return None


def is_active(member: AlertGroupMember) -> bool:
    """Say whether an alert fires and belongs to the group still."""
    return member.left_at is None and member.alert.state in ACTIVE_STATES


def _sort(standing: GroupStanding, hiding: _Hiding) -> None:
    """Put each fingerprint where it belongs; what fires goes before an earlier occurrence that is over."""
    for member in standing.members:
        if is_active(member):
            held = hiding.holds(member.alert)
            if held is not None:
                standing.held[member.alert.fingerprint] = held
            else:
                standing.firing[member.alert.fingerprint] = member.alert
    for member in _ended(standing.members):
        name = member.alert.fingerprint
        if name in standing.firing or name in standing.held:
            continue
        at = member.alert.resolved_at or member.left_at or hiding.now
        settled = _settled_at(member, at)
        if settled is not None and settled > hiding.now:
            standing.held[name] = Held("flapping", settled)
        else:
            standing.over[name] = (member.alert, at)


def _ended(members: Iterable[AlertGroupMember]) -> list[AlertGroupMember]:
    # The latest occurrence of a fingerprint first: it is the one that says since when it is over.
    return [member for member in reversed(list(members)) if not is_active(member)]


def _settled_at(member: AlertGroupMember, at: datetime) -> datetime | None:
    """Return when an alert that flapped has been quiet for long enough to be called over; None when it did not flap."""
    if member.left_at is not None or not is_flapping(member.alert.flaps, settings.ALERTS_FLAP_CHANGES):
        return None
    return at + timedelta(minutes=settings.ALERTS_FLAP_MINUTES)
