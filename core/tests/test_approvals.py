"""Approvals: nothing happens without a second person, and what was approved happens exactly once."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from celery import current_app
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from core import approvals
from core.apikeys import create_key
from core.approvals import digest_of
from core.choices import APPROVAL_TRANSITIONS, ApprovalStatus
from core.context import Actor, Context, acting
from core.errors import Conflict, Forbidden, Invalid
from core.models import Approval, AuditEntry, ConditionRecord, Pulse
from core.ports.approvals import approval_kinds
from core.tests.approving import REFUSED, WHY, Acts, as_user, asked, maria, otto
from core.tests.people import person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> Acts:
    acts = Acts()
    monkeypatch.setitem(approval_kinds._items, "test.paint", acts.kind())
    monkeypatch.setitem(approval_kinds._items, "test.outside", acts.kind("test.outside", external=True))
    return acts


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Messages that would have gone to a worker."""
    messages: list[str] = []

    def send(name: str, kwargs: dict[str, str]) -> None:
        messages.append(kwargs["approval_id"])

    monkeypatch.setattr(current_app, "send_task", send)
    return messages


def _done(approval: Approval, now: datetime) -> Approval:
    approvals.carry_out(approval.pk, clock=lambda: now)
    approval.refresh_from_db()
    return approval


def test_request__valid__is_frozen_described_and_audited(acts: Acts, now: datetime) -> None:
    approval = asked(maria(), now)

    assert approval.status == "waiting"
    assert approval.description == ["Paint the fence red", "It cannot be undone"]
    assert approval.digest == digest_of("test.paint", {"coats": 2, "what": "the fence"})
    assert (approval.expires_at - now, approval.remind_at - now) == (8 * HOUR, 2 * HOUR)
    entry = AuditEntry.objects.get(action="approval.requested")
    assert (entry.actor_label, entry.reason, entry.after["digest"]) == ("maria", WHY, approval.digest)
    assert acts.done == []


@pytest.mark.parametrize("column", ["arguments", "reason", "description"])
def test_request__changed_in_the_database__is_refused_by_it(acts: Acts, now: datetime, column: str) -> None:
    approval = asked(maria(), now)

    with pytest.raises(DatabaseError, match=r"never change|append-only"), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(**{column: "[]" if column == "reason" else ["the house"]})


def test_request__without_permission_or_reason_or_sense__is_refused(acts: Acts, now: datetime) -> None:
    nobody, somebody = person("nobody"), maria()

    with pytest.raises(Forbidden, match=r"core\.view_job"):
        asked(nobody, now)
    with pytest.raises(Invalid, match="nothing cannot be painted"):
        asked(somebody, now, what="nothing")
    with as_user(somebody), pytest.raises(Invalid, match="needs a reason"):
        approvals.request_approval("test.paint", {"what": "it"}, reason="  ", now=now)
    with as_user(somebody), pytest.raises(TypeError, match="exact"):
        approvals.request_approval("test.paint", {"what": 0.1}, reason=WHY, now=now)
    assert not Approval.objects.exists()


def test_request__the_same_again__is_refused_until_the_first_is_settled(acts: Acts, now: datetime) -> None:
    user = maria()
    first = asked(user, now)

    with pytest.raises(Conflict) as refused:
        asked(user, now)
    assert refused.value.code == "already_requested"
    with as_user(user):
        approvals.withdraw(first.pk, now=now)
    assert asked(user, now).status == "waiting"


def test_approve__by_a_second_person__is_carried_out_once_in_the_name_of_who_asked(
    acts: Acts, now: datetime, sent: list[str], run_on_commit: Any
) -> None:
    approval, decider = asked(maria(), now), otto()

    with run_on_commit(), as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now + HOUR, reason="fine", digest=approval.digest)
    _done(approval, now + HOUR)
    _done(approval, now + 2 * HOUR)

    assert sent == [str(approval.pk)]
    assert acts.done == [{"what": "the fence", "coats": 2}]
    assert (approval.status, approval.result, approval.attempt) == ("done", "painted the fence", 1)
    entry = AuditEntry.objects.get(action="approval.done")
    assert (entry.actor_label, entry.channel) == ("maria", "task")
    assert entry.reason == f"{WHY} (approved by otto)"
    assert AuditEntry.objects.get(action="approval.approved").actor_label == "otto"


def test_approve__by_who_asked__is_refused_and_nothing_changes(acts: Acts, now: datetime) -> None:
    user = otto()
    approval = asked(user, now)

    with as_user(user), pytest.raises(Forbidden, match="second person"):
        approvals.approve(approval.pk, by=user, now=now)

    approval.refresh_from_db()
    assert (approval.status, approval.decided_by) == ("waiting", None)
    with pytest.raises(DatabaseError), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(decided_by=user)


def test_approve__by_a_second_account_of_the_same_person__is_refused(acts: Acts, now: datetime) -> None:
    first, second = otto(), otto("otto2")
    second.email = first.email.upper()
    second.save()
    approval = asked(first, now)

    with as_user(second), pytest.raises(Forbidden, match="second person"):
        approvals.approve(approval.pk, by=second, now=now)


def test_approve__asked_by_a_key__is_refused_to_who_made_the_key_and_to_every_key(acts: Acts, now: datetime) -> None:
    owner, decider = otto(), otto("olga")
    key = create_key("agent", scopes=["costs:read"], now=now, owner=owner).key
    agent = Context(actor=Actor("api_key", str(key.pk), str(key)), channel="api")
    with acting(agent):
        approval = approvals.request_approval("test.paint", {"what": "it"}, reason=WHY, now=now)

    with as_user(owner), pytest.raises(Forbidden, match="second person"):
        approvals.approve(approval.pk, by=owner, now=now)
    with acting(agent), pytest.raises(Forbidden, match="decided by people"):
        approvals.approve(approval.pk, by=decider, now=now)
    with as_user(decider):
        assert approvals.approve(approval.pk, by=decider, now=now).status == "approved"


def test_approve__without_the_permission_or_inactive__is_refused(acts: Acts, now: datetime) -> None:
    approval, other, gone = asked(maria(), now), person("paul", permissions=("core.view_job",)), otto()
    gone.is_active = False

    with as_user(other), pytest.raises(Forbidden, match=r"core\.change_job"):
        approvals.approve(approval.pk, by=other, now=now)
    with as_user(gone), pytest.raises(Forbidden, match="not active"):
        approvals.approve(approval.pk, by=gone, now=now)
    assert Approval.objects.get().status == "waiting"


def test_approve__after_who_asked_was_deactivated__is_refused(acts: Acts, now: datetime) -> None:
    user, decider = maria(), otto()
    approval = asked(user, now)
    user.is_active = False
    user.save()

    with as_user(decider), pytest.raises(Conflict, match="maria, who asked for this, has been deactivated"):
        approvals.approve(approval.pk, by=decider, now=now)


def test_approve__another_request_than_was_shown__is_refused(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()

    with as_user(decider), pytest.raises(Conflict, match="look at it again"):
        approvals.approve(approval.pk, by=decider, now=now, digest="0" * 64)


def test_approve__expired__is_refused_before_and_after_the_sweep(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()
    late = now + 8 * HOUR

    for _ in range(2):
        with as_user(decider), pytest.raises(Conflict, match="expired at 2026-03-18T20:00"):
            approvals.approve(approval.pk, by=decider, now=late)
        approvals.sweep(now=late)

    approval.refresh_from_db()
    assert approval.status == "expired"
    assert acts.closed == [({"coats": 2, "what": "the fence"}, "expired")]
    assert approvals.sweep(now=late).expired == 0


def test_refuse__with_a_reason__ends_it_and_tells_the_app(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()

    with as_user(decider), pytest.raises(Invalid, match="say why"):
        approvals.refuse(approval.pk, by=decider, now=now, reason=" ")
    with as_user(decider):
        approvals.refuse(approval.pk, by=decider, now=now, reason="too red")

    _done(approval, now)
    assert (approval.status, approval.decision_reason, acts.done) == ("refused", "too red", [])
    assert acts.closed[0][1] == "refused"


def test_withdraw__by_another__is_refused(acts: Acts, now: datetime) -> None:
    approval, other = asked(maria(), now), otto()

    with as_user(other), pytest.raises(Forbidden, match="only who asked"):
        approvals.withdraw(approval.pk, now=now)


def test_carry_out__the_act_refuses__fails_visibly_and_leaves_nothing_behind(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()
    acts.error = REFUSED
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)

    _done(approval, now)

    assert (approval.status, approval.error) == ("failed", "the fence is gone")
    assert not Pulse.objects.exists()
    condition = ConditionRecord.objects.get(source="core.approvals.failed")
    assert condition.firing
    approvals.sweep(now=now + 25 * HOUR)
    condition.refresh_from_db()
    assert not condition.firing


def test_carry_out__not_approved_or_gone__does_nothing(acts: Acts, now: datetime) -> None:
    approval = asked(maria(), now)

    _done(approval, now)
    approvals.carry_out(Approval(kind="x").pk, clock=lambda: now)

    assert (approval.status, acts.done) == ("waiting", [])


def test_carry_out__killed_before_the_commit__is_done_by_the_next_worker(
    acts: Acts, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    approval, decider = asked(maria(), now), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)
    acts.error = SystemExit()  # type: ignore[assignment]  # what ends a process

    with pytest.raises(SystemExit):
        approvals.carry_out(approval.pk, clock=lambda: now)
    acts.error = None
    again: list[Any] = []
    swept = approvals.sweep(now=now + timedelta(minutes=2), send_again=again.append)

    assert (swept.resent, again, Pulse.objects.count()) == (1, [approval.pk], 0)
    assert _done(approval, now + timedelta(minutes=2)).status == "done"
    assert len(acts.done) == Pulse.objects.count() == 1


def test_carry_out__outside_a_transaction__killed_in_the_middle__is_shown_as_failed(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now, kind="test.outside"), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)
    acts.error = SystemExit()  # type: ignore[assignment]  # what ends a process
    with pytest.raises(SystemExit):
        approvals.carry_out(approval.pk, clock=lambda: now)
    acts.error = None

    _done(approval, now + timedelta(minutes=5))
    during = approval.status
    again: list[Any] = []
    approvals.sweep(now=now + timedelta(minutes=31), send_again=again.append)
    _done(approval, now + timedelta(minutes=31))

    assert (during, again) == ("executing", [approval.pk])
    assert (approval.status, acts.done) == ("failed", [])
    assert "the worker was lost" in approval.error


def test_carry_out__outside__with_attempts_left__starts_over(
    acts: Acts, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(approval_kinds._items, "test.outside", acts.kind("test.outside", external=True, attempts=2))
    approval, decider = asked(maria(), now, kind="test.outside"), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)
    acts.error = SystemExit()  # type: ignore[assignment]  # what ends a process
    with pytest.raises(SystemExit):
        approvals.carry_out(approval.pk, clock=lambda: now)
    acts.error = None

    _done(approval, now + timedelta(minutes=31))

    assert (approval.status, approval.attempt, len(acts.done)) == ("done", 2, 1)


def test_carry_out__arguments_changed_past_the_triggers__is_refused(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)
    with connection.cursor() as cursor:
        off = "DROP TRIGGER core_approval_frozen" + ("" if connection.vendor == "sqlite" else " ON core_approval")
        cursor.execute(off)
    Approval.objects.update(arguments={"what": "the house", "coats": 2})

    _done(approval, now)

    assert (approval.status, approval.error) == ("failed", "the arguments are not those that were approved")
    assert acts.done == []


def test_sweep__nobody_decides__raises_a_condition_that_the_decision_clears(acts: Acts, now: datetime) -> None:
    approval, decider = asked(maria(), now), otto()

    early = approvals.sweep(now=now + 2 * HOUR - timedelta(seconds=1))
    first = approvals.sweep(now=now + 2 * HOUR)
    second = approvals.sweep(now=now + 3 * HOUR)

    assert (early.reminded, first.reminded, second.reminded) == (0, 1, 0)
    condition = ConditionRecord.objects.get(source="core.approvals.waiting")
    assert condition.link == f"/admin/core/approval/{approval.pk}/change/"
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now + 3 * HOUR)
    condition.refresh_from_db()
    assert not condition.firing


def test_transitions__of_the_services__are_those_of_the_mapping() -> None:
    ended = {status for status, following in APPROVAL_TRANSITIONS.items() if not following}

    assert set(APPROVAL_TRANSITIONS) == set(ApprovalStatus)
    assert ended == {"done", "failed", "refused", "withdrawn", "expired"}


@pytest.mark.django_db(transaction=True)
def test_approve__by_two_people_at_once__one_decides_and_it_happens_once(acts: Acts, now: datetime) -> None:
    approval = asked(maria(), now)
    deciders = [otto("otto"), otto("olga"), otto("oskar")]
    begin = threading.Barrier(len(deciders))
    outcomes: list[str] = []

    def decide(user: Any) -> None:
        begin.wait(10)
        try:
            with as_user(user):
                approvals.approve(approval.pk, by=user, now=now)
            outcomes.append("approved")
        except Conflict as refused:
            outcomes.append(refused.code)
        try:
            approvals.carry_out(approval.pk, clock=lambda: now)
        finally:
            connection.close()

    threads = [threading.Thread(target=decide, args=(user,)) for user in deciders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(outcomes) == ["approval_decided", "approval_decided", "approved"]
    approval.refresh_from_db()
    assert (approval.status, len(acts.done), Pulse.objects.count()) == ("done", 1, 1)
    assert AuditEntry.objects.filter(action="approval.done").count() == 1


def test_tasks__delivered_twice_late_or_for_a_row_that_is_gone__do_it_once(acts: Acts) -> None:
    from core import tasks

    at = timezone.now()
    approval, decider = asked(maria(), at), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=at)

    for _ in range(2):
        tasks.carry_out_approval(approval_id=str(approval.pk))
        tasks.carry_out_approval(approval_id="01a1ffff-0000-7000-8000-000000000000")
        tasks.expire_approvals()

    approval.refresh_from_db()
    assert (approval.status, approval.attempt, len(acts.done)) == ("done", 1, 1)
