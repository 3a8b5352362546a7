"""Messages on their way and delivered, with every attempt; and the dead letters among them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from alerts.admin.sections import TELLING
from alerts.choices import NotificationStatus
from alerts.models import DeadLetter, DeliveryAttempt, Notification
from alerts.services import notifications as services
from core.adminkit import (
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyInline,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
)

RESEND = Dialog(
    "Send again",
    "They go out again under the ids that they have, with a fresh schedule of retries. Left out are those that were"
    " delivered, and those whose end has been told since.",
    ReasonForm,
    "Send again",
)
CANCEL = Dialog(
    "Take back", "They are not sent any more. What was sent already cannot be taken back.", ReasonForm, "Take back"
)
STATUS_COLOURS = {"Pending": "warning", "Sent": "success", "Dead letter": "danger", "Told in a later one": "info",
                  "Cancelled": "info"}  # fmt: skip

SEVERITY_COLOURS = {"Critical": "danger", "High": "warning", "Medium": "warning", "Low": "info"}


class AttemptInline(ReadOnlyInline[DeliveryAttempt, Notification]):
    """Every attempt to deliver a message."""

    model = DeliveryAttempt
    fields = ("number", "at", "delivered", "status_code", "milliseconds", "error", "answer")
    readonly_fields = fields
    ordering = ("number",)
    verbose_name_plural = "Attempts"


class OutboxAdmin(LargeTableAdmin[Any], ReadOnlyModelAdmin[Any]):
    """Messages of the outbox: facts, but that a waiting one can be taken back and an undelivered one sent again."""

    list_select_related = ("channel", "contact__user")
    search_fields = ("pk__exact", "dedup_key__exact")
    search_help_text = "The exact id or key of a message"
    inlines = (AttemptInline,)
    fields = (
        ("title", "status_text"), "said", ("kind", "severity"), ("to", "group", "incident"), ("due_at", "attempts"),
        ("created_at", "sent_at", "deadline"), "last_error", ("superseded_by", "origin"), "dedup_key",
    )  # fmt: skip
    readonly_fields = ("title", "status_text", "said", "to")
    export_fields = (
        "id", "dedup_key", "kind", "severity", "channel__name", "status", "attempts", "created_at", "due_at", "sent_at",
        "last_error",
    )  # fmt: skip

    @display(description="Message")
    def title(self, row: Notification) -> str:
        return str(row)

    @display(description="To")
    def to(self, row: Notification) -> str:
        return str(row.channel or row.contact)

    @display(description="State", label=STATUS_COLOURS)
    def state(self, row: Notification) -> str:
        return str(row.get_status_display())

    @display(description="State")
    def status_text(self, row: Notification) -> str:
        return str(row.get_status_display())

    @display(
        description="Severity", label={"Critical": "danger", "High": "warning", "Medium": "warning", "Low": "info"}
    )
    def severity_label(self, row: Notification) -> str:
        return str(row.get_severity_display())

    @display(description="Text")
    def said(self, row: Notification) -> str:
        return str(row.payload.get("text", ""))[:2000] or "–"

    def has_steer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may send messages again and take them back."""
        return request.user.has_perm("alerts.change_notification")

    def has_resend_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this message can be sent again by this person."""
        return self.has_steer_permission(request) and (obj is None or obj.status in services.RESENDABLE)

    def has_cancel_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this message waits, and this person may take it back."""
        return self.has_steer_permission(request) and (obj is None or obj.status == NotificationStatus.PENDING)

    @action(description="Send again", permissions=["resend"], icon="replay", url_path="resend", dialog=RESEND)
    def resend_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Send this message again."""
        services.resend_one(UUID(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It goes out again now.", messages.SUCCESS)

    @action(description="Take back", permissions=["cancel"], icon="block", url_path="cancel", dialog=CANCEL)
    def cancel_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Take this message back."""
        services.cancel_one(UUID(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is not sent any more.", messages.SUCCESS)

    @action(description="Send again", permissions=["resend"], dialog=RESEND)
    def resend(self, request: HttpRequest, form: ReasonForm, rows: QuerySet[Notification]) -> None:
        """Send the selected messages again."""
        keys = list(rows.values_list("pk", flat=True))
        self._report(
            request, services.resend(keys, reason=form.cleaned_data["reason"], now=timezone.now()), "sent again"
        )

    @action(description="Take back", permissions=["cancel"], dialog=CANCEL)
    def cancel(self, request: HttpRequest, form: ReasonForm, rows: QuerySet[Notification]) -> None:
        """Take the selected messages back."""
        keys = list(rows.values_list("pk", flat=True))
        self._report(
            request, services.cancel(keys, reason=form.cleaned_data["reason"], now=timezone.now()), "taken back"
        )

    def _report(self, request: HttpRequest, changed: services.Changed, what: str) -> None:
        gone = max(0, len(request.POST.getlist(ACTION_CHECKBOX_NAME)) - changed.count - changed.skipped)
        skipped = changed.skipped + gone
        note = f" {skipped} left out: delivered, being sent just now, or over." if skipped else ""
        level = messages.SUCCESS if changed.count else messages.WARNING
        self.message_user(request, f"{changed.count} message(s) {what}.{note}", level)


@admin.register(Notification)
class NotificationAdmin(OutboxAdmin):
    """Every message, the newest first."""

    list_display = ("title", "to", "state", "severity_label", "kind", "attempts", "created_at", "sent_at")
    list_filter = ("status", "severity", "kind", "channel")
    actions = ("resend", "cancel")
    actions_detail = ("resend_one", "cancel_one")
    menu_section = TELLING
    menu_icon = "outgoing_mail"
    menu_order = 52
    empty_state = EmptyState(
        "Nothing was sent yet",
        "Messages appear here when alerts are told of. A channel's page sends a test.",
        icon="outgoing_mail",
    )


@admin.register(DeadLetter)
class DeadLetterAdmin(OutboxAdmin):
    """What could not be delivered, and why."""

    list_display = ("title", "to", "severity_label", "last_error", "attempts", "created_at")
    list_filter = ("severity", "channel")
    actions = ("resend",)
    actions_detail = ("resend_one",)
    menu_section = TELLING
    menu_icon = "unsubscribe"
    menu_order = 54
    empty_state = EmptyState(
        "No dead letters",
        "A message lands here when its channel refuses it for good, or when a day of retries was in vain.",
        icon="task_alt",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).filter(status=NotificationStatus.DEAD)
