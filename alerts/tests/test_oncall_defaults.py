"""What incidents and on-call come with from the first start."""

from __future__ import annotations

from datetime import datetime

import pytest

from alerts.models import Channel, EscalationPolicy, OnCallSchedule
from alerts.services import escalation, oncall, oncall_defaults, policies
from alerts.tests.incident_case import manual
from core.models import ConditionRecord

pytestmark = pytest.mark.django_db


def test_first_start__schedule_and_policy__are_there_and_nothing_is_wrong(now: datetime) -> None:
    schedule, policy = OnCallSchedule.objects.get(), EscalationPolicy.objects.get()

    wanting = oncall.check_schedules(now)

    assert (schedule.slug, policy.name, policy.is_default) == ("operations", "Operations", True)
    assert [str(step.channel) for step in policy.steps.all()] == [str(Channel.objects.get(name__iexact="operations"))]
    assert wanting == 0
    assert not ConditionRecord.objects.filter(source=oncall.SOURCE).exists()


def test_ensure__again__makes_nothing(now: datetime) -> None:
    assert oncall_defaults.ensure_oncall(now=now) == []


def test_ensure__operator_deleted_both__they_stay_away(now: datetime) -> None:
    policies.delete_policy(EscalationPolicy.objects.get().pk, now=now)
    OnCallSchedule.objects.all().delete()

    assert oncall_defaults.ensure_oncall(now=now) == []


def test_incident_of_a_new_installation__tells_the_operations_channel(now: datetime) -> None:
    incident = manual(now)

    escalation.run(now)

    assert list(incident.notifications.values_list("channel__name", flat=True)) == ["operations"]
