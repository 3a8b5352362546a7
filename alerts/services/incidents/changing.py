"""Changing what an incident says and whom it concerns: title, severity, roles, alerts, and two that are one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from alerts.choices import IncidentRole, IncidentStatus
from alerts.models import Alert, EscalationPolicy, Incident, IncidentAssignment, Runbook
from alerts.services import escalation
from alerts.services.incidents.checklists import copy_checklist
from alerts.services.incidents.following import add_alerts
from alerts.services.incidents.timeline import get, record_event
from core import audit
from core.choices import Severity
from core.errors import Conflict, FieldError, Invalid, Missing

TITLE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentChange:
    """What is to be different; None leaves a value as it is."""

    title: str | None = None
    summary: str | None = None
    severity: str | None = None
    started_at: datetime | None = None
    resolves_itself: bool | None = None
    policy: EscalationPolicy | None = None
    runbook: Runbook | None = None


def change_incident(incident_id: UUID, change: IncidentChange, *, reason: str = "", now: datetime) -> Incident:
    """Change what an incident says of itself, with a line in its timeline for what matters.

    A runbook brings its checklist unless there is one already. Raises Missing, Conflict when closed, and Invalid.
    """
    _check(change, now)
    with transaction.atomic():
        incident = _workable(incident_id)
        wanted = {name: getattr(change, name) for name in change.__slots__ if getattr(change, name) is not None}
        before = {name: getattr(incident, name) for name in wanted}
        changed = {name: value for name, value in wanted.items() if before[name] != value}
        if not changed:
            return incident
        Incident.objects.filter(pk=incident.pk).update(**changed)
        incident.refresh_from_db()
        if "runbook" in changed and not incident.checklist.exists():
            copy_checklist(incident)
        was, is_now = _texts(before, changed), _texts(changed, changed)
        record_event(incident, "changed", now=now, text=reason, data={"from": was, "to": is_now})
        audit.record("incident.changed", incident, now=now, before=was, after=is_now, reason=reason)
    return incident


def assign_role(incident_id: UUID, user: User, role: str, *, now: datetime) -> IncidentAssignment:
    """Give somebody a role; a new commander takes over from the one before. Raises Missing, Conflict and Invalid."""
    if role not in IncidentRole.values or not user.is_active:
        detail = "Not a role." if role not in IncidentRole.values else "This account is not active."
        raise Invalid(detail, errors=[FieldError("/role" if role not in IncidentRole.values else "/user", "", detail)])
    try:
        with transaction.atomic():
            incident = _workable(incident_id)
            if role == IncidentRole.COMMANDER:
                IncidentAssignment.objects.filter(incident=incident, role=role).exclude(user=user).delete()
            found, made = IncidentAssignment.objects.get_or_create(
                incident=incident, user=user, role=role, defaults={"assigned_at": now}
            )
            if made:
                given = {"user": user.get_username(), "role": role}
                record_event(incident, "role_assigned", now=now, text=f"{user.get_username()} is {role}", data=given)
                audit.record("incident.role_assigned", incident, now=now, after=given)
    except IntegrityError as error:
        raise Conflict("Somebody else became commander just now.", code="changed_meanwhile") from error
    return found


def remove_role(incident_id: UUID, assignment_id: int, *, now: datetime) -> None:
    """Take a role away. Raises Missing and Conflict."""
    with transaction.atomic():
        incident = _workable(incident_id)
        assignment = IncidentAssignment.objects.filter(incident=incident, pk=assignment_id).first()
        if assignment is None:
            raise Missing("There is no such assignment.")
        had = {"user": assignment.user.get_username(), "role": assignment.role}
        assignment.delete()
        record_event(incident, "role_removed", now=now, text=f"{had['user']} is not {had['role']} any more", data=had)
        audit.record("incident.role_removed", incident, now=now, before=had)


def link_alerts(incident_id: UUID, alert_ids: list[UUID], *, now: datetime) -> int:
    """Link alerts to an incident; returns how many were new. Raises Missing, and Conflict when it is closed."""
    with transaction.atomic():
        incident = _workable(incident_id)
        alerts = list(Alert.objects.filter(pk__in=alert_ids).order_by("pk"))
        if len(alerts) != len(set(alert_ids)):
            raise Missing("There is no such alert.")
        added = add_alerts(incident, alerts, now=now)
        if added:
            audit.record("incident.alerts_linked", incident, now=now, after={"alerts": [str(a.pk) for a in alerts]})
    return added


def merge(source_id: UUID, target_id: UUID, *, reason: str = "", now: datetime) -> Incident:
    """Make two incidents one: the source's alerts go to the target, and it is resolved, pointing there.

    Alerts that its group gets later go to the target while that is open. Raises Missing, Conflict and Invalid.
    """
    if source_id == target_id:
        raise Invalid("An incident cannot be merged into itself.", code="same_incident")
    with transaction.atomic():
        # In one order, whichever is merged into which.
        found = {key: _open(key) for key in sorted((source_id, target_id))}
        source, target = found[source_id], found[target_id]
        moved = Incident.objects.filter(pk=source.pk, status=source.status).update(
            status=IncidentStatus.RESOLVED, resolved_at=now, merged_into=target, acknowledged_until=None
        )
        if not moved:
            raise Conflict("The incident is being changed by others; try again.", code="changed_meanwhile")
        escalation.stop(source, now=now)
        add_alerts(target, list(Alert.objects.filter(incident_links__incident=source)), now=now)
        into, came = {"into": target.number}, {"from": source.number}
        record_event(source, "merged", now=now, text=reason, data=into)
        record_event(target, "merged", now=now, text=reason, data=came)
        audit.record("incident.merged", source, now=now, after=into, reason=reason)
    return target


def _workable(incident_id: UUID) -> Incident:
    incident = get(incident_id)
    if incident.status == IncidentStatus.CLOSED:
        raise Conflict("The incident is closed.", code="closed")
    return incident


def _open(incident_id: UUID) -> Incident:
    incident = get(incident_id)
    if incident.resolved_at is not None:
        raise Conflict(f"INC-{incident.number} is {incident.status}; only open incidents are merged.", code="state")
    return incident


def _check(change: IncidentChange, now: datetime) -> None:
    mistakes = []
    if change.title is not None and not 0 < len(change.title.strip()) <= TITLE_LENGTH:
        mistakes.append(FieldError("/title", "length", f"A title has 1 to {TITLE_LENGTH} characters."))
    if change.severity is not None and change.severity not in Severity.values:
        mistakes.append(FieldError("/severity", "not_a_choice", f"One of {', '.join(Severity.values)}."))
    if change.started_at is not None and change.started_at > now:
        mistakes.append(FieldError("/started_at", "in_the_future", "It cannot have started in the future."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _texts(values: dict[str, object], names: dict[str, object]) -> dict[str, object]:
    return {name: values[name] if isinstance(values[name], bool | str | None) else str(values[name]) for name in names}
