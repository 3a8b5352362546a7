"""The states of an incident: each change is a compare-and-swap on the status, and stops or starts its escalation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce

from alerts.choices import ACTIVE_STATES, INCIDENT_TRANSITIONS, IncidentStatus
from alerts.models import Alert, Incident
from alerts.services import alerting, escalation
from alerts.services.incidents.announcing import announce
from alerts.services.incidents.timeline import get, record_event
from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid

ACKNOWLEDGED_FOR = timedelta(hours=4)
LONGEST_ACKNOWLEDGEMENT = timedelta(days=7)
TRIES = 5


@dataclass(frozen=True, slots=True)
class _Act:
    """One change of state: where to, under which name, with which other columns, and from where besides the usual."""

    to: str
    name: str
    changes: dict[str, object] = field(default_factory=dict)
    also_from: Iterable[str] = ()


def acknowledge(incident_id: UUID, *, until: datetime | None = None, reason: str = "", now: datetime) -> Incident:
    """Take an incident: nobody is paged until the acknowledgement runs out (4 hours unless said, 7 days at most).

    Its alerts are acknowledged with it, so that nobody is reminded of them either, and fire again when it runs out. Of
    somebody else's it is a take-over, of one's own a renewal. Raises Missing, Conflict, and Invalid for the end.
    """
    end = until or now + ACKNOWLEDGED_FOR
    if not now < end <= now + LONGEST_ACKNOWLEDGEMENT:
        detail = "An acknowledgement ends in the future, within 7 days."
        raise Invalid(detail, errors=[FieldError("/until", "out_of_range", detail)])
    who = current().actor.label[:200]
    changes: dict[str, object] = {"acknowledged_until": end, "acknowledged_by": who, **_answered(now)}
    act = _Act(IncidentStatus.ACKNOWLEDGED, "acknowledged", changes, also_from=(IncidentStatus.ACKNOWLEDGED,))
    with transaction.atomic():
        incident, before = _move(incident_id, act)
        _tell(incident, act, before, now=now, reason=reason, data={"until": end.isoformat()})
        escalation.stop(incident, now=now)
        alerting.acknowledge(_active(incident), by=who, until=end, reason=_because(incident, reason), now=now)
        announce(incident, "acknowledged", f"{who} has it until {end:%Y-%m-%d %H:%M} UTC. {reason}".strip(), now=now)
    return incident


def unacknowledge(incident_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Give an incident back: it is open, and escalates from the first step. Raises Missing and Conflict."""
    changes: dict[str, object] = {"acknowledged_until": None, "acknowledged_by": ""}
    act = _Act(IncidentStatus.OPEN, "unacknowledged", changes)
    with transaction.atomic():
        incident, before = _move(incident_id, act, only_from=(IncidentStatus.ACKNOWLEDGED,))
        _tell(incident, act, before, now=now, reason=reason)
        who = current().actor.label[:200]
        alerting.unacknowledge(_active(incident), by=who, reason=_because(incident, reason), now=now)
        escalation.start(incident, now=now)
    return incident


def mitigate(incident_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Say that the harm has stopped while work goes on; nobody is paged any more. Raises Missing and Conflict."""
    act = _Act(IncidentStatus.MITIGATED, "mitigated", {"mitigated_at": now, "acknowledged_until": None})
    act.changes.update(_answered(now))
    with transaction.atomic():
        incident, before = _move(incident_id, act)
        _tell(incident, act, before, now=now, reason=reason)
        escalation.stop(incident, now=now)
        announce(incident, "acknowledged", f"Mitigated. {reason}".strip(), now=now)
    return incident


def resolve(incident_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Say that it is over; whoever was paged is told. Raises Missing and Conflict."""
    with transaction.atomic():
        incident, before = _move(incident_id, _resolution(now, _answered(now)))
        _resolved(incident, before, now=now, reason=reason)
    return incident


def finish(incident: Incident, *, now: datetime, reason: str) -> bool:
    """Resolve an incident that nobody has to answer for any more, in the caller's transaction; False when it is over.

    Nobody answered it by this: the time to acknowledge stays open unless somebody did.
    """
    try:
        resolved, before = _move(incident.pk, _resolution(now, {}))
    except Conflict:
        return False
    _resolved(resolved, before, now=now, reason=reason)
    return True


def close(incident_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Close a resolved incident for good, after its review. Raises Missing and Conflict."""
    act = _Act(IncidentStatus.CLOSED, "closed", {"closed_at": now})
    with transaction.atomic():
        incident, before = _move(incident_id, act)
        _tell(incident, act, before, now=now, reason=reason)
    return incident


def reopen(incident_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Open a resolved or mitigated incident again and escalate it anew.

    Raises Missing; Conflict when its state forbids it, when it was merged, or when its group has another one open.
    """
    act = _Act(IncidentStatus.OPEN, "reopened", {"resolved_at": None, "mitigated_at": None, "acknowledged_by": ""})
    with transaction.atomic():
        incident = get(incident_id)
        if incident.merged_into is not None:
            raise Conflict(f"It was merged into INC-{incident.merged_into.number}; work on that one.", code="merged")
        try:
            with transaction.atomic():
                incident, before = _move(
                    incident_id, act, only_from=(IncidentStatus.RESOLVED, IncidentStatus.MITIGATED)
                )
        except IntegrityError as error:
            raise Conflict("Another incident of the same alerts is open.", code="another_is_open") from error
        _tell(incident, act, before, now=now, reason=reason)
        escalation.start(incident, now=now)
    return incident


def _active(incident: Incident) -> list[Alert]:
    linked = Alert.objects.filter(incident_links__incident=incident, state__in=ACTIVE_STATES)
    return list(linked.order_by("fingerprint")[: alerting.MOST_AT_ONCE])


def _because(incident: Incident, reason: str) -> str:
    return f"INC-{incident.number}: {reason or 'acknowledged'}"[: alerting.LONGEST_REASON]


def _answered(now: datetime) -> dict[str, object]:
    # Who mitigates or resolves without having acknowledged has answered all the same; the first answer stays.
    return {"acknowledged_at": Coalesce("acknowledged_at", now)}


def _resolution(now: datetime, changes: dict[str, object]) -> _Act:
    return _Act(IncidentStatus.RESOLVED, "resolved", {"resolved_at": now, "acknowledged_until": None, **changes})


def _resolved(incident: Incident, before: str, *, now: datetime, reason: str) -> None:
    _tell(incident, _resolution(now, {}), before, now=now, reason=reason)
    escalation.stop(incident, now=now)
    announce(incident, "resolved", reason or "Resolved.", now=now)


def _move(incident_id: UUID, act: _Act, *, only_from: Iterable[str] | None = None) -> tuple[Incident, str]:
    """Swap the status for another one; returns the incident as it is now, and the status it had.

    Raises Missing, and Conflict when the state forbids it; two at once cannot both change it.
    """
    allowed = set(INCIDENT_TRANSITIONS) if only_from is None else set(only_from)
    for _ in range(TRIES):
        before = get(incident_id).status
        if before not in allowed or not (act.to in INCIDENT_TRANSITIONS[before] or before in act.also_from):
            raise Conflict(f"The incident is {before} and cannot be {act.name}.", code="state")
        if Incident.objects.filter(pk=incident_id, status=before).update(status=act.to, **act.changes):
            return get(incident_id), before
    raise Conflict("The incident is being changed by others; try again.", code="changed_meanwhile")


def _tell(
    incident: Incident,
    act: _Act,
    before: str,
    *,
    now: datetime,
    reason: str,
    data: dict[str, object] | None = None,
) -> None:
    record_event(incident, act.name, now=now, text=reason, data=data)
    audit.record(
        f"incident.{act.name}",
        incident,
        now=now,
        before={"status": before},
        after={"status": act.to, **(data or {})},
        reason=reason,
    )
