"""The checklist of an incident: the runbook's steps as they were when it was opened, ticked off one by one."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from django.db import transaction

from alerts.models import ChecklistTick, Incident
from alerts.services.incidents.timeline import get, record_event
from core import audit
from core.context import current
from core.errors import Missing


def copy_checklist(incident: Incident) -> None:
    """Copy the runbook's steps into the incident, in the caller's transaction; without a runbook nothing happens."""
    runbook = incident.runbook
    if runbook is None:
        return
    Incident.objects.filter(pk=incident.pk).update(runbook_version=runbook.version)
    incident.runbook_version = runbook.version
    ChecklistTick.objects.bulk_create(
        ChecklistTick(incident=incident, position=position, text=str(text)[:500])
        for position, text in enumerate(runbook.checklist, start=1)
    )


def tick(incident_id: UUID, position: int, *, done: bool, now: datetime) -> ChecklistTick:
    """Mark a step as done, or as not done after all. Doing it twice changes nothing. Raises Missing."""
    with transaction.atomic():
        incident = get(incident_id)
        steps = ChecklistTick.objects.filter(incident=incident, position=position)
        changes = {"done_at": now, "done_by": current().actor.label[:200]} if done else {"done_at": None, "done_by": ""}
        changed = steps.filter(done_at__isnull=done).update(**changes)
        step = steps.first()
        if step is None:
            raise Missing("The checklist has no such step.")
        if changed:
            data = {"position": position, "done": done}
            record_event(incident, "step_done" if done else "step_undone", now=now, text=step.text, data=data)
            audit.record("incident.step_ticked", incident, now=now, after=data)
    return step
