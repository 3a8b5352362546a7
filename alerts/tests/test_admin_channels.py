"""Channels and messages in the admin: a form per kind, a test with its result, secrets never shown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.channels import secrets_of
from alerts.choices import ChannelKind
from alerts.models import Channel, DeliveryAttempt, Notification
from alerts.services.outbox import enqueue
from alerts.tests import services_of_others as services
from alerts.tests.delivering import channel, outgoing
from core.encryption import encrypt
from core.models import AuditEntry
from core.tests.listeners import Reply
from core.tests.people import administrator, person, signed_in

LIST = "/admin/alerts/channel/"
MESSAGES = "/admin/alerts/notification/"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client() -> Client:
    return signed_in(administrator())


@pytest.fixture
def slack(settings: Any) -> Iterator[services.Slack]:
    service = services.Slack()
    with services.serving(settings, service):
        yield service


def to_slack(service: services.Slack, **fields: Any) -> Channel:
    secret = encrypt(f'{{"url": "{service.url}/very-secret"}}')
    return channel(timezone.now(), "slack", "our slack", secret=secret, **fields)


def act(client: Client, row: Any, action: str, base: str = LIST, **values: Any) -> Any:
    return client.post(f"{base}{row.pk}/{action}/", {"_form_submitted": "on", **values}, follow=True)


def test_adding__asks_for_the_kind_first(client: Client) -> None:
    page = client.get(f"{LIST}add/").content.decode()

    for kind in ChannelKind:
        assert kind.label.lower() in page.lower()
    assert "?kind=slack" in page
    assert "Install it first: pip install apprise" in page


@pytest.mark.parametrize(
    ("kind", "values", "config"),
    [
        ("email", {"config_addresses": "a@example.org, b@example.org", "config_security": "starttls"},
         {"addresses": ["a@example.org", "b@example.org"], "security": "starttls"}),
        ("slack", {"secret_url": "https://hooks.slack.example/x"}, {}),
        ("teams", {"secret_url": "https://teams.example/x"}, {}),
        ("pagerduty", {"secret_routing_key": "R" * 32}, {}),
        ("log", {}, {}),
    ],
)  # fmt: skip
def test_adding__of_each_kind__makes_the_channel(
    client: Client, kind: str, values: dict[str, str], config: dict[str, Any]
) -> None:
    answer = client.post(f"{LIST}add/?kind={kind}", {"name": "new", "rate_per_minute": "60", **values}, follow=True)

    made = Channel.objects.get(name="new")
    assert (made.kind, made.config) == (kind, config)
    assert "Send a test to see it work" in answer.content.decode()
    assert AuditEntry.objects.filter(action="channel.created", subject_id=str(made.pk)).count() == 1


def test_adding__a_webhook__shows_the_signing_secret_once(client: Client) -> None:
    values = {"name": "sink", "config_url": "https://sink.example/hook", "rate_per_minute": "0"}

    page = client.post(f"{LIST}add/?kind=webhook", values)

    made = Channel.objects.get(name="sink")
    (secret,) = secrets_of(made)["secrets"]
    assert secret in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert secret not in client.get(f"{LIST}{made.pk}/change/").content.decode()


def test_adding__with_mistakes__says_them_at_the_fields_and_makes_nothing(client: Client) -> None:
    values = {"name": "new", "rate_per_minute": "60", "secret_url": "not an address"}

    page = client.post(f"{LIST}add/?kind=slack", values)

    assert list(page.context["form"].errors) == ["secret_url"]
    assert "not an address" not in page.content.decode()
    assert not Channel.objects.filter(name="new").exists()


def test_page__shows_health_and_attempts_and_never_the_secret(client: Client, slack: services.Slack) -> None:
    row = to_slack(slack, failures=2, last_error="answered 503")

    answer = client.get(f"{LIST}{row.pk}/change/")

    figures = {figure.label: figure.value for figure in answer.context["channel_figures"]}
    assert figures == {"Last sent": "never", "Waiting": "0", "Dead letters": "0", "Failures in a row": "2",
                       "Circuit": "closed"}  # fmt: skip
    assert "url: set" in answer.content.decode()
    assert "very-secret" not in answer.content.decode()
    assert row.secret not in answer.content.decode()


@pytest.mark.parametrize(
    ("reply", "words"),
    [(None, "The test was delivered in"), (Reply(404, b"no_service"), "It answered: no_service")],
)
def test_test_button__sends_now_and_shows_the_result(
    client: Client, slack: services.Slack, reply: Reply | None, words: str
) -> None:
    row = to_slack(slack)
    slack.queued = [reply] if reply else []

    page = act(client, row, "test").content.decode()

    assert words in page
    assert DeliveryAttempt.objects.filter(notification__channel=row).count() == 1


def test_edit__with_the_secret_left_empty__keeps_it(client: Client, slack: services.Slack) -> None:
    row = to_slack(slack)

    dialog = client.get(f"{LIST}{row.pk}/edit/").content.decode()
    act(client, row, "edit", name="renamed", secret_url="", rate_per_minute="7")

    row.refresh_from_db()
    assert "Leave it empty to keep it" in dialog
    assert "very-secret" not in dialog
    assert (row.name, row.rate_per_minute) == ("renamed", 7)
    assert secrets_of(row)["url"].endswith("very-secret")


def test_edit__with_a_new_secret__replaces_it_and_the_log_has_none(client: Client, slack: services.Slack) -> None:
    row = to_slack(slack)

    act(client, row, "edit", name="our slack", secret_url="https://hooks.example/another-secret", rate_per_minute="60")

    row.refresh_from_db()
    entry = AuditEntry.objects.get(action="channel.changed")
    assert secrets_of(row) == {"url": "https://hooks.example/another-secret"}
    assert entry.after["secrets_replaced"] == ["url"]
    assert "another-secret" not in str(entry.after)


def test_signing_secret__rotated_and_dropped__signs_with_both_in_between(client: Client) -> None:
    row = channel(timezone.now(), "webhook", "sink", config={"url": "https://sink.example"},
                  secret=encrypt('{"secrets": ["whsec_old"]}'))  # fmt: skip

    page = act(client, row, "rotate-secret").content.decode()
    row.refresh_from_db()
    during = secrets_of(row)["secrets"]
    act(client, row, "drop-former-secret")
    row.refresh_from_db()

    assert during[1:] == ["whsec_old"]
    assert during[0] in page
    assert secrets_of(row)["secrets"] == during[:1]


def test_switch__off_and_on__with_a_reason_and_a_clean_record(client: Client, slack: services.Slack) -> None:
    row = to_slack(slack, failures=7, circuit_until=timezone.now() + timedelta(minutes=5))

    act(client, row, "disable", reason="moving house")
    off = client.get(LIST).content.decode(), client.get(f"{LIST}{row.pk}/change/").content.decode()
    act(client, row, "enable", reason="moved")

    row.refresh_from_db()
    assert "Disabled" in off[0]
    assert "moving house" in off[1]
    assert (row.enabled, row.failures, row.circuit_until) == (True, 0, None)


def test_delete__of_a_channel_with_waiting_messages__is_refused(client: Client, slack: services.Slack) -> None:
    row = to_slack(slack)
    enqueue([outgoing(timezone.now(), row)], now=timezone.now())

    page = act(client, row, "remove", reason="unused").content.decode()

    assert "messages wait for it" in page
    assert Channel.objects.filter(pk=row.pk).exists()


def test_channels__to_somebody_who_may_only_look__offer_no_action(slack: services.Slack) -> None:
    row = to_slack(slack)
    client = signed_in(person("ada", roles=("auditor",)))
    client.force_login(person("staff", permissions=("alerts.view_channel",)))

    assert client.get(f"{LIST}{row.pk}/change/").status_code == 200
    assert client.get(f"{LIST}add/").status_code == 403
    for action in ("test", "edit", "disable", "remove"):
        assert act(client, row, action, reason="x").status_code == 403
    assert slack.accepted == []


def test_messages__dead_ones__are_listed_apart_and_sent_again_with_a_reason(client: Client, now: datetime) -> None:
    to = channel(now)
    rows = enqueue([outgoing(now, to, str(number)) for number in range(3)], now=now)
    Notification.objects.filter(dedup_key__in=["0", "1"]).update(status="dead", last_error="answered 400")

    page = client.get("/admin/alerts/deadletter/").content.decode()
    data = {"action": "resend", "_selected_action": [str(row.pk) for row in rows[:2]], "_form_submitted": "on",
            "reason": "the service is back"}  # fmt: skip
    client.post("/admin/alerts/deadletter/", data, follow=True)

    assert page.count("answered 400") == 2
    assert set(Notification.objects.values_list("status", flat=True)) == {"pending"}
    assert AuditEntry.objects.filter(action="notification.resent", reason="the service is back").count() == 2


def test_message__waiting__is_taken_back_with_a_reason(client: Client, now: datetime) -> None:
    (row,) = enqueue([outgoing(now, channel(now))], now=now)

    act(client, row, "cancel", MESSAGES, reason="a drill")

    row.refresh_from_db()
    assert (row.status, row.last_error) == ("cancelled", "cancelled: a drill")
    assert act(client, row, "cancel", MESSAGES, reason="again").status_code == 403


def test_message__page__shows_every_attempt_and_escapes_what_came_from_outside(client: Client, now: datetime) -> None:
    (row,) = enqueue([outgoing(now, channel(now))], now=now)
    DeliveryAttempt.objects.create(
        notification=row, number=1, at=now, delivered=False, milliseconds=7, error="answered 500", answer="<script>x"
    )

    page = client.get(f"{MESSAGES}{row.pk}/change/").content.decode()

    assert "answered 500" in page
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page
