"""What incidents and on-call come with: an empty schedule to fill, and a policy that tells the operations channel."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import transaction

from alerts.choices import ChannelKind
from alerts.models import Channel, EscalationPolicy, OnCallSchedule
from alerts.services.oncall_editing import ScheduleTerms, create_schedule
from alerts.services.policies import PolicyTerms, StepTerms, create_policy
from core.models import AuditEntry

CHANNEL = "operations"
SCHEDULE = "operations"
POLICY = "Operations"


def ensure_oncall(*, now: datetime) -> list[str]:
    """Make the schedule and the policy of a new installation once, and return what was made.

    What an operator renamed, changed or deleted is left as it is: the audit log knows that it was there. The policy
    tells the operations channel alone; a step for the schedule is added once somebody is in it.
    """
    made = []
    with transaction.atomic():
        if not OnCallSchedule.objects.exists() and not _was_there("oncallschedule.added"):
            zone = settings.ORGANISATION_TIME_ZONE
            create_schedule(ScheduleTerms(slug=SCHEDULE, name="Operations", time_zone=zone, rotations=[]), now=now)
            made.append("on-call schedule")
        channel = _channel()
        if channel is not None and not _policy_was_there():
            terms = PolicyTerms(name=POLICY, steps=[StepTerms(channel, wait_minutes=15)], repeats=2, is_default=True)
            create_policy(terms, now=now)
            made.append("escalation policy")
    return made


def _channel() -> Channel | None:
    """Return the channel for operations: the one called so, otherwise the first that was made."""
    named = Channel.objects.filter(name__iexact=CHANNEL).order_by("pk").first()
    return named or Channel.objects.exclude(kind=ChannelKind.LOG).order_by("pk").first() or Channel.objects.first()


def _policy_was_there() -> bool:
    return EscalationPolicy.objects.exists() or _was_there("escalationpolicy.added")


def _was_there(action: str) -> bool:
    return AuditEntry.objects.filter(action=action).exists()
