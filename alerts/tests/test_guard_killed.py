"""Approvals and automation whose worker is killed in the middle of the act: nothing lost, nothing done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from alerts.models import AutomationRun
from alerts.tests.test_automation import alert, rule
from core import approvals
from core.models import Approval, AuditEntry, Pulse
from core.ports.approvals import approval_kinds
from core.ports.automation import AutomationAction, automation_actions
from core.tests.approving import Acts, as_user, asked, maria, otto
from core.tests.processes import database_url, environment

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def _worker(folder: Path, *arguments: str) -> int:
    """Run one worker to its end, and return how it ended."""
    stores = {"DATABASE_URL": database_url(), "REDIS_URL": os.environ.get("REDIS_URL", "")}
    env = {**environment(folder), **stores, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-m", "core.tests.dying", *arguments]
    done = subprocess.run(
        command, cwd=settings.BASE_DIR, env=env, capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr
    return done.returncode


def test_approval__worker_killed_twice_in_its_middle__happens_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given something approved
    monkeypatch.setitem(approval_kinds._items, "test.paint", Acts().kind())
    now = timezone.now()
    approval, decider = asked(maria(), now), otto()
    with as_user(decider):
        approvals.approve(approval.pk, by=decider, now=now)

    # when two workers are killed in its middle, and two more come
    killed = [_worker(tmp_path, "approval", str(approval.pk), "die") for _ in range(2)]
    between = (Approval.objects.get().status, Pulse.objects.count())
    lived = [_worker(tmp_path, "approval", str(approval.pk), "live") for _ in range(2)]

    # then it happened once, and the record says so once
    assert (killed, between, lived) == ([-9, -9], ("approved", 0), [0, 0])
    assert (Approval.objects.get().status, Pulse.objects.count()) == ("done", 1)
    assert AuditEntry.objects.filter(action="approval.done").count() == 1


def test_automation__worker_killed_in_its_middle__happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # given an alert that a rule answers
    ring = AutomationAction("test.ring", "Ring", "", (), "core.view_job", lambda *_: "done")
    monkeypatch.setitem(automation_actions._items, "test.ring", ring)
    now = timezone.now()
    rule(now, arguments={})
    alert(now)

    # when a worker is killed in the middle of the act, and others come, before and after its lease is over
    killed = _worker(tmp_path, "automation", "-", "die")
    between = (AutomationRun.objects.get().outcome, Pulse.objects.count())
    _worker(tmp_path, "automation", "-", "live")
    waiting = Pulse.objects.count()
    for _ in range(2):
        _worker(tmp_path, "automation", "-", "live", "180")

    # then it happened once
    assert (killed, between, waiting) == (-9, ("pending", 0), 0)
    run = AutomationRun.objects.get()
    assert (run.outcome, run.attempt, Pulse.objects.count()) == ("done", 2, 1)
