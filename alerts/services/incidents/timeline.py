"""The timeline of an incident: facts, each with who did it and why; a correction is another line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from alerts.models import Incident, IncidentEvent
from core import audit
from core.context import current
from core.errors import FieldError, Invalid, Missing

NOTE_LENGTH = 10_000


def record_event(
    incident: Incident, kind: str, *, now: datetime, text: str = "", data: Mapping[str, object] | None = None
) -> IncidentEvent:
    """Write one line in the caller's transaction, in the name of whoever acts."""
    return IncidentEvent.objects.create(
        incident=incident, at=now, kind=kind, actor=current().actor.label[:200], text=text, data=dict(data or {})
    )


def add_note(incident_id: UUID, text: str, *, now: datetime) -> IncidentEvent:
    """Write what somebody saw or did, in whatever state the incident is. Raises Missing, and Invalid without text."""
    text = text.strip()
    if not 0 < len(text) <= NOTE_LENGTH:
        detail = f"A note has 1 to {NOTE_LENGTH} characters."
        raise Invalid(detail, errors=[FieldError("/text", "length", detail)])
    with transaction.atomic():
        incident = get(incident_id)
        event = record_event(incident, "note", now=now, text=text)
        audit.record("incident.noted", incident, now=now, after={"note": event.pk})
    return event


def get(incident_id: UUID) -> Incident:
    """Return an incident. Raises Missing."""
    incident = Incident.objects.filter(pk=incident_id).first()
    if incident is None:
        raise Missing("There is no such incident.")
    return incident
