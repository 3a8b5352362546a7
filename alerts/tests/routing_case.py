"""What tests of routing share: a small tree, reports, and the passes that a report goes through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from alerts.choices import ChannelKind
from alerts.matching import parse_matchers
from alerts.models import Alert, AlertGroup, Channel, Notification, Receiver, Route
from alerts.reports import Report
from alerts.services import flushing, routing
from alerts.services.intake import Recorded, record

EPOCH = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
WAIT, INTERVAL, REPEAT = timedelta(seconds=30), timedelta(minutes=5), timedelta(hours=4)


def channel(name: str = "log", **values: Any) -> Channel:
    """Make a channel that writes to the log."""
    return Channel.objects.create(name=name, kind=ChannelKind.LOG, created_at=EPOCH, **values)


def receiver(name: str = "team", *channels: Channel, **values: Any) -> Receiver:
    """Make a receiver with these channels, or with one of its own."""
    made = Receiver.objects.create(name=name, **values)
    made.channels.set(channels or [channel(f"{name}-log")])
    return made


def root(to: Receiver | None = None, *, group_by: Sequence[str] = ("alertname",), **values: Any) -> Route:
    """Make a root in place of the tree that an installation begins with."""
    Route.objects.exclude(parent=None).delete()
    Route.objects.all().delete()
    return Route.objects.create(name="root", receiver=to or receiver(), group_by=list(group_by), **values)


def branch(parent: Route, matchers: str, to: Receiver | None = None, **values: Any) -> Route:
    """Make a route below another, after those that are there."""
    wanted = [matcher.as_json() for matcher in parse_matchers(matchers)]
    position = parent.children.count()
    return Route.objects.create(
        name=values.pop("name", matchers), parent=parent, matchers=wanted, receiver=to, position=position, **values
    )


def report(name: str = "Disk", *, at: datetime, active: bool = True, severity: str = "high", **labels: str) -> Report:
    """Return what a sender says of one label set."""
    return Report({"alertname": name, **labels}, severity, "test", active, at, {"summary": f"{name} is wrong"})


def send(now: datetime, *reports: Report) -> Recorded:
    """Take the reports in and route them."""
    done = record(reports, now=now)
    routing.run(now)
    return done


def flush(now: datetime) -> list[Notification]:
    """Flush what is due and return the messages that were written by it, in order."""
    before = set(Notification.objects.values_list("pk", flat=True))
    flushing.run(now)
    return list(Notification.objects.exclude(pk__in=before).order_by("pk"))


def group() -> AlertGroup:
    """Return the only group."""
    return AlertGroup.objects.get()


def alert(**where: Any) -> Alert:
    """Return the only alert, or the only one of these values."""
    return Alert.objects.get(**where)
