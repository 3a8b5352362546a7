"""Admin rows of alerts, silences and routing."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from alerts.matching import parse_matchers
from alerts.models import AlertGroup, Route
from alerts.services import configuration, flushing, silences
from alerts.services.configuration import InhibitTerms, IntervalTerms, ReceiverTerms, RouteTerms
from alerts.services.silences import SilenceTerms
from alerts.tests.routing_case import channel, report, send

NOW = datetime(2026, 3, 18, 12, 0, tzinfo=UTC)
Rows = Callable[[int], None]


def _fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def _alerts(count: int) -> None:
    send(NOW, *(report(_fresh("Disk"), at=NOW, host=_fresh("h")) for _ in range(count)))
    flushing.run(NOW + timedelta(minutes=1))


def _silences(count: int) -> None:
    now = timezone.now()
    for number in range(count):
        terms = SilenceTerms(
            matchers=parse_matchers(f'alertname="{_fresh("x")}"'),
            starts_at=now,
            ends_at=now + timedelta(hours=1),
            comment="repair",
            recurrence="FREQ=WEEKLY;COUNT=4" if number % 2 else "",
        )
        silences.create_silence(terms, by="maria", now=now)


def _receivers(count: int) -> None:
    for _ in range(count):
        terms = ReceiverTerms(name=_fresh("receiver"), channels=[channel(_fresh("c"))], opens_incident=True)
        configuration.save_receiver(terms, now=NOW)


def _routes(count: int) -> None:
    root = Route.objects.get(parent=None)
    receiver = configuration.save_receiver(ReceiverTerms(name=_fresh("receiver")), now=NOW)
    for number in range(count):
        matchers = parse_matchers(f'team="{_fresh("t")}"')
        terms = RouteTerms(name=_fresh("route"), parent=root, matchers=matchers, receiver=receiver, position=number)
        configuration.save_route(terms, now=NOW)


def _inhibit_rules(count: int) -> None:
    for _ in range(count):
        source, target = parse_matchers('severity="critical"'), parse_matchers('severity="low"')
        terms = InhibitTerms(name=_fresh("rule"), source_matchers=source, target_matchers=target, equal=["alertname"])
        configuration.save_inhibit_rule(terms, now=NOW)


def _intervals(count: int) -> None:
    for _ in range(count):
        terms = IntervalTerms(name=_fresh("times"), time_zone="Europe/Paris", intervals=[{"weekdays": ["sunday"]}])
        configuration.save_interval(terms, now=NOW)


def _groups(count: int) -> None:
    _alerts(count)
    assert AlertGroup.objects.count() >= count


ROWS: dict[str, Rows] = {
    "alerts.alert": _alerts,
    "alerts.alertgroup": _groups,
    "alerts.silence": _silences,
    "alerts.receiver": _receivers,
    "alerts.route": _routes,
    "alerts.inhibitrule": _inhibit_rules,
    "alerts.timeinterval": _intervals,
}
