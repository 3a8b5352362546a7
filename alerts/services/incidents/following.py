"""What incidents do by themselves: they follow their alerts, and open again when an acknowledgement runs out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from alerts.choices import OPEN_INCIDENTS, IncidentStatus
from alerts.models import Alert, Incident, IncidentAlert
from alerts.services import escalation
from alerts.services.incidents.states import finish
from alerts.services.incidents.timeline import record_event
from core import audit

AT_ONCE = 200
# An incident whose group has gone, or that was merged, follows its alerts by itself, a little later than a flush would.
QUIET_FOR = timedelta(minutes=10)


def add_alerts(incident: Incident, alerts: Sequence[Alert], *, now: datetime) -> int:
    """Link alerts that the incident does not have yet, each with a line; returns how many were new."""
    known = set(IncidentAlert.objects.filter(incident=incident, alert__in=alerts).values_list("alert_id", flat=True))
    new = sorted((alert for alert in alerts if alert.pk not in known), key=lambda alert: alert.pk)
    IncidentAlert.objects.bulk_create(
        (IncidentAlert(incident=incident, alert=alert, linked_at=now) for alert in new), ignore_conflicts=True
    )
    for alert in new:
        record_event(incident, "alert_linked", now=now, text=alert.name, data=_about(alert))
    return len(new)


def follow_alerts(now: datetime) -> int:
    """Write to the timelines which linked alerts have resolved, and resolve incidents whose alerts are all over.

    Every resolution is told once: a conditional UPDATE decides. Returns how many lines and resolutions there were.
    """
    done = _tell_resolutions(IncidentAlert.objects.filter(resolution_told=False), now)
    for incident in _over(now)[:AT_ONCE]:
        with transaction.atomic():
            done += resolve_if_over(incident, now=now)
    return done


def resolve_if_over(incident: Incident, *, now: datetime) -> bool:
    """Resolve an incident that resolves itself and none of whose alerts is open; True when this call did."""
    _tell_resolutions(IncidentAlert.objects.filter(incident=incident, resolution_told=False), now)
    if not incident.resolves_itself or incident.links.filter(alert__resolved_at=None).exists():
        return False
    return finish(incident, now=now, reason="All of its alerts have resolved.")


def reopen_expired(now: datetime) -> int:
    """Open incidents again whose acknowledgement has run out, and escalate them anew; returns how many."""
    due = Incident.objects.filter(status=IncidentStatus.ACKNOWLEDGED, acknowledged_until__lte=now)
    return sum(_reopen(incident, now) for incident in due.order_by("acknowledged_until", "pk")[:AT_ONCE])


def _reopen(incident: Incident, now: datetime) -> bool:
    with transaction.atomic():
        opened = Incident.objects.filter(
            pk=incident.pk, status=IncidentStatus.ACKNOWLEDGED, acknowledged_until__lte=now
        ).update(status=IncidentStatus.OPEN, acknowledged_until=None, acknowledged_by="")
        if not opened:
            return False
        had = {"acknowledged_by": incident.acknowledged_by}
        incident.refresh_from_db()
        record_event(incident, "ack_expired", now=now, data=had)
        audit.record("incident.acknowledgement_expired", incident, now=now, before=had)
        escalation.start(incident, now=now)
    return True


def _tell_resolutions(links: QuerySet[IncidentAlert], now: datetime) -> int:
    waiting = links.filter(alert__resolved_at__isnull=False)
    told = 0
    for link in waiting.select_related("alert", "incident").order_by("pk")[:AT_ONCE]:
        with transaction.atomic():
            if IncidentAlert.objects.filter(pk=link.pk, resolution_told=False).update(resolution_told=True):
                at = {"resolved_at": str(link.alert.resolved_at)}
                record_event(
                    link.incident, "alert_resolved", now=now, text=link.alert.name, data={**_about(link.alert), **at}
                )
                told += 1
    return told


def _over(now: datetime) -> QuerySet[Incident]:
    links = IncidentAlert.objects.filter(incident=OuterRef("pk"))
    recent = Q(alert__resolved_at=None) | Q(alert__resolved_at__gt=now - QUIET_FOR)
    return Incident.objects.filter(
        Exists(links), ~Exists(links.filter(recent)), status__in=OPEN_INCIDENTS, resolves_itself=True
    ).order_by("pk")


def _about(alert: Alert) -> dict[str, object]:
    return {"alert": str(alert.pk), "fingerprint": alert.fingerprint, "severity": alert.severity}
