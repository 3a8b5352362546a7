"""The outbox: messages that must be delivered, and every attempt to do so."""

from __future__ import annotations

from django.db import models

from alerts.choices import NotificationKind, NotificationStatus
from alerts.models.oncall import ContactMethod
from alerts.models.routing import AlertGroup, Channel
from core.choices import Severity
from core.ids import uuid7
from core.leases import Leased
from core.models import AppendOnlyModel


class Notification(Leased):
    """One message to one channel or one person's contact, written in the transaction that decided it.

    Delivered at least once, always under the same `id`; what it says is frozen in `payload`. One that `closes` says
    that what the earlier ones of its order key told is over: those still waiting are then told of in it instead
    (`superseded_by`). `origin` is the message that this one stands in for on another channel.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    dedup_key = models.CharField(max_length=200, unique=True)
    kind = models.CharField(max_length=12, choices=NotificationKind)
    channel = models.ForeignKey(Channel, models.CASCADE, null=True, blank=True, related_name="notifications")
    contact = models.ForeignKey(ContactMethod, models.CASCADE, null=True, blank=True, related_name="notifications")
    group = models.ForeignKey(AlertGroup, models.SET_NULL, null=True, blank=True, related_name="notifications")
    incident = models.ForeignKey(
        "alerts.Incident", models.SET_NULL, null=True, blank=True, related_name="notifications"
    )
    order_key = models.CharField(
        max_length=120, blank=True, help_text="Messages of one order key to one channel are sent one after the other."
    )
    # The order key and the target as one word, by which the earlier ones are found; blank where there is no order.
    lane = models.CharField(max_length=170, blank=True, editable=False)
    closes = models.BooleanField(default=False)
    origin = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="stand_ins")
    superseded_by = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="superseded")
    severity = models.CharField(max_length=8, choices=Severity)
    priority = models.PositiveSmallIntegerField(default=5)
    payload = models.JSONField()
    status = models.CharField(max_length=10, choices=NotificationStatus, default=NotificationStatus.PENDING)
    due_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    # How many were made before somebody sent it again: the schedule of retries begins anew there.
    attempts_before = models.PositiveSmallIntegerField(default=0)
    failed_over = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    deadline = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(channel__isnull=True) ^ models.Q(contact__isnull=True),
                name="notification_has_one_target",
            )
        ]
        indexes = [
            # Not partial: SQLite cannot tell from a bound parameter that a partial index would do.
            models.Index(fields=["channel", "status", "priority", "due_at"], name="notification_due"),
            models.Index(fields=["lane", "status", "id"], name="notification_in_order"),
            models.Index(fields=["status", "severity", "created_at"], name="notification_to_fail_over"),
            models.Index(fields=["status", "deadline"], name="notification_to_give_up"),
            models.Index(fields=["channel", "status", "-id"], name="notification_by_channel"),
            models.Index(fields=["status", "-id"], name="notification_by_status"),
            # What retention looks for.
            models.Index(fields=["created_at"], name="notification_by_creation"),
        ]

    def __str__(self) -> str:
        return str(self.payload.get("title", self.dedup_key))[:120]


class DeadLetter(Notification):
    """A message that was given up: somebody looks at why, and sends it again or lets it be."""

    class Meta:
        proxy = True
        ordering = ["-id"]


class DeliveryAttempt(AppendOnlyModel):
    """One try to deliver a message: what the other side answered, and how long it took. Facts."""

    notification = models.ForeignKey(Notification, models.CASCADE, related_name="tries", db_index=False)
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    delivered = models.BooleanField()
    status_code = models.PositiveSmallIntegerField(null=True)
    milliseconds = models.PositiveIntegerField()
    error = models.CharField(max_length=200, blank=True)
    answer = models.CharField(max_length=1024, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["notification", "number"], name="delivery_attempt_once")]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.at:%Y-%m-%d %H:%M:%S}"
