"""Automation: each rule meets each occurrence of an alert once, within its limit, and what it does happens once."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from alerts.fingerprints import fingerprint
from alerts.models import Alert, AutomationRule, AutomationRun
from alerts.reports import Report
from alerts.services import automation, intake
from core import approvals
from core.apikeys import create_key
from core.errors import Conflict
from core.models import Approval, AuditEntry, ConditionRecord, Pulse
from core.ports.automation import Argument, AutomationAction, Occasion, TryAgain, automation_actions
from core.tests.approving import as_user
from core.tests.people import person

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@dataclass
class Hands:
    """What the test's action did."""

    done: list[tuple[str, str]] = field(default_factory=list)
    error: BaseException | None = None

    def run(self, arguments: Any, occasion: Occasion) -> str:
        if occasion.dry_run:
            return f"would ring {arguments['bell']}"
        Pulse.objects.create(name=f"{occasion.run_id} {len(self.done)} {Pulse.objects.count()}", at=occasion.now)
        if self.error is not None:
            raise self.error
        self.done.append((str(occasion.run_id), arguments["bell"]))
        return f"rang {arguments['bell']}"

    def action(self, name: str = "test.ring", **changes: Any) -> AutomationAction:
        usual = AutomationAction(
            name, "Ring a bell", "It rings.", (Argument("bell", "Bell"),), "alerts.change_alertrule", self.run
        )
        return replace(usual, **changes)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setitem(automation_actions._items, "test.ring", hands.action())
    monkeypatch.setitem(automation_actions._items, "test.call", hands.action("test.call", atomic=False))
    return hands


def alert(now: datetime, name: str = "KeySpend", **labels: str) -> Alert:
    """Return an alert that fires."""
    report = Report({"alertname": name, **labels}, "high", "test", True, now, {"summary": f"{name} is too much"})
    intake.record([report], now=now)
    return Alert.objects.get(fingerprint=fingerprint(report.labels), resolved_at=None)


def rule(now: datetime, **terms: Any) -> AutomationRule:
    """Return a rule that rings the bell that the alert names."""
    usual: dict[str, Any] = {
        "name": "Ring", "matchers": [{"name": "alertname", "op": "=", "value": "KeySpend"}], "action": "test.ring",
        "arguments": {"bell": "{{ labels.bell }}"}, "dry_run": False, "created_at": now,
    }  # fmt: skip
    return AutomationRule.objects.create(**{**usual, **terms})


def _ran() -> AutomationRun:
    return AutomationRun.objects.get()


def test_run__matching_alert__acts_once_per_occurrence(hands: Hands, now: datetime) -> None:
    rule(now)
    first = alert(now, bell="front")
    alert(now, "Other", bell="back")

    counts = [automation.run(now + timedelta(seconds=seconds)) for seconds in (0, 10, 20)]

    run = _ran()
    assert counts == [2, 0, 0]
    assert hands.done == [(str(run.pk), "front")]
    assert (run.outcome, run.detail, run.alert) == ("done", "rang front", first)
    entry = AuditEntry.objects.get(action="automation.ran")
    assert (entry.actor_label, entry.after["fingerprint"]) == ("automation “Ring”", first.fingerprint)


def test_run__alert_that_fires_anew__is_another_occurrence(hands: Hands, now: datetime) -> None:
    rule(now)
    alert(now, bell="front")
    automation.run(now)
    over = Report({"alertname": "KeySpend", "bell": "front"}, "high", "test", False, now)
    intake.record([over], now=now + HOUR)
    alert(now + 2 * HOUR, bell="front")

    automation.run(now + 2 * HOUR)

    assert [bell for _, bell in hands.done] == ["front", "front"]


def test_run__dry__says_what_it_would_do_and_does_nothing(hands: Hands, now: datetime) -> None:
    made = rule(now, dry_run=True)
    alert(now, bell="front")
    automation.run(now)
    AutomationRule.objects.filter(pk=made.pk).update(dry_run=False)

    automation.run(now + HOUR)

    assert (_ran().outcome, _ran().detail, hands.done) == ("dry_run", "would ring front", [])


def test_run__over_the_limit__is_written_down_and_said(hands: Hands, now: datetime) -> None:
    made = rule(now, runs_per_hour=2)
    for bell in ("a", "b", "c"):
        alert(now, bell=bell)

    automation.run(now)

    outcomes = sorted(run.outcome for run in AutomationRun.objects.all())
    assert (outcomes, len(hands.done)) == (["done", "done", "limited"], 2)
    alert(now + HOUR, bell="d")
    automation.run(now + HOUR)
    assert len(hands.done) == 3
    assert ConditionRecord.objects.filter(source="alerts.automation", key=str(made.pk)).exists()


def test_run__label_missing_or_action_unknown__is_refused_with_the_reason(hands: Hands, now: datetime) -> None:
    rule(now)
    rule(now, name="Gone", action="test.gone")
    alert(now)

    automation.run(now)

    details = {run.rule.name: run.detail for run in AutomationRun.objects.filter(outcome="refused")}
    assert details["Ring"] == "the alert has no label bell"
    assert details["Gone"].startswith("'test.gone' is not an action; known: ")
    assert hands.done == []


def test_run__with_approval__waits_for_a_person_and_then_acts(hands: Hands, now: datetime) -> None:
    rule(now, needs_approval=True)
    alert(now, bell="front")
    automation.run(now)
    waiting = (_ran().outcome, list(hands.done))
    otto, approval = person("otto", roles=("operations",)), Approval.objects.get()

    with as_user(otto):
        approvals.approve(approval.pk, by=otto, now=now)
    approvals.carry_out(approval.pk, clock=lambda: now)
    automation.run(now)

    assert waiting == ("waiting", [])
    assert approval.description[0] == "Ring a bell: bell front"
    assert (_ran().outcome, len(hands.done), _ran().approval) == ("done", 1, approval.pk)


@pytest.mark.parametrize("how", ["refused", "expired"])
def test_run__approval_not_given__does_nothing(hands: Hands, now: datetime, how: str) -> None:
    rule(now, needs_approval=True)
    alert(now, bell="front")
    automation.run(now)
    approval, otto = Approval.objects.get(), person("otto", roles=("operations",))
    if how == "refused":
        with as_user(otto):
            approvals.refuse(approval.pk, by=otto, now=now, reason="no")
    else:
        approvals.sweep(now=now + 13 * HOUR)

    automation.run(now + 14 * HOUR)

    assert (_ran().outcome, _ran().detail, hands.done) == ("refused", f"the approval was {how}", [])


def test_run__action_refuses__is_a_failure_that_is_seen_until_it_works(hands: Hands, now: datetime) -> None:
    made = rule(now)
    alert(now, bell="front")
    hands.error = Conflict("the bell is gone")
    automation.run(now)

    assert (_ran().outcome, _ran().detail, Pulse.objects.count()) == ("failed", "the bell is gone", 0)
    condition = ConditionRecord.objects.get(source="alerts.automation", key=str(made.pk))
    assert condition.firing
    hands.error = None
    alert(now, bell="back")
    automation.run(now)
    condition.refresh_from_db()
    assert not condition.firing


def test_run__atomic_action_killed_in_its_middle__is_done_once_by_the_next_worker(hands: Hands, now: datetime) -> None:
    rule(now)
    alert(now, bell="front")
    hands.error = SystemExit()
    with pytest.raises(SystemExit):
        automation.run(now)
    hands.error = None

    automation.run(now + timedelta(minutes=1))
    held_back = list(hands.done)
    automation.run(now + timedelta(minutes=3))

    assert (held_back, len(hands.done), Pulse.objects.count()) == ([], 1, 1)
    assert (_ran().outcome, _ran().attempt) == ("done", 2)


def test_run__outside_action_killed_after_acting__is_repeated_with_the_same_id(
    hands: Hands, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule(now, action="test.call")
    alert(now, bell="front")

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(automation, "_done", die)
        with pytest.raises(SystemExit):
            automation.run(now)
    automation.run(now + timedelta(minutes=3))

    ids = [run_id for run_id, _ in hands.done]
    assert ids == [str(_ran().pk)] * 2
    assert _ran().outcome == "done"


def test_run__outside_action_that_may_work_later__is_tried_four_times(hands: Hands, now: datetime) -> None:
    rule(now, action="test.call")
    alert(now, bell="front")
    hands.error = TryAgain("nobody answered")
    at = now
    for _ in range(6):
        automation.run(at)
        at += timedelta(minutes=5)

    assert (_ran().outcome, _ran().attempt, _ran().detail) == ("failed", 4, "nobody answered, 4 times")
    assert Pulse.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_run__by_three_workers_at_once__acts_once_per_alert_and_keeps_the_limit(hands: Hands, now: datetime) -> None:
    rule(now, runs_per_hour=5)
    for number in range(8):
        alert(now, bell=f"bell{number}")
    begin = threading.Barrier(3)

    def work() -> None:
        begin.wait(10)
        try:
            automation.run(now)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    automation.run(now)

    assert len(hands.done) == len(set(hands.done)) == 5
    assert sorted(AutomationRun.objects.values_list("outcome", flat=True)) == ["done"] * 5 + ["limited"] * 3


def test_suspend_key__by_a_rule__stops_the_key_that_the_alert_names(now: datetime) -> None:
    key = create_key("agent", scopes=["costs:read"], now=now).key
    rule(now, action="core.suspend_key", arguments={"key": "{{ labels.api_key }}"})
    alert(now, api_key=key.prefix)

    automation.run(now)

    key.refresh_from_db()
    assert _ran().detail == f"suspended {key}"
    assert key.suspended_reason == "automation “Ring”: KeySpend is too much"
    assert AuditEntry.objects.get(action="api_key.suspended").actor_label == "automation “Ring”"


def test_start_job__by_a_rule__starts_it_and_an_unknown_kind_fails(now: datetime) -> None:
    from core.models import Job

    rule(now, action="core.start_job", arguments={"job": "core.export_list"})
    rule(now, name="Unknown", action="core.start_job", arguments={"job": "no.such"})
    alert(now)

    automation.run(now)

    assert Job.objects.get().kind == "core.export_list"
    assert "known: " in AutomationRun.objects.get(rule__name="Unknown").detail
