"""Escalation: steps in time, stops at an answer, ends with everybody, follows the plan it began with."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User

from alerts.choices import EscalationStatus, NotificationStatus
from alerts.models import (
    ContactMethod,
    EscalationLog,
    EscalationPolicy,
    EscalationRun,
    EscalationStep,
    Incident,
    Notification,
)
from alerts.services import escalation, incidents
from alerts.tests.incident_case import bare, channel, manual, opened, operations, pageable, policy, schedule
from core import leases
from core.tests.people import person

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("bare")]
MINUTE = timedelta(minutes=1)
__all__ = ["bare"]


def _told() -> list[list[str]]:
    return list(EscalationLog.objects.order_by("pk").values_list("told", flat=True))


def _paged(incident: Incident) -> list[str]:
    pages = Notification.objects.filter(incident=incident, contact__isnull=False)
    return sorted(pages.values_list("contact__user__username", flat=True))


def test_run__three_steps__each_at_its_time(now: datetime) -> None:
    ada, grace = pageable("ada"), pageable("grace")
    opened(now, by=policy(ada, schedule(now, grace), channel(now), wait=5))

    done = [escalation.run(now + minutes * MINUTE) for minutes in (0, 4, 5, 10, 14)]

    assert done == [1, 0, 1, 1, 0]
    assert _told() == [["ada"], ["grace"], ["ops"]]
    assert EscalationRun.objects.get().next_step_at == now + 15 * MINUTE


def test_page__two_methods__come_after_their_delays_with_one_key_each(now: datetime) -> None:
    ada = pageable("ada")
    pageable("ada", delay=3)
    opened(now, by=policy(ada))

    escalation.run(now)

    pages = Notification.objects.order_by("due_at")
    assert [page.due_at for page in pages] == [now, now + 3 * MINUTE]
    assert len({page.dedup_key for page in pages}) == 2
    assert {page.payload["title"] for page in pages} == {"Slow"}
    assert {page.payload["severity"] for page in pages} == {"high"}


def test_page__severity_below_the_least__uses_only_the_methods_chosen_for_it(now: datetime) -> None:
    ada = pageable("ada", severity="critical")
    pageable("ada", delay=1, severity="medium")

    opened(now, by=policy(ada), severity="high")
    escalation.run(now)

    assert [page.contact.delay_minutes for page in Notification.objects.all() if page.contact] == [1]


def test_page__who_chose_no_method__is_reached_by_the_accounts_address(now: datetime) -> None:
    opened(now, by=policy(person("ada")))

    escalation.run(now)

    assert ContactMethod.objects.get().address == "ada@example.org"
    assert Notification.objects.count() == 1


def test_step__nobody_on_call__goes_on_at_once_and_says_why(now: datetime) -> None:
    empty, grace = schedule(now, pageable("ada")), pageable("grace")
    User.objects.filter(username="ada").update(is_active=False)
    incident = opened(now, by=policy(empty, grace))

    escalation.run(now)
    escalation.run(now)

    assert _told() == [[], ["grace"]]
    lines = incident.timeline.filter(kind="escalated").values_list("text", flat=True)
    assert list(lines) == ["Told nobody: nobody is on call in Operations.", "Told grace."]


@pytest.mark.parametrize("act", ["acknowledge", "mitigate", "resolve"])
def test_answer__before_the_second_step__stops_it_and_withdraws_waiting_pages(now: datetime, act: str) -> None:
    ada = pageable("ada")
    pageable("ada", delay=10)
    incident = opened(now, by=policy(ada, pageable("grace")))
    escalation.run(now)
    Notification.objects.filter(contact__delay_minutes=0).update(status=NotificationStatus.SENT)

    getattr(incidents, act)(incident.pk, now=now + MINUTE)
    done = escalation.run(now + 60 * MINUTE)

    pages = Notification.objects.filter(kind="escalation").order_by("due_at")
    assert [page.status for page in pages] == [NotificationStatus.SENT, NotificationStatus.SUPERSEDED]
    assert done == 0
    assert EscalationRun.objects.get().status == EscalationStatus.STOPPED


def test_acknowledgement_runs_out__pages_again_from_the_first_step(now: datetime) -> None:
    incident = opened(now, by=policy(pageable("ada"), pageable("grace")))
    escalation.run(now)
    incidents.acknowledge(incident.pk, until=now + 30 * MINUTE, now=now + MINUTE)

    early = escalation.run(now + 29 * MINUTE)
    escalation.run(now + 30 * MINUTE)

    assert early == 0
    assert _told() == [["ada"], ["ada"]]
    assert Notification.objects.filter(kind="escalation").count() == 2


def test_repeats__two_rounds__then_tells_all_of_operations_and_the_channel(now: datetime) -> None:
    operations("ada", "grace")
    incident = opened(now, by=policy(User.objects.get(username="ada"), channel(now), wait=5, repeats=1))

    for minutes in range(0, 25, 5):
        escalation.run(now + minutes * MINUTE)

    run = EscalationRun.objects.get()
    assert [(row.loop, row.step) for row in EscalationLog.objects.order_by("pk")] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (run.status, run.stopped_at) == (EscalationStatus.EXHAUSTED, now + 20 * MINUTE)
    assert _paged(incident) == ["ada", "ada", "ada", "grace"]
    meta = Notification.objects.get(kind="meta")
    assert (meta.channel.name if meta.channel else "") == "ops"
    assert meta.payload["title"] == "Unanswered: Slow"


def test_exhausted__again__tells_nobody_twice(now: datetime) -> None:
    operations("ada")
    incident = opened(now, by=policy(pageable("grace"), wait=1))
    for minutes in range(5):
        escalation.run(now + minutes * MINUTE)

    assert incident.timeline.filter(kind="escalation_exhausted").count() == 1
    assert _paged(incident) == ["ada", "grace"]


def test_policy__changed_and_deleted_meanwhile__the_run_follows_what_it_began_with(now: datetime) -> None:
    plan = policy(pageable("ada"), pageable("grace"))
    incident = opened(now, by=plan)
    escalation.run(now)
    EscalationStep.objects.all().delete()
    plan.delete()

    escalation.run(now + 5 * MINUTE)
    incidents.acknowledge(incident.pk, until=now + 10 * MINUTE, now=now + 6 * MINUTE)
    escalation.run(now + 10 * MINUTE)

    assert _told() == [["ada"], ["grace"], ["ada"]]


def test_start__receiver_without_a_policy__follows_the_default(now: datetime) -> None:
    plan = policy(pageable("ada"))
    EscalationPolicy.objects.filter(pk=plan.pk).update(is_default=True)

    opened(now)
    escalation.run(now)

    assert _told() == [["ada"]]


def test_start__no_policy_at_all__opens_without_paging(now: datetime) -> None:
    incident = manual(now)

    assert escalation.run(now) == 0
    assert incident.escalations.count() == 0


def test_channel__disabled__is_left_out(now: datetime) -> None:
    ops = channel(now)
    opened(now, by=policy(ops))
    type(ops).objects.update(enabled=False)

    escalation.run(now)

    assert _told() == [[]]
    assert not Notification.objects.exists()


def test_lease__of_a_worker_that_died__runs_out_and_the_step_is_taken_once(now: datetime) -> None:
    opened(now, by=policy(pageable("ada"), pageable("grace")))
    due = EscalationRun.objects.filter(next_step_at__lte=now)
    (dead,) = leases.claim(due, order_by=("pk",), limit=1, lease=escalation.LEASE, now=now)

    at_once = escalation.run(now)
    later = escalation.run(now + escalation.LEASE + timedelta(seconds=1))
    revenant = escalation.take_step(dead, now=now + 2 * MINUTE)

    assert (at_once, later, revenant) == (0, 1, False)
    assert _told() == [["ada"]]


def test_acknowledged_between_claim_and_step__nobody_is_paged(now: datetime) -> None:
    incident = opened(now, by=policy(pageable("ada")))
    due = EscalationRun.objects.filter(next_step_at__lte=now)
    (claimed,) = leases.claim(due, order_by=("pk",), limit=1, lease=escalation.LEASE, now=now)

    incidents.acknowledge(incident.pk, now=now)
    taken = escalation.take_step(claimed, now=now)

    assert taken is False
    assert not Notification.objects.exists()
    assert not EscalationLog.objects.exists()


def test_step_that_fails__changes_nothing_and_pages_the_others(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = opened(now, by=policy(pageable("ada")))
    opened(now, by=policy(pageable("grace")))
    plan = EscalationRun.objects.get(incident=broken)
    plan.snapshot["steps"][0]["target"] = "nonsense"
    plan.save()

    with pytest.raises(KeyError):
        escalation.run(now)

    plan.refresh_from_db()
    assert _told() == [["grace"]]
    assert (plan.step, plan.next_step_at) == (0, now)
