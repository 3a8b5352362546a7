"""Whom alerts reach from the first start: the operations role by e-mail, and the log."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from alerts.choices import ChannelKind
from alerts.matching import as_json, parse_matchers
from alerts.models import Channel, InhibitRule, Receiver, Route
from core import audit

ROLE = "operations"
GROUP_BY = ["alertname", "source"]
# The severities that wake people, in the words of this platform and of others that send alerts here.
URGENT = 'severity=~"critical|high|page|error|fatal|emergency"'
SAME_MATTER = ["alertname", "source", "entity_type", "entity_id"]
BUDGET = ["source", "budget", "period_start"]


@transaction.atomic
def ensure_routing(*, now: datetime) -> bool:
    """Make the routing tree of a new installation; False when there is a root, whatever an operator made of it.

    Everything goes to the log and by e-mail to the people of the operations role. What is urgent opens an incident,
    whose escalation tells them instead, so that nobody reads the same thing twice. The watchdog, which always fires,
    goes nowhere until an outside watch is made its channel. While something is critical, lesser alerts of the same
    name and entity are not told of; an exceeded budget hides that it has reached its thresholds, and an objective that
    burns hides that its error budget is exhausted.
    """
    if Route.objects.filter(parent=None).exists():
        return False
    log, people = _channel("log", ChannelKind.LOG, {}, now), _channel(ROLE, ChannelKind.EMAIL, {"role": ROLE}, now)
    everybody = _receiver(ROLE, [log, people])
    urgent = _receiver(f"{ROLE}-urgent", [log], opens_incident=True)
    root = Route.objects.create(name="Everything", receiver=everybody, group_by=GROUP_BY)
    _branch(root, 0, "Watchdog", 'alertname="Watchdog"', _receiver("watchdog", []))
    _branch(root, 1, "Urgent", URGENT, urgent)
    _inhibit("Critical hides the rest", 'severity="critical"', 'severity=~"high|medium|low|info|warning"', SAME_MATTER)
    _inhibit("Burning hides exhausted", 'source="slas.burn"', 'source="slas.budget"', ["service", "slo"])
    _inhibit("Exceeded hides thresholds", 'alertname="Budget exceeded"', 'alertname="Budget threshold reached"', BUDGET)
    audit.record("routing.created", root, now=now, after={"receivers": [ROLE, f"{ROLE}-urgent", "watchdog"]})
    return True


def _channel(name: str, kind: str, config: dict[str, str], now: datetime) -> Channel:
    channel, _ = Channel.objects.get_or_create(name=name, defaults={"kind": kind, "config": config, "created_at": now})
    return channel


def _receiver(name: str, channels: list[Channel], *, opens_incident: bool = False) -> Receiver:
    receiver, made = Receiver.objects.get_or_create(name=name, defaults={"opens_incident": opens_incident})
    if made:
        receiver.channels.set(channels)
    return receiver


def _inhibit(name: str, source: str, target: str, equal: list[str]) -> None:
    InhibitRule.objects.get_or_create(
        name=name,
        defaults={
            "source_matchers": as_json(parse_matchers(source)),
            "target_matchers": as_json(parse_matchers(target)),
            "equal": equal,
        },
    )


def _branch(root: Route, position: int, name: str, matchers: str, receiver: Receiver) -> None:
    wanted = as_json(parse_matchers(matchers))
    Route.objects.create(name=name, parent=root, position=position, matchers=wanted, receiver=receiver)
