"""Rules, what they found, and the passes that evaluate them."""

from __future__ import annotations

from django.core.validators import MinValueValidator
from django.db import models

from alerts.choices import AlertState, NoData, RuleKind
from core.choices import Severity
from core.ids import uuid7
from core.leases import Leased
from core.models import AppendOnlyModel


class Runbook(models.Model):
    """What to do when something happens: Markdown, with a checklist that each incident ticks off for itself."""

    slug = models.SlugField(max_length=100, unique=True)
    title = models.CharField(max_length=200)
    text = models.TextField(blank=True)
    checklist = models.JSONField(default=list, blank=True, help_text="One line of text per step.")
    version = models.PositiveIntegerField(default=1, editable=False)
    updated_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["title", "id"]

    def __str__(self) -> str:
        return self.title


class AlertRule(models.Model):
    """What is watched: a metric, a health check or a heartbeat, when it counts as wrong, and for how long.

    `parameters` are those of the kind, checked when the rule is saved. When the rule was last evaluated is kept by the
    EvaluationClock of its interval: a rule that finds nothing wrong is not written. `error_since` is since when its
    metric could not be read.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    kind = models.CharField(max_length=16, choices=RuleKind)
    parameters = models.JSONField(default=dict, blank=True)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.MEDIUM)
    for_seconds = models.PositiveIntegerField(default=0, help_text="How long it must hold before the alert fires.")
    keep_firing_seconds = models.PositiveIntegerField(default=0)
    interval_seconds = models.PositiveIntegerField(default=60, validators=[MinValueValidator(5)])
    cooldown_seconds = models.PositiveIntegerField(
        default=0, help_text="After resolving, tell nobody of the same alert again for so long, unless it got worse."
    )
    no_data = models.CharField(max_length=8, choices=NoData, default=NoData.RESOLVE)
    labels = models.JSONField(default=dict, blank=True)
    annotations = models.JSONField(default=dict, blank=True)
    runbook = models.ForeignKey(Runbook, models.SET_NULL, null=True, blank=True, related_name="rules")
    enabled = models.BooleanField(default=True)
    is_default = models.BooleanField(default=False, editable=False)
    revision = models.PositiveIntegerField(default=1, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    error_since = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "alert rule"
        ordering = ["name", "id"]
        indexes = [
            models.Index(fields=["interval_seconds"], name="alert_rule_in_use", condition=models.Q(enabled=True)),
            models.Index(fields=["kind"], name="alert_rule_by_kind"),
        ]

    def __str__(self) -> str:
        return self.name


class EvaluationClock(Leased):
    """How far the rules of one interval have been evaluated: `last_slot` is a whole multiple of the interval.

    All rules of an interval are due at the same instants, so one lease is for all of them, two workers who find them
    due compute the same answer, and a rule that finds nothing costs no write.
    """

    interval_seconds = models.PositiveIntegerField(unique=True)
    last_slot = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    rule_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["interval_seconds"]

    def __str__(self) -> str:
        return f"every {self.interval_seconds} s"


class RuleDefault(models.Model):
    """What was last written of one default rule: a value that differs from it was changed by an operator.

    Without its rule, the rule was deleted, and is not made again.
    """

    slug = models.SlugField(max_length=100, unique=True)
    written = models.JSONField(default=dict)
    synced_at = models.DateTimeField()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class SeenCondition(models.Model):
    """How far one condition of the platform was turned into alerts.

    `labels` are those under which its alert was opened, none while it is not told as firing. At `retell_at` it is told
    once more, because its rule wants it to hold for a while first.
    """

    condition = models.OneToOneField("core.ConditionRecord", models.CASCADE, related_name="alerts_seen")
    revision = models.PositiveIntegerField()
    seen_at = models.DateTimeField()
    labels = models.JSONField(default=dict)
    severity = models.CharField(max_length=8, choices=Severity)
    retell_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"condition {self.condition_id} at revision {self.revision}"


class Alert(models.Model):
    """One alert: a set of labels that is, or was, wrong. One row per occurrence; at most one of a fingerprint is open.

    `seq` rises with every change of state, and a change is a compare-and-swap on it. `routed_seq` is the change that
    routing has seen last: a row with `routed_seq < seq` is work for it, and is never lost.
    `ends_at` is when an alert that is not reported again counts as resolved; blank when its reporter says so itself.
    `fired_at` is blank while it is pending, and stays so when it never fired. Until `quiet_until` nobody is told of it,
    because it resolved shortly before (cooldown); `flaps` is how often it had ended shortly before.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    fingerprint = models.CharField(max_length=16)
    source = models.CharField(max_length=100)
    rule = models.ForeignKey(AlertRule, models.SET_NULL, null=True, blank=True, related_name="alerts")
    name = models.CharField(max_length=200)
    labels = models.JSONField(default=dict)
    annotations = models.JSONField(default=dict)
    generator_url = models.CharField(max_length=2000, blank=True)
    severity = models.CharField(max_length=8, choices=Severity)
    state = models.CharField(max_length=12, choices=AlertState)
    value = models.CharField(max_length=60, blank=True)
    pending_since = models.DateTimeField(null=True)
    starts_at = models.DateTimeField()
    fired_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    last_seen_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True)
    acknowledged_by = models.CharField(max_length=200, blank=True)
    acknowledged_until = models.DateTimeField(null=True)
    seq = models.PositiveIntegerField(default=1)
    routed_seq = models.PositiveIntegerField(default=0)
    quiet_until = models.DateTimeField(null=True)
    flaps = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["fingerprint"], condition=models.Q(resolved_at=None), name="alert_open_once"
            ),
            models.CheckConstraint(
                condition=models.Q(state=AlertState.RESOLVED, resolved_at__isnull=False)
                | (~models.Q(state=AlertState.RESOLVED) & models.Q(resolved_at=None)),
                name="alert_resolved_has_time",
            ),
        ]
        indexes = [
            # Partial where it can be: an alert that begins is written into as few of them as possible.
            models.Index(fields=["rule", "state"], name="alert_by_rule", condition=models.Q(rule__isnull=False)),
            models.Index(fields=["fingerprint", "resolved_at"], name="alert_by_fingerprint"),
            models.Index(fields=["state", "-id"], name="alert_by_state"),
            models.Index(fields=["id"], name="alert_to_route", condition=models.Q(routed_seq__lt=models.F("seq"))),
            models.Index(fields=["ends_at"], name="alert_to_expire", condition=models.Q(resolved_at=None)),
            models.Index(
                fields=["acknowledged_until"], name="alert_ack_to_expire", condition=models.Q(state="acknowledged")
            ),
            # What retention looks for.
            models.Index(
                fields=["resolved_at"], name="alert_by_resolution", condition=models.Q(resolved_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AlertEvent(AppendOnlyModel):
    """One change of an alert: from which state to which, by whom, with what value. Facts."""

    # Written by the statement that writes its alert, so the database need not look for the alert once more.
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="events", db_index=False, db_constraint=False)
    seq = models.PositiveIntegerField()
    kind = models.CharField(max_length=20)
    at = models.DateTimeField()
    actor = models.CharField(max_length=200, blank=True)
    data = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["alert", "seq"], name="alert_event_once")]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%Y-%m-%d %H:%M:%S}"


class Heartbeat(models.Model):
    """When an outside system was last heard of; a rule of kind heartbeat fires when it is silent for too long."""

    name = models.SlugField(max_length=100, unique=True)
    description = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(editable=False)
    last_beat_at = models.DateTimeField(null=True, editable=False)
    beats = models.PositiveBigIntegerField(default=0, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SweepState(models.Model):
    """The last run of one sweep: when it began and ended, what it did, and what went wrong.

    `finished_at` is when it last succeeded; `failures` counts the runs that failed since.
    """

    name = models.CharField(max_length=60, unique=True)
    every_seconds = models.PositiveIntegerField()
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    items = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name = "sweep"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
