"""Fire, acknowledge, resolve through real servers on loopback: mail, signed webhook, Slack, Teams and PagerDuty."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group

from alerts.channels.webhook import new_secret
from alerts.models import Channel, Notification
from alerts.services import delivery
from alerts.services.outbox import enqueue
from alerts.tests import services_of_others as services
from alerts.tests.delivering import channel, message, outgoing
from core.encryption import encrypt
from core.tests.listeners import Reply
from core.tests.people import administrator, person

pytestmark = pytest.mark.django_db(transaction=True)
STEPS = ("firing", "acknowledged", "resolved")


@pytest.fixture
def now() -> datetime:
    """The real time: receivers of signed messages refuse those of another time, by five minutes."""
    return datetime.now(UTC)


@dataclass
class World:
    """All services, and a channel to each."""

    mailbox: services.Mailbox
    slack: services.Slack
    teams: services.Teams
    pagerduty: services.PagerDuty
    sink: services.Sink
    channels: list[Channel]

    @property
    def http(self) -> tuple[services.Service, ...]:
        return (self.slack, self.teams, self.pagerduty, self.sink)


@pytest.fixture
def world(settings: Any, now: datetime) -> Iterator[World]:
    Channel.objects.update(enabled=False)
    secret = new_secret()
    slack, teams, pagerduty = services.Slack(), services.Teams(), services.PagerDuty()
    sink = services.Sink(secret)
    with contextlib.ExitStack() as stack:
        mailbox = stack.enter_context(services.mail_server(settings))
        for service in (slack, teams, pagerduty, sink):
            stack.enter_context(services.serving(settings, service))
        made = [
            _channel(now, "email", {"addresses": ["oncall@example.org"]}),
            _channel(now, "slack", {}, {"url": slack.url}),
            _channel(now, "teams", {}, {"url": teams.url}),
            _channel(now, "pagerduty", {"api_url": pagerduty.url}, {"routing_key": "R" * 32}),
            _channel(now, "webhook", {"url": sink.url}, {"secrets": [secret]}),
        ]
        yield World(mailbox, slack, teams, pagerduty, sink, made)


def _channel(now: datetime, kind: str, config: dict[str, Any], secrets: dict[str, Any] | None = None) -> Channel:
    return channel(now, kind, kind, config=config, secret=encrypt(json.dumps(secrets)) if secrets else "",
                   rate_per_minute=0)  # fmt: skip


def tell(world: World, now: datetime, step: Any) -> None:
    enqueue(
        [
            outgoing(now, to, f"{step}:{to.name}", message=message(now, step), order_key="group:7", severity="critical")
            for to in world.channels
        ],
        now=now,
    )


def test_group__fires_is_acknowledged_and_ends__reaches_every_service_in_order(world: World, now: datetime) -> None:
    # when a group fires, is acknowledged and is over
    paged = []
    for step in STEPS:
        tell(world, now, step)
        assert delivery.run(now) == 5
        paged.append(dict(world.pagerduty.open))

    # then everybody was told three times, nothing was refused, and PagerDuty's incident lived with it
    assert [len(service.accepted) for service in world.http] == [3, 3, 3, 3]
    assert [service.refused for service in world.http] == [[], [], [], []]
    assert paged == [{"group:7": "triggered"}, {"group:7": "acknowledged"}, {}]
    assert [body["state"] for body in world.sink.accepted] == list(STEPS)
    ids = Notification.objects.filter(channel__kind="webhook").order_by("id").values_list("id", flat=True)
    assert world.sink.ids == [str(key) for key in ids]
    # and the mails are one thread, text and HTML
    mails = world.mailbox.mails
    assert [mail["Subject"].split("]")[0] for mail in mails] == ["[FIRING", "[ACKNOWLEDGED", "[RESOLVED"]
    assert len({mail["References"] for mail in mails}) == 1
    assert len({mail["Message-ID"] for mail in mails}) == 3
    assert [part.get_content_type() for part in mails[0].iter_parts()] == ["text/plain", "text/html"]


def test_services__in_trouble__get_every_message_in_the_end_under_the_same_id(world: World, now: datetime) -> None:
    # given services that answer 503, 429 with a time to wait, and a mail server that asks to come back
    for service in world.http:
        service.queued = [Reply(503), Reply(429, headers={"Retry-After": "60"})]
    world.mailbox.codes = ["451 try again later", "421 busy"]
    for step in STEPS:
        tell(world, now, step)
        delivery.run(now)

    # when time goes by
    for seconds in range(5, 240, 5):
        delivery.run(now + timedelta(seconds=seconds))

    # then what was told is the end, for the earlier messages were overtaken by it while they waited
    assert [len(service.accepted) for service in world.http] == [1, 1, 1, 1]
    assert world.sink.accepted[0]["state"] == "resolved"
    assert "was over before this could be delivered" in world.sink.accepted[0]["text"]
    assert len(world.mailbox.mails) == 1
    statuses = Notification.objects.order_by("channel__kind", "id").values_list("status", flat=True)
    assert list(statuses) == ["superseded", "superseded", "sent"] * 5


def test_services__that_refuse_for_good__leave_dead_letters_and_take_the_rest(world: World, now: datetime) -> None:
    for service in world.http:
        service.queued = [Reply(400, b"invalid")]
    world.mailbox.codes = ["550 no such mailbox"]
    tell(world, now, "firing")
    delivery.run(now)
    dead = Notification.objects.filter(status="dead").count()

    tell(world, now, "resolved")
    delivery.run(now)

    assert dead == 5
    assert [len(service.accepted) for service in world.http] == [1, 1, 1, 1]
    assert len(world.mailbox.mails) == 1


def test_email__to_a_role__reaches_its_active_members_and_superusers_when_there_are_none(
    world: World, now: datetime
) -> None:
    # given a role that nobody is in
    administrator()
    Group.objects.get_or_create(name="operations")
    to = channel(now, "email", "the role", config={"role": "operations"})
    enqueue([outgoing(now, to, "a")], now=now)
    delivery.run(now)

    # and then two people, of whom one has left
    person("maria", roles=("operations",))
    gone = person("gone", roles=("operations",))
    gone.is_active = False
    gone.save()
    enqueue([outgoing(now, to, "b")], now=now)
    delivery.run(now)

    assert [envelope.rcpt_tos for envelope in world.mailbox.envelopes] == [["root@example.org"], ["maria@example.org"]]


def test_email__by_a_server_that_a_person_named__goes_to_checked_addresses_only(
    world: World, now: datetime, settings: Any
) -> None:
    # given a channel with a mail server of its own, on this machine
    config = {"addresses": ["a@example.org"], "server": "127.0.0.1", "port": settings.EMAIL_PORT, "security": "none"}
    to = channel(now, "email", "own server", config=config)
    settings.OUTBOUND_ALLOWED_PORTS = [*settings.OUTBOUND_ALLOWED_PORTS, str(settings.EMAIL_PORT)]
    settings.EMAIL_PORT = 1
    enqueue([outgoing(now, to, "a"), outgoing(now, to, "b")], now=now)

    # when private addresses are allowed, and when they are not
    delivery.run(now)
    settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = []
    enqueue([outgoing(now, to, "c")], now=now)
    delivery.run(now)

    assert len(world.mailbox.mails) == 2
    refused = Notification.objects.get(dedup_key="c")
    assert refused.status == "dead"
    assert "127.0.0.1, which is not a public address" in refused.last_error
