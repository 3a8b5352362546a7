"""Plumbing that every app shares and that knows no domain word."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from django.conf import settings
from django.db import models

from core.choices import OPEN_APPROVALS, ActorKind, ApprovalStatus, JobStatus, Severity
from core.ids import uuid7
from core.leases import Leased


class AppendOnlyError(RuntimeError):
    """A fact was asked to change; facts are corrected by writing another one."""


class AppendOnlyModel(models.Model):
    """A row that is written once. The database refuses changes as well, by triggers made in the migrations."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise AppendOnlyError(f"{self._meta.label} {self.pk} is a fact and cannot be changed")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise AppendOnlyError(f"{self._meta.label} {self.pk} is a fact and cannot be deleted")


class ApiKey(models.Model):
    """A machine's credential. Only the digest of the secret is kept; the prefix names the key where people see it.

    Keys of one `family` are one client over rotations: idempotency keys and statistics are kept per family.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    family = models.UUIDField(default=uuid.uuid4, editable=False, db_index=True)
    name = models.CharField(max_length=120)
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list)
    entity_type = models.CharField(max_length=32, blank=True)
    entity_id = models.CharField(max_length=200, blank=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, blank=True, related_name="api_keys")
    created_at = models.DateTimeField(editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_reason = models.CharField(max_length=200, blank=True, editable=False)
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    suspended_reason = models.CharField(max_length=200, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    successor = models.ForeignKey("self", models.SET_NULL, null=True, blank=True, related_name="+", editable=False)

    class Meta:
        verbose_name = "API key"
        verbose_name_plural = "API keys"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(entity_type="", entity_id="")
                | (~models.Q(entity_type="") & ~models.Q(entity_id="")),
                name="api_key_binding_is_whole",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"


class IdempotencyRecord(models.Model):
    """The answer that a client's idempotency key was given, so that a repeated request gets the same one."""

    client = models.UUIDField()
    operation = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    content_hash = models.CharField(max_length=64)
    status_code = models.PositiveSmallIntegerField(null=True)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["client", "operation", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return f"{self.operation} {self.key}"


class Job(models.Model):
    """A long piece of work that a person can watch, cancel and find again; the truth about it outlives its worker.

    A worker keeps `heartbeat_at` fresh; a sweep puts jobs back into the queue whose worker has died. `token` fences
    off a worker that was thought dead and comes back.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict)
    status = models.CharField(max_length=10, choices=JobStatus, default=JobStatus.QUEUED)
    progress = models.PositiveSmallIntegerField(default=0)
    message = models.CharField(max_length=500, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(null=True, editable=False)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]
        constraints = [models.CheckConstraint(condition=models.Q(progress__lte=100), name="job_progress_is_percent")]
        indexes = [models.Index(fields=["status", "heartbeat_at"], name="job_by_status_heartbeat")]

    def __str__(self) -> str:
        return self.title


class AuditEntry(AppendOnlyModel):
    """One act of somebody on something, with what it was before and after. Never changed, never deleted."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField()
    actor_kind = models.CharField(max_length=10, choices=ActorKind)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=200)
    channel = models.CharField(max_length=10)
    request_id = models.CharField(max_length=64, blank=True)
    action = models.CharField(max_length=100)
    subject_type = models.CharField(max_length=100)
    subject_id = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)
    reason = models.CharField(max_length=500, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-id"]
        indexes = [
            # The ids first: people search by them alone, an object's history by id and type.
            models.Index(fields=["subject_id", "subject_type", "-id"], name="audit_by_subject"),
            models.Index(fields=["actor_id", "actor_kind", "-id"], name="audit_by_actor"),
            models.Index(fields=["action", "-id"], name="audit_by_action"),
            models.Index(fields=["request_id"], name="audit_by_request"),
            models.Index(fields=["at"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.subject_type} {self.subject_id}"


class ConditionRecord(models.Model):
    """Something that is wrong, or was: the last known state of one condition an app reports."""

    source = models.CharField(max_length=100)
    key = models.CharField(max_length=200)
    firing = models.BooleanField()
    severity = models.CharField(max_length=8, choices=Severity)
    summary = models.CharField(max_length=500)
    labels = models.JSONField(default=dict)
    link = models.CharField(max_length=500, blank=True)
    revision = models.PositiveIntegerField(default=1)
    raised_at = models.DateTimeField()
    changed_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name = "condition"
        ordering = ["-firing", "-changed_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["source", "key"], name="condition_once")]
        indexes = [models.Index(fields=["firing", "-changed_at"], name="condition_by_state")]

    def __str__(self) -> str:
        return self.summary


class SetupLink(models.Model):
    """A one-time link by which the first administrator chooses a password; only its digest is kept."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"set-up link of {self.created_at:%Y-%m-%d %H:%M}"


class SavedView(models.Model):
    """A list's filters, search and order under a name: one's own, or shared with everybody who may see the list."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=100)
    name = models.CharField(max_length=80)
    query = models.CharField(max_length=1000)
    shared = models.BooleanField(default=False)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["owner", "page", "name"], name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name


class Pulse(models.Model):
    """When a part of the platform was last seen at work: workers write theirs each minute."""

    name = models.CharField(max_length=100, unique=True)
    at = models.DateTimeField()
    detail = models.CharField(max_length=200, blank=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"


class ScheduleRecord(models.Model):
    """What the last sync wrote into one schedule: whatever differs from it since was changed by an operator."""

    name = models.CharField(max_length=200, unique=True)
    written = models.JSONField(default=dict)
    synced_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Approval(Leased):
    """A request that somebody else has to approve before it happens: what exactly, who asked, who decided, and what
    came of it.

    Kind, arguments, description, requester and `digest` never change; triggers in the database refuse it. The same
    act cannot be asked for twice at once.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=100)
    title = models.CharField(max_length=200)
    arguments = models.JSONField(default=dict)
    description = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=100, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    link = models.CharField(max_length=500, blank=True)
    reason = models.CharField(max_length=500)
    status = models.CharField(max_length=10, choices=ApprovalStatus, default=ApprovalStatus.WAITING)
    requester_kind = models.CharField(max_length=10, choices=ActorKind)
    requester_id = models.CharField(max_length=64)
    requester_label = models.CharField(max_length=200)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    requested_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    remind_at = models.DateTimeField()
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="+")
    decided_by_label = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)
    decision_reason = models.CharField(max_length=500, blank=True)
    attempt = models.PositiveSmallIntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    result = models.CharField(max_length=500, blank=True)
    error = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "digest"], condition=models.Q(status__in=OPEN_APPROVALS), name="approval_open_once"
            ),
            models.CheckConstraint(
                condition=models.Q(decided_by=None)
                | models.Q(requested_by=None)
                | ~models.Q(decided_by=models.F("requested_by")),
                name="approval_has_four_eyes",
            ),
        ]
        indexes = [
            models.Index(fields=["status", "-id"], name="approval_by_status"),
            models.Index(fields=["requested_by", "-id"], name="approval_by_requester"),
        ]

    def __str__(self) -> str:
        return self.title
