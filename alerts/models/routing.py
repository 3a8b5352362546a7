"""Who is told of which alerts: channels, receivers, routes, inhibition, silences and groups."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Coalesce

from alerts.choices import ChannelKind
from alerts.models.rules import Alert
from core.choices import Severity
from core.encryption import EncryptedField
from core.ids import uuid7
from core.leases import Leased


class Channel(models.Model):
    """One way to reach people or machines. Its secret is encrypted at rest and never read back to anybody.

    After too many `failures` in a row the circuit opens until `circuit_until`; `refusals` in a row, answers that say
    that the address is gone, disable the channel for a reason that a person sees.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=10, choices=ChannelKind)
    config = models.JSONField(default=dict, blank=True)
    secret = EncryptedField(blank=True, editable=False)
    rate_per_minute = models.PositiveIntegerField(default=60)
    failover = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+")
    enabled = models.BooleanField(default=True)
    disabled_reason = models.CharField(max_length=300, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, editable=False)
    refusals = models.PositiveSmallIntegerField(default=0, editable=False)
    circuit_until = models.DateTimeField(null=True, editable=False)
    tokens = models.FloatField(default=0, editable=False)
    tokens_at = models.DateTimeField(null=True, editable=False)
    last_sent_at = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Receiver(models.Model):
    """Who gets what a route matches: channels, and, when an incident is opened, an escalation policy."""

    name = models.SlugField(max_length=100, unique=True)
    channels = models.ManyToManyField(Channel, blank=True, related_name="receivers")
    send_resolved = models.BooleanField(default=True)
    opens_incident = models.BooleanField(default=False)
    escalation_policy = models.ForeignKey(
        "alerts.EscalationPolicy", models.SET_NULL, null=True, blank=True, related_name="receivers"
    )

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class TimeInterval(models.Model):
    """Times of the week, in a time zone, that routes may be muted in or restricted to, in Alertmanager's form."""

    name = models.SlugField(max_length=100, unique=True)
    time_zone = models.CharField(max_length=64)
    intervals = models.JSONField(default=list)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Route(models.Model):
    """One branch of the routing tree, with Alertmanager's meaning; blank timings are those of the parent."""

    parent = models.ForeignKey("self", models.PROTECT, null=True, blank=True, related_name="children")
    position = models.PositiveIntegerField(default=0)
    name = models.CharField(max_length=120)
    matchers = models.JSONField(default=list, blank=True)
    receiver = models.ForeignKey(Receiver, models.PROTECT, null=True, blank=True, related_name="routes")
    continues = models.BooleanField(default=False, verbose_name="continue with the next branch")
    group_by = models.JSONField(null=True, blank=True)
    group_wait_seconds = models.PositiveIntegerField(null=True, blank=True)
    group_interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    repeat_interval_seconds = models.PositiveIntegerField(null=True, blank=True)
    mute_intervals = models.ManyToManyField(TimeInterval, blank=True, related_name="muted_routes")
    active_intervals = models.ManyToManyField(TimeInterval, blank=True, related_name="active_routes")

    class Meta:
        ordering = ["parent_id", "position", "id"]
        constraints = [
            models.UniqueConstraint(
                Coalesce("parent", models.Value(0)), condition=models.Q(parent=None), name="route_has_one_root"
            )
        ]

    def __str__(self) -> str:
        return self.name


class InhibitRule(models.Model):
    """While an alert of `source_matchers` fires, those of `target_matchers` whose `equal` labels agree are not sent."""

    name = models.CharField(max_length=120, unique=True)
    source_matchers = models.JSONField(default=list)
    target_matchers = models.JSONField(default=list)
    equal = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Silence(models.Model):
    """Alerts that match are not told of between two instants, or in each recurrence of that span by an RRULE.

    `over_at` is the end of the last span. A silence is never edited in what it hides once it is active: an update ends
    it and makes another.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    matchers = models.JSONField()
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    recurrence = models.CharField(max_length=300, blank=True, help_text="An RRULE line; the span repeats by it.")
    recurs_until = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    over_at = models.DateTimeField(editable=False)
    comment = models.CharField(max_length=1000)
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(editable=False)
    updated_at = models.DateTimeField(editable=False)
    expired_at = models.DateTimeField(null=True, blank=True, editable=False)
    remind_before_seconds = models.PositiveIntegerField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-over_at", "-created_at", "id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="silence_has_length")
        ]
        indexes = [models.Index(fields=["over_at"], name="silence_by_end")]

    def __str__(self) -> str:
        return self.comment[:80] or str(self.id)


class AlertGroup(Leased):
    """The alerts of one route that share the labels it groups by, and when they are told of next.

    `flush_seq` rises only when the set of firing or resolved alerts changed, or a repeat is due; it is part of every
    message's stable id. `changes` rises with every change of its alerts, so that a flush that was under way meanwhile
    looks again. A group keeps its key when the route comes to group by other labels, until its alerts are over.
    """

    route = models.ForeignKey(Route, models.PROTECT, related_name="groups")
    key = models.CharField(max_length=64)
    labels = models.JSONField(default=dict)
    severity = models.CharField(max_length=8, choices=Severity, default=Severity.INFO)
    alerts = models.ManyToManyField(Alert, through="AlertGroupMember", related_name="groups")
    next_flush_at = models.DateTimeField(null=True)
    flushed_at = models.DateTimeField(null=True)
    flush_seq = models.PositiveIntegerField(default=0)
    changes = models.PositiveBigIntegerField(default=0)
    last_notified_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["route", "key"], name="alert_group_once")]
        indexes = [
            models.Index(
                fields=["next_flush_at"], name="alert_group_due", condition=models.Q(next_flush_at__isnull=False)
            )
        ]

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items())) or "all alerts"


class AlertGroupMember(models.Model):
    """One alert in one group, until it is told to be over; one that belongs elsewhere now has left it."""

    group = models.ForeignKey(AlertGroup, models.CASCADE, related_name="members", db_index=False)
    alert = models.ForeignKey(Alert, models.CASCADE, related_name="memberships")
    left_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "alert"], name="alert_group_member_once")]

    def __str__(self) -> str:
        return f"{self.alert_id} in {self.group_id}"


class GroupNotice(models.Model):
    """What one channel was last told of one group, or, without a channel, the incident of the group.

    `firing` maps the fingerprints it was told to fire to their severity then, with "ack:" before it when they were
    acknowledged. Only what is in it is ever told to be over.
    """

    group = models.ForeignKey(AlertGroup, models.CASCADE, related_name="notices", db_index=False)
    channel = models.ForeignKey(Channel, models.CASCADE, null=True, related_name="group_notices")
    firing = models.JSONField(default=dict)
    notified_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["group", "channel"], name="group_notice_once_per_channel"),
            models.UniqueConstraint(
                fields=["group"], condition=models.Q(channel=None), name="group_notice_once_for_incident"
            ),
        ]

    def __str__(self) -> str:
        return f"{len(self.firing)} of group {self.group_id}"
