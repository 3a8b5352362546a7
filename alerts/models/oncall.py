"""People: how they are reached, who is on call when, and whom an unanswered incident climbs to."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models

from alerts.choices import ChannelKind, EscalationStatus, RotationKind, StepTarget
from alerts.models.routing import Channel
from core.choices import Severity
from core.ids import uuid7
from core.leases import Leased
from core.models import AppendOnlyModel


class ContactMethod(models.Model):
    """One way to reach one person, and how long after being paged it is used."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="contact_methods")
    kind = models.CharField(max_length=10, choices=ChannelKind, default=ChannelKind.EMAIL)
    address = models.CharField(max_length=500)
    delay_minutes = models.PositiveSmallIntegerField(default=0)
    least_severity = models.CharField(max_length=8, choices=Severity, default=Severity.INFO)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["user", "delay_minutes", "id"]
        permissions = [("manage_contacts", "Can look after the contact methods of others")]
        constraints = [models.UniqueConstraint(fields=["user", "kind", "address"], name="contact_method_once")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.user}"


class OnCallSchedule(models.Model):
    """Who is on call: layers of rotations, the later above the earlier, and overrides above them all."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=120)
    time_zone = models.CharField(max_length=64)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name = "on-call schedule"
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class CalendarFeed(models.Model):
    """A secret address under which a calendar program reads one person's turns, or those of a whole schedule.

    Only the digest of its token is kept; the address is shown once, and a new one replaces it.
    """

    digest = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="calendar_feeds")
    schedule = models.ForeignKey(OnCallSchedule, models.CASCADE, null=True, blank=True, related_name="calendar_feeds")
    created_at = models.DateTimeField(editable=False)
    last_read_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "schedule"], name="calendar_feed_once"),
            models.UniqueConstraint(
                fields=["user"], condition=models.Q(schedule=None), name="calendar_feed_of_a_person_once"
            ),
        ]

    def __str__(self) -> str:
        return f"calendar of {self.schedule or self.user}"


class Rotation(models.Model):
    """One layer: people take turns from `starts_at` on, hand over at its time of day in the schedule's time zone.

    `restrictions` limit it to spans of the week, each `{"from": "Mon 09:00", "to": "Mon 17:00"}` in local time.
    """

    schedule = models.ForeignKey(OnCallSchedule, models.CASCADE, related_name="rotations")
    layer = models.PositiveSmallIntegerField(default=1)
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=8, choices=RotationKind, default=RotationKind.WEEKLY)
    turn_length = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1)], help_text="Hours, days or weeks of one turn; hours for custom."
    )
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    restrictions = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["schedule", "layer", "id"]

    def __str__(self) -> str:
        return self.name


class RotationMember(models.Model):
    """One person's place in a rotation. The place outlives the account, so that nobody else's turns move."""

    rotation = models.ForeignKey(Rotation, models.CASCADE, related_name="members")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    name = models.CharField(max_length=150, blank=True, editable=False)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["rotation", "position"]
        constraints = [models.UniqueConstraint(fields=["rotation", "position"], name="rotation_position_once")]

    def __str__(self) -> str:
        return f"{self.position}. {self.user or self.name}"


class Override(models.Model):
    """Somebody takes over a span of a schedule, whoever's turn it is."""

    schedule = models.ForeignKey(OnCallSchedule, models.CASCADE, related_name="overrides")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-starts_at", "-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="override_has_length")
        ]

    def __str__(self) -> str:
        return f"{self.user} from {self.starts_at:%Y-%m-%d %H:%M}"


class EscalationPolicy(models.Model):
    """Whom to tell, in which order, until somebody acknowledges."""

    name = models.CharField(max_length=120, unique=True)
    repeats = models.PositiveSmallIntegerField(default=0, help_text="How often the steps are gone through again.")
    is_default = models.BooleanField(
        default=False, help_text="For incidents whose receiver names no policy. One policy at most is the default."
    )

    class Meta:
        verbose_name_plural = "escalation policies"
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="escalation_policy_one_default"
            )
        ]

    def __str__(self) -> str:
        return self.name


class EscalationStep(models.Model):
    """One step: tell a person, whoever is on call, or a channel; then wait before the next."""

    policy = models.ForeignKey(EscalationPolicy, models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    target = models.CharField(max_length=8, choices=StepTarget)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="+")
    schedule = models.ForeignKey(OnCallSchedule, models.PROTECT, null=True, blank=True, related_name="+")
    channel = models.ForeignKey(Channel, models.PROTECT, null=True, blank=True, related_name="+")
    wait_minutes = models.PositiveSmallIntegerField(default=5)

    class Meta:
        ordering = ["policy", "position"]
        constraints = [
            models.UniqueConstraint(fields=["policy", "position"], name="escalation_step_once"),
            models.CheckConstraint(
                condition=models.Q(target="user", user__isnull=False, schedule=None, channel=None)
                | models.Q(target="schedule", user=None, schedule__isnull=False, channel=None)
                | models.Q(target="channel", user=None, schedule=None, channel__isnull=False),
                name="escalation_step_has_its_target",
            ),
        ]

    def __str__(self) -> str:
        return f"step {self.position}"


class EscalationRun(Leased):
    """One incident climbing a policy, as the policy was when it began; survives every restart."""

    incident = models.ForeignKey("alerts.Incident", models.CASCADE, related_name="escalations")
    policy = models.ForeignKey(EscalationPolicy, models.SET_NULL, null=True, related_name="runs")
    snapshot = models.JSONField()
    status = models.CharField(max_length=10, choices=EscalationStatus, default=EscalationStatus.RUNNING)
    loop = models.PositiveSmallIntegerField(default=0)
    step = models.PositiveSmallIntegerField(default=0)
    next_step_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)
    stopped_by = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["incident"], condition=models.Q(status="running"), name="escalation_runs_once"
            )
        ]
        indexes = [models.Index(fields=["next_step_at"], name="escalation_due", condition=models.Q(status="running"))]

    def __str__(self) -> str:
        return f"escalation of {self.incident_id}"


class EscalationLog(AppendOnlyModel):
    """One step that was taken: whom it told. Facts."""

    run = models.ForeignKey(EscalationRun, models.CASCADE, related_name="log", db_index=False)
    loop = models.PositiveSmallIntegerField()
    step = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    told = models.JSONField(default=list)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["run", "loop", "step"], name="escalation_step_taken_once")]

    def __str__(self) -> str:
        return f"step {self.step} at {self.at:%Y-%m-%d %H:%M}"
