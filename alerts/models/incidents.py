"""Incidents: what happened, who does what about it, and what is learned."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from alerts.choices import IncidentRole, IncidentStatus
from alerts.models.oncall import EscalationPolicy
from alerts.models.routing import AlertGroup
from alerts.models.rules import Alert, Runbook
from core.choices import Severity
from core.ids import uuid7
from core.models import AppendOnlyModel


class Incident(models.Model):
    """Something that people work on together until it is over. At most one of a `dedup_key` is open.

    `acknowledged_at` is when somebody first took it and is never overwritten; who has it now, and until when, is in
    `acknowledged_by` and `acknowledged_until`. `started_at` is since when it was wrong, as far as alerts know.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    number = models.PositiveIntegerField(unique=True, editable=False)
    title = models.CharField(max_length=300)
    summary = models.TextField(blank=True)
    severity = models.CharField(max_length=8, choices=Severity)
    status = models.CharField(max_length=12, choices=IncidentStatus, default=IncidentStatus.OPEN, editable=False)
    dedup_key = models.CharField(max_length=200, blank=True, editable=False)
    group = models.ForeignKey(
        AlertGroup, models.SET_NULL, null=True, blank=True, editable=False, related_name="incidents"
    )
    alerts = models.ManyToManyField(Alert, blank=True, through="IncidentAlert", related_name="incidents")
    runbook = models.ForeignKey(Runbook, models.SET_NULL, null=True, blank=True, related_name="incidents")
    runbook_version = models.PositiveIntegerField(null=True, editable=False)
    policy = models.ForeignKey(EscalationPolicy, models.SET_NULL, null=True, blank=True, related_name="incidents")
    merged_into = models.ForeignKey("self", models.SET_NULL, null=True, editable=False, related_name="merged")
    labels = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField()
    opened_at = models.DateTimeField(editable=False)
    acknowledged_at = models.DateTimeField(null=True, editable=False)
    acknowledged_until = models.DateTimeField(null=True, editable=False)
    acknowledged_by = models.CharField(max_length=200, blank=True, editable=False)
    mitigated_at = models.DateTimeField(null=True, editable=False)
    resolved_at = models.DateTimeField(null=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)
    resolves_itself = models.BooleanField(default=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(
                fields=["dedup_key"],
                condition=models.Q(resolved_at=None) & ~models.Q(dedup_key=""),
                name="incident_open_once",
            )
        ]
        indexes = [
            models.Index(fields=["status", "-number"], name="incident_by_status"),
            models.Index(fields=["opened_at"], name="incident_by_opening"),
            models.Index(fields=["dedup_key", "-number"], name="incident_by_dedup_key"),
            models.Index(
                fields=["acknowledged_until"],
                name="incident_ack_to_expire",
                condition=models.Q(status=IncidentStatus.ACKNOWLEDGED),
            ),
        ]

    def __str__(self) -> str:
        return f"INC-{self.number} {self.title}"


class IncidentAlert(models.Model):
    """One alert that belongs to an incident; that it was resolved is written to the timeline once."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="links", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="incident_links")
    linked_at = models.DateTimeField()
    resolution_told = models.BooleanField(default=False)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["incident", "alert"], name="incident_alert_once")]
        indexes = [
            models.Index(fields=["alert"], name="incident_alert_open", condition=models.Q(resolution_told=False))
        ]

    def __str__(self) -> str:
        return f"{self.alert_id} in {self.incident_id}"


class IncidentAssignment(models.Model):
    """One person's role in one incident."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="assignments")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    role = models.CharField(max_length=14, choices=IncidentRole)
    assigned_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["incident", "role", "id"]
        constraints = [
            models.UniqueConstraint(fields=["incident", "user", "role"], name="incident_assignment_once"),
            models.UniqueConstraint(
                fields=["incident"], condition=models.Q(role="commander"), name="incident_has_one_commander"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()}"


class IncidentEvent(AppendOnlyModel):
    """One line of an incident's timeline. Facts; a correction is another line."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="timeline", db_index=False)
    at = models.DateTimeField()
    kind = models.CharField(max_length=20)
    actor = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["incident", "id"], name="incident_event_by_incident")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M}"


class ChecklistTick(models.Model):
    """One step of a runbook's checklist that was done in one incident; the step's text is kept as it was."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="checklist")
    position = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=500)
    done_at = models.DateTimeField(null=True)
    done_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["incident", "position"]
        constraints = [models.UniqueConstraint(fields=["incident", "position"], name="checklist_step_once")]

    def __str__(self) -> str:
        return self.text


class Postmortem(models.Model):
    """What was learned from an incident: Markdown, by the parts that a blameless review has."""

    incident = models.OneToOneField(Incident, models.CASCADE, related_name="postmortem")
    summary = models.TextField(blank=True)
    impact = models.TextField(blank=True)
    root_causes = models.TextField(blank=True)
    lessons = models.TextField(blank=True)
    revision = models.PositiveIntegerField(default=1, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"postmortem of {self.incident}"


class ActionItem(models.Model):
    """Something to be done so that it does not happen again."""

    incident = models.ForeignKey(Incident, models.CASCADE, related_name="action_items")
    title = models.CharField(max_length=300)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name="+")
    due_date = models.DateField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True, editable=False)
    link = models.URLField(max_length=500, blank=True)

    class Meta:
        ordering = ["incident", "id"]

    def __str__(self) -> str:
        return self.title
