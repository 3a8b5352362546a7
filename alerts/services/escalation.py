"""Escalation: an incident climbs the policy it began with, step by step, until somebody answers.

A step, its messages and the time of the next step are written in one transaction, under the lease that the run was
claimed with: a worker may be killed anywhere, and two may try at once, and each step is still taken exactly once.
What stops an escalation changes the run's row in the same transaction, so no step is taken after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import IntegrityError, transaction

from alerts.choices import EscalationStatus, NotificationKind, NotificationStatus
from alerts.models import EscalationLog, EscalationPolicy, EscalationRun, Incident, Notification
from alerts.services import escalation_targets as targets
from core import leases
from core.context import current

AT_ONCE = 50
LEASE = timedelta(seconds=60)
# What is withdrawn when somebody answers: pages, and the word that nobody did.
PAGES = (NotificationKind.ESCALATION, NotificationKind.META)
log = structlog.get_logger(__name__)


def start(incident: Incident, *, now: datetime) -> EscalationRun | None:
    """Begin to escalate an incident, in the caller's transaction, by its policy as it is now; the first step is due.

    Without a policy of its own the default one is followed, and where there is none nothing happens. An incident that
    escalates already goes on as it does.
    """
    policy = incident.policy or EscalationPolicy.objects.filter(is_default=True).first()
    plan = snapshot(policy) if policy is not None else _last_plan(incident)
    if plan is None or not plan["steps"]:
        return None
    try:
        with transaction.atomic():
            return EscalationRun.objects.create(
                incident=incident, policy=policy, snapshot=plan, next_step_at=now, started_at=now
            )
    except IntegrityError:
        return None


def stop(incident: Incident, *, now: datetime) -> None:
    """Stop escalating an incident, in the caller's transaction, and withdraw pages that were not sent yet."""
    EscalationRun.objects.filter(incident=incident, status=EscalationStatus.RUNNING).update(
        status=EscalationStatus.STOPPED, next_step_at=None, stopped_at=now, stopped_by=current().actor.label[:200]
    )
    waiting = Notification.objects.filter(incident=incident, kind__in=PAGES, status=NotificationStatus.PENDING)
    # What a worker is sending at this moment is left to it; it says truthfully that it was sent.
    free = waiting.filter(lease_until=None) | waiting.filter(lease_until__lt=now)
    free.update(status=NotificationStatus.SUPERSEDED)


def snapshot(policy: EscalationPolicy) -> dict[str, Any]:
    """Return a policy as data: what a run follows, whatever becomes of the policy."""
    steps = policy.steps.select_related("user", "schedule", "channel").order_by("position")
    return {
        "name": policy.name,
        "repeats": policy.repeats,
        "steps": [
            {
                "position": step.position,
                "target": step.target,
                "id": str(step.user_id or step.schedule_id or step.channel_id),
                "name": str(step.user or step.schedule or step.channel),
                "wait_minutes": step.wait_minutes,
            }
            for step in steps
        ],
    }


def run(now: datetime) -> int:
    """Take the steps that are due, follow the alerts of incidents, and open again what was acknowledged for too long.

    Returns the number of things done. One run that fails is logged and tried again when its lease has run out.
    """
    from alerts.services import incidents  # which stop and start escalations themselves

    done = incidents.reopen_expired(now) + incidents.follow_alerts(now)
    due = EscalationRun.objects.filter(status=EscalationStatus.RUNNING, next_step_at__lte=now)
    failure: Exception | None = None
    for claimed in leases.claim(due, order_by=("next_step_at", "pk"), limit=AT_ONCE, lease=LEASE, now=now):
        try:
            done += take_step(claimed, now=now)
        except Exception as error:  # the others are paged first, then it is raised
            log.exception("escalation_step_failed", run=claimed.pk)
            failure = error
    if failure is not None:
        raise failure
    return done


def take_step(claimed: EscalationRun, *, now: datetime) -> bool:
    """Take the step that a claimed run is at, or end the run after its last one; False when it was stopped meanwhile.

    One transaction. The run's row is changed first: whoever stops it has to wait, or has been quicker.
    """
    with transaction.atomic():
        steps = claimed.snapshot["steps"]
        if claimed.step >= len(steps):
            return _exhaust(claimed, now)
        if not _advance(claimed, now, wait=timedelta(minutes=steps[claimed.step]["wait_minutes"])):
            return False
        incident = Incident.objects.select_related("runbook").get(pk=claimed.incident_id)
        told = targets.tell(steps[claimed.step], claimed, incident, now=now)
        EscalationLog.objects.create(run=claimed, loop=claimed.loop, step=claimed.step, at=now, told=told.names)
        targets.record_step(incident, claimed, told, now=now)
        if not told.names:
            # Nobody was there to answer: waiting for an answer would only lose time.
            EscalationRun.objects.filter(pk=claimed.pk, status=EscalationStatus.RUNNING).update(next_step_at=now)
    return True


def _advance(claimed: EscalationRun, now: datetime, *, wait: timedelta) -> bool:
    last = claimed.step + 1 >= len(claimed.snapshot["steps"])
    again = last and claimed.loop < claimed.snapshot["repeats"]
    place = {"loop": claimed.loop + 1, "step": 0} if again else {"loop": claimed.loop, "step": claimed.step + 1}
    return bool(_here(claimed).update(**leases.release(**place, next_step_at=now + wait)))


def _exhaust(claimed: EscalationRun, now: datetime) -> bool:
    """End a run whose steps were all taken without an answer, and tell all of operations."""
    ended = leases.release(status=EscalationStatus.EXHAUSTED, next_step_at=None, stopped_at=now)
    if not _here(claimed).update(**ended):
        return False
    incident = Incident.objects.select_related("runbook").get(pk=claimed.incident_id)
    targets.tell_everybody(claimed, incident, now=now)
    return True


def _here(claimed: EscalationRun) -> Any:
    """Return the run while this worker holds it and it is where it was: nobody stopped it or took the step."""
    return leases.held(claimed).filter(status=EscalationStatus.RUNNING, loop=claimed.loop, step=claimed.step)


def _last_plan(incident: Incident) -> dict[str, Any] | None:
    """Return the plan that the incident followed before its policy was deleted."""
    last = EscalationRun.objects.filter(incident=incident).order_by("-pk").first()
    return None if last is None else last.snapshot
