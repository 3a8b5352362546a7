"""Opening incidents: by a group of alerts, or by a person; at most one of a group is open, however many workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from alerts.choices import OPEN_INCIDENTS, SEVERITY_ORDER, IncidentStatus
from alerts.messages import Message, one_line, shorten
from alerts.models import Alert, AlertGroup, EscalationPolicy, Incident, Receiver, Runbook
from alerts.services import escalation
from alerts.services.incidents.checklists import copy_checklist
from alerts.services.incidents.following import add_alerts, resolve_if_over
from alerts.services.incidents.timeline import record_event
from core import audit
from core.choices import Severity
from core.errors import FieldError, Invalid

SEQUENCE = "alerts_incident_number"
TITLE_LENGTH = 300
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """What a person says of an incident when opening it; without a policy the default one is followed."""

    title: str
    severity: str
    summary: str = ""
    started_at: datetime | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    runbook: Runbook | None = None
    policy: EscalationPolicy | None = None
    alerts: Sequence[Alert] = ()


def open_incident(terms: NewIncident, *, now: datetime) -> Incident:
    """Open an incident by hand and begin to escalate it. Raises Invalid with every mistake.

    It resolves itself only when alerts were linked to it, after the last of them has resolved.
    """
    _check(terms, now)
    with transaction.atomic():
        incident = _create(
            title=terms.title.strip(),
            summary=terms.summary,
            severity=terms.severity,
            labels=dict(terms.labels),
            started_at=terms.started_at or now,
            runbook=terms.runbook,
            policy=terms.policy,
            resolves_itself=bool(terms.alerts),
            opened_at=now,
        )
        _begin(incident, terms.alerts, now)
    return incident


def open_for_group(
    group: AlertGroup, *, receiver: Receiver, alerts: Sequence[Alert], message: Message, now: datetime
) -> Incident:
    """Return the open incident of a group of alerts, opened now if there is none, in the caller's transaction.

    Alerts that are new to it are linked, and its severity rises with theirs, never falls. While the incident that the
    group's was merged into is open, that is the one. Safe to call at every flush, by any number of workers.
    """
    for _ in range(TRIES):
        incident = _current(group)
        if incident is not None:
            add_alerts(incident, alerts, now=now)
            _raise_severity(incident, message.severity, now)
            return incident
        opened = _open_once(group, receiver, alerts, message, now)
        if opened is not None:
            return opened
    raise RuntimeError(f"the incident of group {group.pk} was opened and resolved by others {TRIES} times over")


def group_resolved(group: AlertGroup, *, now: datetime) -> Incident | None:
    """Resolve the incident of a group whose alerts are all over, in the caller's transaction; None when it has none.

    It stays open when it is told not to resolve itself, or while alerts linked from elsewhere still fire.
    """
    incident = _current(group)
    if incident is None:
        return None
    resolve_if_over(incident, now=now)
    incident.refresh_from_db()
    return incident


def dedup_key(group: AlertGroup) -> str:
    """Return the name under which one incident of a group is open at a time."""
    return f"group:{group.pk}"


def _current(group: AlertGroup) -> Incident | None:
    last = Incident.objects.filter(dedup_key=dedup_key(group)).select_related("merged_into").order_by("-number").first()
    while last is not None and last.merged_into is not None:
        last = last.merged_into
    return last if last is not None and last.status in OPEN_INCIDENTS else None


def _open_once(
    group: AlertGroup, receiver: Receiver, alerts: Sequence[Alert], message: Message, now: datetime
) -> Incident | None:
    """Open the incident; None when another worker was first."""
    rules = [alert.rule for alert in alerts if alert.rule is not None]
    try:
        with transaction.atomic():
            incident = _create(
                title=_title(alerts, message),
                summary=message.text,
                severity=message.severity,
                labels={**message.group_labels, **_shared_labels(alerts)},
                dedup_key=dedup_key(group),
                group=group,
                started_at=min((alert.starts_at for alert in alerts), default=now),
                runbook=next((rule.runbook for rule in rules if rule.runbook is not None), None),
                policy=receiver.escalation_policy,
                opened_at=now,
            )
            _begin(incident, alerts, now)
    except IntegrityError:
        return None
    return incident


def _create(**values: object) -> Incident:
    incident = Incident(number=_next_number(), status=IncidentStatus.OPEN, **values)
    incident.save(force_insert=True)
    return incident


def _begin(incident: Incident, alerts: Sequence[Alert], now: datetime) -> None:
    data = {"severity": incident.severity, "number": incident.number}
    record_event(incident, "opened", now=now, text=incident.title, data=data)
    copy_checklist(incident)
    add_alerts(incident, alerts, now=now)
    audit.record("incident.opened", incident, now=now, after={**data, "title": incident.title})
    escalation.start(incident, now=now)


def _next_number() -> int:
    """Return the next number. On PostgreSQL a sequence: nobody waits, and an opening rolled back leaves a gap."""
    if connection.vendor != "postgresql":
        return (Incident.objects.aggregate(last=Max("number"))["last"] or 0) + 1
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT nextval('{SEQUENCE}')")
        return int(cursor.fetchone()[0])


def _title(alerts: Sequence[Alert], message: Message) -> str:
    """Return what an incident is called for good: without the counts of a message, which change."""
    names = list(dict.fromkeys(alert.name for alert in alerts))
    if len(alerts) == 1:
        title = str(alerts[0].annotations.get("summary") or names[0])
    elif names:
        title = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    else:
        title = message.title
    return shorten(one_line(title), TITLE_LENGTH)


def _shared_labels(alerts: Sequence[Alert]) -> dict[str, str]:
    """Return the labels on which all alerts agree; what an incident is about."""
    if not alerts:
        return {}
    first = alerts[0].labels
    return {name: value for name, value in first.items() if all(alert.labels.get(name) == value for alert in alerts)}


def _raise_severity(incident: Incident, severity: str, now: datetime) -> None:
    lesser = SEVERITY_ORDER[SEVERITY_ORDER.index(severity) + 1 :]
    if Incident.objects.filter(pk=incident.pk, severity__in=lesser).update(severity=severity):
        before, incident.severity = incident.severity, severity
        record_event(incident, "severity_raised", now=now, data={"from": before, "to": severity})
        audit.record(
            "incident.severity_raised", incident, now=now, before={"severity": before}, after={"severity": severity}
        )


def _check(terms: NewIncident, now: datetime) -> None:
    mistakes = []
    if not 0 < len(terms.title.strip()) <= TITLE_LENGTH:
        mistakes.append(FieldError("/title", "length", f"A title has 1 to {TITLE_LENGTH} characters."))
    if terms.severity not in Severity.values:
        mistakes.append(FieldError("/severity", "not_a_choice", f"One of {', '.join(Severity.values)}."))
    if terms.started_at is not None and terms.started_at > now:
        mistakes.append(FieldError("/started_at", "in_the_future", "It cannot have started in the future."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)
