"""What tests of incidents and on-call start from: alerts in groups, people who can be paged, policies."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Group, User

from alerts.choices import AlertState, ChannelKind, StepTarget
from alerts.messages import Message
from alerts.models import (
    Alert,
    AlertGroup,
    Channel,
    ContactMethod,
    EscalationPolicy,
    EscalationStep,
    Incident,
    OnCallSchedule,
    Receiver,
    Route,
)
from alerts.services import incidents
from alerts.services.incidents import NewIncident
from alerts.services.oncall_editing import RotationTerms, ScheduleTerms, create_schedule
from core.choices import Severity
from core.tests.people import person


@pytest.fixture
def bare(db: None) -> None:
    """An installation without the policy and the schedule that it comes with."""
    EscalationPolicy.objects.all().delete()
    OnCallSchedule.objects.all().delete()


def pageable(name: str, *, delay: int = 0, severity: str = Severity.INFO) -> User:
    """Make somebody with one contact method by e-mail."""
    user = User.objects.filter(username=name).first() or person(name)
    ContactMethod.objects.create(
        user=user, kind=ChannelKind.EMAIL, address=f"{name}-{delay}@example.org", delay_minutes=delay,
        least_severity=severity,
    )  # fmt: skip
    return user


def operations(*names: str) -> list[User]:
    """Put these people into the group of all of operations."""
    group, _ = Group.objects.get_or_create(name="operations")
    users = [User.objects.filter(username=name).first() or pageable(name) for name in names]
    for user in users:
        user.groups.add(group)
    return users


def channel(now: datetime, name: str = "ops") -> Channel:
    return Channel.objects.create(name=name, kind=ChannelKind.LOG, created_at=now)


def policy(*targets: User | OnCallSchedule | Channel, wait: int = 5, repeats: int = 0) -> EscalationPolicy:
    """Make a policy that tells these in order."""
    made = EscalationPolicy.objects.create(name=f"policy {uuid.uuid4().hex[:8]}", repeats=repeats)
    for position, target in enumerate(targets, start=1):
        kind = {User: StepTarget.USER, OnCallSchedule: StepTarget.SCHEDULE, Channel: StepTarget.CHANNEL}[type(target)]
        EscalationStep.objects.create(
            policy=made, position=position, target=kind, wait_minutes=wait, **{kind.value: target}
        )
    return made


def group(now: datetime) -> AlertGroup:
    route, _ = Route.objects.get_or_create(parent=None, defaults={"name": "root"})
    return AlertGroup.objects.create(route=route, key=uuid.uuid4().hex, labels={"team": "a"}, created_at=now)


def alert(now: datetime, name: str = "Slow", *, severity: str = Severity.HIGH, **labels: str) -> Alert:
    return Alert.objects.create(
        fingerprint=uuid.uuid4().hex[:16], source="test", name=name, labels={"alertname": name, **labels},
        severity=severity, state=AlertState.FIRING, starts_at=now - timedelta(minutes=2), last_seen_at=now,
    )  # fmt: skip


def resolved(found: Alert, now: datetime) -> None:
    Alert.objects.filter(pk=found.pk).update(state=AlertState.RESOLVED, resolved_at=now)


def message(title: str = "Slow agents", severity: str = Severity.HIGH) -> Message:
    return Message(title=title, status="firing", severity=severity, text="p99 is 9 s", group_labels={"team": "a"})


def opened(
    now: datetime,
    *alerts: Alert,
    of: AlertGroup | None = None,
    by: EscalationPolicy | None = None,
    severity: str = Severity.HIGH,
) -> Incident:
    """Open the incident of a group as the flush does."""
    receiver, _ = Receiver.objects.get_or_create(name="r", defaults={"opens_incident": True})
    receiver.escalation_policy = by
    return incidents.open_for_group(
        of or group(now), receiver=receiver, alerts=alerts or (alert(now),), message=message(severity=severity), now=now
    )


def manual(now: datetime, by: EscalationPolicy | None = None, **terms: object) -> Incident:
    given = {"title": "Login is down", "severity": Severity.CRITICAL, "policy": by, **terms}
    return incidents.open_incident(NewIncident(**given), now=now)  # type: ignore[arg-type]


def schedule(now: datetime, *members: User, zone: str = "UTC", kind: str = "daily") -> OnCallSchedule:
    """Make a schedule whose only rotation began the day before yesterday."""
    starts_at = (now - timedelta(days=2)).replace(hour=9, minute=0)
    rotation = RotationTerms(name="main", kind=kind, starts_at=starts_at, members=members)
    terms = ScheduleTerms(slug=f"s-{uuid.uuid4().hex[:8]}", name="Operations", time_zone=zone, rotations=[rotation])
    return create_schedule(terms, now=now)
