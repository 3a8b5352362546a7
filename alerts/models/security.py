"""Threat detection and automation: what happened to accounts and keys, and what the platform does by itself."""

from __future__ import annotations

from django.db import models

from alerts.choices import AutomationOutcome, CorrelationKind
from core.choices import Severity
from core.ids import uuid7
from core.leases import Leased
from core.models import AppendOnlyModel


class SecurityEvent(AppendOnlyModel):
    """A login, a use of a key, a grant, an export: who, from where, with what outcome. Facts, kept for a set time.

    `network` is the address without its host part (/24, /48). `count` is how often it happened since the hour began,
    for what is not kept call by call.
    """

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=40)
    outcome = models.CharField(max_length=10)
    actor_kind = models.CharField(max_length=10, blank=True)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    api_key = models.CharField(max_length=64, blank=True)
    address = models.GenericIPAddressField(null=True)
    network = models.CharField(max_length=50, blank=True)
    channel = models.CharField(max_length=10, blank=True)
    count = models.PositiveIntegerField(default=1)
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "at"], name="security_event_by_kind"),
            models.Index(fields=["actor_id", "-id"], name="security_event_by_actor"),
            models.Index(fields=["address", "-id"], name="security_event_by_address"),
            models.Index(fields=["api_key", "-id"], name="security_event_by_key"),
            models.Index(fields=["at"], name="security_event_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.outcome}"


class DetectionRule(models.Model):
    """What counts as a threat: a correlation over security events, in the vocabulary of Sigma.

    `memory` holds the events of the last minutes that were looked at already, for they are not committed in the order
    of their times. `revision` rises with every look, so that of two workers one writes.
    """

    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=16, choices=CorrelationKind)
    parameters = models.JSONField(default=dict)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.HIGH)
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, editable=False)
    memory = models.JSONField(default=dict, editable=False)
    revision = models.PositiveBigIntegerField(default=0, editable=False)
    evaluated_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class AutomationRule(models.Model):
    """When alerts match, an action of the platform runs by itself: limited, on the record, first as a dry run."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=200, unique=True)
    matchers = models.JSONField(default=list)
    action = models.CharField(max_length=100)
    arguments = models.JSONField(default=dict, blank=True)
    dry_run = models.BooleanField(default=True)
    needs_approval = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    runs_per_hour = models.PositiveSmallIntegerField(default=3)
    created_by = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class AutomationRun(Leased):
    """One time that an automation rule met an alert: once per alert and occurrence, with what came of it.

    Its id is given to the action, which can tell by it that it ran before. `due_at` is when it is tried (again).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    rule = models.ForeignKey(AutomationRule, models.CASCADE, related_name="runs")
    alert = models.ForeignKey("alerts.Alert", models.CASCADE, related_name="automation_runs")
    outcome = models.CharField(max_length=8, choices=AutomationOutcome)
    detail = models.CharField(max_length=500, blank=True)
    approval = models.UUIDField(null=True)
    arguments = models.JSONField(default=dict)
    attempt = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField()
    at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["rule", "alert"], name="automation_run_once")]
        indexes = [
            models.Index(fields=["rule", "at"], name="automation_run_by_rule"),
            models.Index(fields=["due_at"], name="automation_run_due", condition=models.Q(outcome="pending")),
        ]

    def __str__(self) -> str:
        return f"{self.rule_id} {self.outcome}"
