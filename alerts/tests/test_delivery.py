"""The delivery pass: order, retries, health of channels, and what happens instead when one does not deliver."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from alerts.choices import NotificationStatus
from alerts.models import Channel, DeliveryAttempt, Notification
from alerts.services import delivery
from alerts.services.outbox import enqueue
from alerts.tests.delivering import channel, message, outgoing
from alerts.tests.services_of_others import Slack, serving
from core.audit import identify
from core.encryption import encrypt
from core.models import AuditEntry
from core.tests.listeners import Reply

pytestmark = pytest.mark.django_db(transaction=True)
SECOND = timedelta(seconds=1)


@pytest.fixture
def slack(settings: Any) -> Any:
    service = Slack()
    with serving(settings, service):
        yield service


@pytest.fixture(autouse=True)
def _alone_and_without_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the channels that the platform comes with; let every jittered wait be the longest that it can be."""
    Channel.objects.update(enabled=False)
    monkeypatch.setattr("random.uniform", lambda _, high: high)


def to_slack(now: datetime, service: Slack, name: str = "slack", **fields: Any) -> Channel:
    secret = encrypt(f'{{"url": "{service.url}/services/T0/B0/very-secret"}}')
    return channel(now, "slack", name, secret=secret, **{"rate_per_minute": 0, **fields})


def states() -> dict[str, str]:
    return dict(Notification.objects.values_list("dedup_key", "status"))


def test_deliver__what_is_due__is_sent_once_and_logged(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to, "a"), outgoing(now, to, "later", due_at=now + timedelta(hours=1))], now=now)

    counts = [delivery.run(now), delivery.run(now)]

    (attempt,) = DeliveryAttempt.objects.all()
    to.refresh_from_db()
    assert (counts, states()) == ([1, 0], {"a": "sent", "later": "pending"})
    assert (attempt.number, attempt.delivered, attempt.status_code, attempt.answer) == (1, True, 200, "ok")
    assert len(slack.accepted) == 1
    assert to.last_sent_at is not None


@pytest.mark.parametrize(
    ("reply", "wait"),
    [
        (Reply(503), 5),
        (Reply(408), 5),
        (Reply(425), 5),
        (Reply(429), 5),
        (Reply(429, headers={"Retry-After": "77"}), 77),
        (Reply(429, headers={"Retry-After": "Wed, 18 Mar 2026 12:02:00 GMT"}), 120),
        (Reply(503, headers={"Retry-After": "nonsense"}), 5),
    ],
    ids=lambda value: f"{value.status} {value.headers}" if isinstance(value, Reply) else str(value),
)
def test_deliver__answered_that_it_may_work_later__tries_again_then(
    now: datetime, slack: Slack, reply: Reply, wait: int
) -> None:
    enqueue([outgoing(now, to_slack(now, slack))], now=now)
    slack.queued = [reply]

    delivery.run(now)

    row = Notification.objects.get()
    assert (row.status, row.attempts, row.lease_token) == ("pending", 1, None)
    assert abs(row.due_at - now - timedelta(seconds=wait)) < 2 * SECOND
    assert delivery.run(row.due_at) == 1
    assert states() == {"1": "sent"}


@pytest.mark.parametrize("status", [400, 403, 413, 422, 302])
def test_deliver__answered_that_it_will_never_work__is_a_dead_letter_at_once(
    now: datetime, slack: Slack, status: int
) -> None:
    enqueue([outgoing(now, to_slack(now, slack))], now=now)
    slack.queued = [Reply(status, b"invalid_payload")]

    delivery.run(now)

    row = Notification.objects.get()
    assert (row.status, row.attempts) == ("dead", 1)
    assert DeliveryAttempt.objects.get().answer == "invalid_payload"
    assert delivery.run(now + timedelta(hours=1)) == 0


def test_deliver__never_answered__follows_the_schedule_and_ends_among_the_dead_letters(
    now: datetime, slack: Slack
) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to)], now=now)
    slack.queued = [Reply(503) for _ in range(20)]
    at, waits = now, []

    while Notification.objects.get().status == NotificationStatus.PENDING:
        # The channel's circuit would make it wait longer still.
        Channel.objects.update(circuit_until=None)
        delivery.run(at)
        row = Notification.objects.get()
        waits.append(round((row.due_at - at).total_seconds()))
        at = row.due_at

    assert waits[:-1] == [5, 30, 120, 600, 1800, 7200, 21600]
    assert (row.status, row.attempts) == ("dead", 8)
    assert [attempt.number for attempt in DeliveryAttempt.objects.order_by("id")] == list(range(1, 9))


def test_deliver__an_order_key__keeps_what_came_later_waiting(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack)
    for number in range(3):
        key = {"order_key": "incident:1", "kind": "incident", "message": message(now, "info", title=str(number))}
        enqueue([outgoing(now, to, str(number), **key)], now=now)
    slack.queued = [Reply(503)]

    delivery.run(now)
    enqueue([outgoing(now, to, "other", order_key="incident:2")], now=now)
    delivery.run(now + SECOND)
    after_failure = states()
    delivery.run(now + 6 * SECOND)

    assert after_failure == {"0": "pending", "1": "pending", "2": "pending", "other": "sent"}
    titles = [sent["blocks"][0]["text"]["text"] for sent in slack.accepted]
    assert titles[1:] == ["[INFO] 0", "[INFO] 1", "[INFO] 2"]


def test_deliver__resolved_before_the_firing_got_through__is_one_combined_note(now: datetime, slack: Slack) -> None:
    # given a message that failed once and waits, and the news that it is over
    to = to_slack(now, slack)
    enqueue([outgoing(now, to, "firing", order_key="group:1")], now=now)
    slack.queued = [Reply(503)]
    delivery.run(now)
    enqueue([outgoing(now, to, "over", order_key="group:1", message=message(now, "resolved"))], now=now + SECOND)

    # when delivery runs before the first would be tried again
    delivery.run(now + SECOND)

    # then only the second is sent, and says so
    assert states() == {"firing": "superseded", "over": "sent"}
    (sent,) = slack.accepted
    assert sent["blocks"][0]["text"]["text"] == "[RESOLVED] HighErrorRate"
    assert "was over before this could be delivered" in sent["blocks"][1]["text"]["text"]
    assert Notification.objects.get(dedup_key="firing").superseded_by == Notification.objects.get(dedup_key="over")


def test_deliver__resolved_after_the_firing_was_sent__says_nothing_of_the_kind(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to, "firing", order_key="group:1")], now=now)
    delivery.run(now)
    enqueue([outgoing(now, to, "over", order_key="group:1", message=message(now, "resolved"))], now=now)

    delivery.run(now)

    assert states() == {"firing": "sent", "over": "sent"}
    assert "before this could be delivered" not in str(slack.accepted[1])


def test_deliver__a_newer_state_of_a_group_that_failed__replaces_the_older(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to, "old", order_key="group:1")], now=now)
    slack.queued = [Reply(503)]
    delivery.run(now)
    enqueue([outgoing(now, to, "new", order_key="group:1")], now=now + SECOND)

    delivery.run(now + SECOND)

    assert states() == {"old": "superseded", "new": "sent"}


def test_deliver__many_for_one_channel__keeps_to_its_rate(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack, rate_per_minute=60)
    enqueue([outgoing(now, to, str(number)) for number in range(30)], now=now)

    first = delivery.run(now)
    second = delivery.run(now + 5 * SECOND)

    # ten at once after a pause, then one a second; the passes themselves take less than a second
    assert (first, second) in {(10, 5), (11, 5), (10, 4), (11, 4)}


def test_deliver__one_channel_limited__does_not_hold_up_another(now: datetime, slack: Slack) -> None:
    limited, other = to_slack(now, slack, "limited", rate_per_minute=6), to_slack(now, slack, "other")
    enqueue([outgoing(now, limited, f"l{number}", severity="critical") for number in range(200)], now=now)
    enqueue([outgoing(now, other, "o", severity="info")], now=now)

    delivery.run(now)

    assert states()["o"] == "sent"
    assert Notification.objects.filter(status="sent", channel=limited).count() == 1


def test_deliver__failures_in_a_row__open_the_circuit_and_one_message_closes_it(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to, str(number)) for number in range(8)], now=now)
    slack.queued = [Reply(503) for _ in range(8)]

    # when it fails eight times, and is tried again while the circuit is open and when it is due
    delivery.run(now)
    to.refresh_from_db()
    opened = to.circuit_until
    while_open = delivery.run(now + 60 * SECOND)
    assert opened is not None
    delivery.run(opened + SECOND)

    to.refresh_from_db()
    assert opened > now + 200 * SECOND
    assert while_open == 0
    assert (to.failures, to.circuit_until) == (0, None)
    assert set(states().values()) == {"sent"}


def test_deliver__circuit_half_open__sends_one_message_only(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack, failures=6, circuit_until=now - SECOND)
    enqueue([outgoing(now, to, str(number)) for number in range(8)], now=now)
    slack.queued = [Reply(503) for _ in range(8)]

    assert delivery.run(now) == 1
    to.refresh_from_db()
    assert to.failures == 7
    assert to.circuit_until is not None
    assert to.circuit_until > now + 100 * SECOND


@pytest.mark.parametrize("status", [401, 404, 410])
def test_deliver__answered_gone_three_times__disables_the_channel_and_tells_by_another(
    now: datetime, slack: Slack, status: int
) -> None:
    to, other = to_slack(now, slack), channel(now, "log", "the log")
    enqueue([outgoing(now, to, str(number)) for number in range(3)], now=now)
    slack.queued = [Reply(status) for _ in range(3)]

    delivery.run(now)

    to.refresh_from_db()
    assert (to.enabled, to.refusals) == (False, 3)
    assert to.disabled_reason.startswith(f"3 times in a row: answered {status}")
    meta = Notification.objects.get(kind="meta")
    assert (meta.channel, meta.status, meta.payload["title"]) == (other, "sent", "The channel “slack” is out of use")
    entry = AuditEntry.objects.get(action="channel.disabled")
    assert ((entry.subject_type, entry.subject_id), entry.actor_kind) == (identify(to), "system")
    # nothing is lost: what waits goes out when the channel works again
    assert Notification.objects.filter(channel=to, status="pending").count() == 3


def test_deliver__critical_and_failing_twice__goes_by_the_failover_once(now: datetime, slack: Slack) -> None:
    reserve = channel(now, "log", "reserve")
    to = to_slack(now, slack, failover=reserve)
    enqueue([outgoing(now, to, "a", severity="critical"), outgoing(now, to, "b", severity="high")], now=now)
    slack.queued = [Reply(503) for _ in range(6)]

    delivery.run(now)
    once = Notification.objects.filter(channel=reserve).count()
    delivery.run(now + 6 * SECOND)
    delivery.run(now + 40 * SECOND)

    (stand_in,) = Notification.objects.filter(channel=reserve)
    assert once == 0
    assert (stand_in.origin, stand_in.status) == (Notification.objects.get(dedup_key="a"), "sent")
    assert stand_in.payload["note"] == "Sent here because “slack” does not deliver."


def test_deliver__critical_and_waiting_for_a_minute__goes_by_the_failover(now: datetime, slack: Slack) -> None:
    reserve = channel(now, "log", "reserve")
    to = to_slack(now, slack, failover=reserve, enabled=False)
    enqueue([outgoing(now, to, "a", severity="critical")], now=now)

    counts = [delivery.run(now + 59 * SECOND), delivery.run(now + 61 * SECOND), delivery.run(now + 63 * SECOND)]

    assert counts == [0, 1, 0]
    assert Notification.objects.get(channel=reserve).status == "sent"


def test_deliver__failovers_in_a_circle__end_where_they_began(now: datetime, slack: Slack) -> None:
    first = to_slack(now, slack, "first", enabled=False)
    second = to_slack(now, slack, "second", enabled=False, failover=first)
    Channel.objects.filter(pk=first.pk).update(failover=second)
    enqueue([outgoing(now, first, "a", severity="critical")], now=now)

    for minute in range(2, 6):
        delivery.run(now + timedelta(minutes=minute))

    assert Notification.objects.count() == 2


def test_deliver__in_vain_for_a_day__is_given_up_with_the_reason(now: datetime, slack: Slack) -> None:
    to = to_slack(now, slack, enabled=False)
    enqueue([outgoing(now, to)], now=now)

    delivery.run(now + timedelta(hours=25))

    row = Notification.objects.get()
    assert (row.status, row.last_error) == ("dead", "its channel was disabled until its time was over")


def test_deliver__with_a_secret_that_cannot_be_read__says_so_and_keeps_the_message(
    now: datetime, slack: Slack, settings: Any
) -> None:
    enqueue([outgoing(now, to_slack(now, slack))], now=now)
    settings.ENCRYPTION_KEYS = ["another key, of which nothing was encrypted"]

    delivery.run(now)

    row = Notification.objects.get()
    assert (row.status, row.attempts) == ("pending", 1)
    assert "is not in ENCRYPTION_KEYS" in row.last_error


def test_deliver__an_answer_that_repeats_the_secret__keeps_it_out_of_the_log(
    now: datetime, slack: Slack, caplog: pytest.LogCaptureFixture
) -> None:
    to = to_slack(now, slack)
    enqueue([outgoing(now, to)], now=now)
    slack.queued = [Reply(400, f"no such hook: {slack.url}/services/T0/B0/very-secret".encode())]

    delivery.run(now)

    (attempt,) = DeliveryAttempt.objects.all()
    assert attempt.answer == "no such hook: [redacted]"
    assert "very-secret" not in caplog.text


def test_deliver__to_an_address_that_is_not_public__is_a_dead_letter_that_says_so(
    now: datetime, slack: Slack, settings: Any
) -> None:
    enqueue([outgoing(now, to_slack(now, slack))], now=now)
    settings.OUTBOUND_ALLOWED_PRIVATE_CIDRS = []

    delivery.run(now)

    row = Notification.objects.get()
    assert row.status == "dead"
    assert "127.0.0.1, which is not a public address" in row.last_error


def test_deliver__a_lease_lost_to_another_worker__leaves_what_the_other_wrote(
    now: datetime, slack: Slack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a worker that is so slow that another took the row meanwhile and sent it
    enqueue([outgoing(now, to_slack(now, slack))], now=now)

    def other() -> Reply:
        Notification.objects.update(lease_token=None, status="sent", attempts=1)
        connections.close_all()
        return Reply(503)

    monkeypatch.setattr(slack, "acceptance", other)

    delivery.run(now)

    row = Notification.objects.get()
    assert (len(slack.accepted), row.status, row.attempts, row.last_error) == (1, "sent", 1, "")
    assert not DeliveryAttempt.objects.exists()


def test_deliver__any_number_of_messages__takes_the_same_number_of_statements(
    now: datetime, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    to = channel(now, "log", "the log", rate_per_minute=0)
    enqueue([outgoing(now, to, str(number), order_key=f"group:{number}") for number in range(50)], now=now)

    with django_assert_max_num_queries(32):
        assert delivery.run(now) == 50
