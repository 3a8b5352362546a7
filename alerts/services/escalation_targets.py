"""Whom a step of an escalation tells: a person, whoever is on call, a channel; in the end, all of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from alerts.choices import NotificationKind, StepTarget
from alerts.messages import Message
from alerts.models import Channel, EscalationRun, Incident, OnCallSchedule
from alerts.services import oncall, outbox, paging
from alerts.services.incidents.announcing import message_of, order_key
from alerts.services.incidents.timeline import record_event
from alerts.services.outbox import Outgoing
from core import audit

FALLBACK_GROUP = "operations"


@dataclass(frozen=True, slots=True)
class Told:
    """Who was told by one step, by name, or why nobody was."""

    names: list[str]
    why: str = ""


def tell(step: Mapping[str, Any], claimed: EscalationRun, incident: Incident, *, now: datetime) -> Told:
    """Write the messages of one step, in the caller's transaction. Whoever is gone is left out and said to be."""
    message = message_of(incident, "firing", incident.summary)
    prefix = f"escalation:{claimed.pk}:{claimed.loop}:{claimed.step}"
    return _TELL[step["target"]](step, _Page(incident, message, prefix, now))


def record_step(incident: Incident, claimed: EscalationRun, told: Told, *, now: datetime) -> None:
    """Write the step to the timeline."""
    step = claimed.snapshot["steps"][claimed.step]
    text = f"Told {', '.join(told.names)}." if told.names else f"Told nobody: {told.why}."
    data = {"step": claimed.step + 1, "loop": claimed.loop + 1, "target": step["name"], "told": told.names}
    record_event(incident, "escalated", now=now, text=text, data=data)


def tell_everybody(claimed: EscalationRun, incident: Incident, *, now: datetime) -> None:
    """Page all of operations and tell the channels of the policy that nobody answered, in the caller's transaction."""
    text = "Nobody has acknowledged it, and the escalation has come to its end."
    message = replace(message_of(incident, "firing", text), title=f"Unanswered: {incident.title}")
    prefix = f"escalation:{claimed.pk}:exhausted"
    people = list(User.objects.filter(groups__name=FALLBACK_GROUP, is_active=True).order_by("pk"))
    told = [
        user.get_username()
        for user in people
        if paging.page(
            user, incident=incident, severity=incident.severity, message=message, dedup_prefix=prefix, now=now
        )
    ]
    _tell_channels(claimed, incident, message, prefix, now)
    data = {"told": told, "policy": claimed.snapshot["name"]}
    record_event(incident, "escalation_exhausted", now=now, text=text, data=data)
    audit.record("incident.escalation_exhausted", incident, now=now, after=data)


@dataclass(frozen=True, slots=True)
class _Page:
    """What a step sends, and under which key."""

    incident: Incident
    message: Message
    prefix: str
    now: datetime


def _tell_user(step: Mapping[str, Any], page: _Page) -> Told:
    user = User.objects.filter(pk=step["id"]).first()
    if user is None or not user.is_active:
        return Told([], f"{step['name']} has no active account")
    return _paged(user, page)


def _tell_schedule(step: Mapping[str, Any], page: _Page) -> Told:
    schedule = OnCallSchedule.objects.filter(pk=step["id"]).first()
    if schedule is None:
        return Told([], f"the schedule {step['name']} is gone")
    user = oncall.user_on_call(schedule, page.now)
    return Told([], f"nobody is on call in {schedule.name}") if user is None else _paged(user, page)


def _tell_channel(step: Mapping[str, Any], page: _Page) -> Told:
    channel = Channel.objects.filter(pk=step["id"]).first()
    if channel is None or not channel.enabled:
        return Told([], f"the channel {step['name']} is {'gone' if channel is None else 'disabled'}")
    outbox.enqueue([_to_channel(channel, page, NotificationKind.ESCALATION)], now=page.now)
    return Told([channel.name])


_TELL: dict[str, Callable[[Mapping[str, Any], _Page], Told]] = {
    StepTarget.USER: _tell_user,
    StepTarget.SCHEDULE: _tell_schedule,
    StepTarget.CHANNEL: _tell_channel,
}


def _paged(user: User, page: _Page) -> Told:
    severity = page.incident.severity
    sent = paging.page(
        user,
        incident=page.incident,
        severity=severity,
        message=page.message,
        dedup_prefix=page.prefix,
        now=page.now,
    )
    name = user.get_username()
    return Told([name]) if sent else Told([], f"{name} has no contact method for severity {severity}")


def _tell_channels(claimed: EscalationRun, incident: Incident, message: Message, prefix: str, now: datetime) -> None:
    named = [step["id"] for step in claimed.snapshot["steps"] if step["target"] == StepTarget.CHANNEL]
    channels = Channel.objects.filter(pk__in=named) if named else Channel.objects.all()
    page = _Page(incident, message, prefix, now)
    outbox.enqueue(
        [
            _to_channel(channel, page, NotificationKind.META)
            for channel in channels.filter(enabled=True).order_by("name", "pk")
        ],
        now=now,
    )


def _to_channel(channel: Channel, page: _Page, kind: str) -> Outgoing:
    return Outgoing(
        dedup_key=f"{page.prefix}:{channel.pk}",
        kind=kind,
        channel=channel,
        message=page.message,
        severity=page.incident.severity,
        incident=page.incident,
        order_key=order_key(page.incident),
    )
