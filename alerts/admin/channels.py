"""Channels in the admin: set up per kind, tried out with a button, with how they are doing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from alerts.admin.channel_forms import WHAT_KINDS_ARE, EditChannelForm, NewChannelForm, at_fields
from alerts.admin.sections import TELLING
from alerts.channels.apprise import installed
from alerts.choices import ChannelKind
from alerts.models import Channel, DeliveryAttempt
from alerts.services import channels as services
from core.adminkit import (
    Dialog,
    DialogForm,
    EmptyState,
    ModelAdmin,
    ReasonForm,
    action,
    add_refusal,
    display,
)
from core.context import current
from core.errors import Invalid, Refusal
from core.ports.panels import Figure, Table

ATTEMPTS_SHOWN = 10
STATE_COLOURS = {
    "Works": "success",
    "Not used yet": "info",
    "Failing": "warning",
    "Paused": "danger",
    "Disabled": "danger",
}


@admin.register(Channel)
class ChannelAdmin(ModelAdmin[Channel]):
    """How people and machines are reached. Settings change through actions; secrets are never shown."""

    list_display = ("name", "kind_label", "state", "waiting", "last_sent_at", "rate_text", "failover")
    list_select_related = ("failover",)
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    ordering = ("name", "id")
    actions_detail = (
        "send_test", "edit", "rotate_secret", "drop_former_secret", "enable", "disable", "remove",
    )  # fmt: skip
    fields = (
        "name",
        "kind",
        "told",
        "secrets_set",
        "rate_text",
        "failover",
        "enabled",
        "disabled_reason",
        "created_at",
    )
    readonly_fields = ("told", "secrets_set", "rate_text")
    export_fields = (
        "id", "name", "kind", "rate_per_minute", "failover__name", "enabled", "disabled_reason", "failures",
        "last_sent_at", "last_error", "last_error_at", "created_at",
    )  # fmt: skip
    change_form_before_template = "admin/alerts/channel_page.html"
    menu_section = TELLING
    menu_icon = "campaign"
    menu_order = 50
    empty_state = EmptyState(
        "No channels yet",
        "A channel is how a person or a machine is told: by e-mail, Slack, Teams, PagerDuty or a webhook of your own.",
        icon="campaign",
        step="Add a channel",
        link=lambda: reverse("admin:alerts_channel_add"),
    )

    @display(description="Kind", ordering="kind")
    def kind_label(self, channel: Channel) -> str:
        return str(channel.get_kind_display())

    @display(
        description="State",
        label={
            "Works": "success",
            "Not used yet": "info",
            "Failing": "warning",
            "Paused": "danger",
            "Disabled": "danger",
        },
    )
    def state(self, channel: Channel) -> str:
        return state_of(channel)

    @display(description="Waiting")
    def waiting(self, channel: Any) -> int:
        return int(channel.waiting_count)

    @display(description="Rate")
    def rate_text(self, channel: Channel) -> str:
        return f"{channel.rate_per_minute} a minute" if channel.rate_per_minute else "no limit"

    @display(description="Settings")
    def told(self, channel: Channel) -> str:
        parts = [
            f"{name}: {', '.join(value) if isinstance(value, list) else value}"
            for name, value in sorted(channel.config.items())
        ]
        return "; ".join(parts) or "–"

    @display(description="Secrets")
    def secrets_set(self, channel: Channel) -> str:
        names = services.secret_names(channel)
        if channel.secret and not names:
            return "set, but they cannot be decrypted with the present ENCRYPTION_KEYS"
        return ", ".join(f"{name}: set" for name in names) or "none"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        waiting = Count("notifications", filter=Q(notifications__status="pending"))
        return super().get_queryset(request).annotate(waiting_count=waiting)

    def details(self, obj: Channel) -> dict[str, Any]:
        """Return how the channel is doing and its last attempts, for the page."""
        attempts = DeliveryAttempt.objects.filter(notification__channel=obj).select_related("notification")
        return {
            "channel": obj,
            "channel_state": state_of(obj),
            "channel_figures": _figures(obj),
            "channel_attempts": _attempts(list(attempts.order_by("-id")[:ATTEMPTS_SHOWN]), obj),
        }

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never by a form: every change goes through an action and its service."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never by Django's own page: the service refuses while the channel is in use."""
        return False

    def has_steer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may change and try channels."""
        return request.user.has_perm("alerts.change_channel")

    def has_edit_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may edit this one: Apprise is for superusers."""
        of_superusers = obj is not None and obj.kind == ChannelKind.APPRISE
        return self.has_steer_permission(request) and (not of_superusers or _is_superuser(request))

    def has_sign_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this is a webhook, whose signing secret this person may rotate."""
        return self.has_steer_permission(request) and (obj is None or obj.kind == ChannelKind.WEBHOOK)

    def has_enable_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this channel can be switched on by this person."""
        return self.has_steer_permission(request) and (obj is None or not obj.enabled)

    def has_disable_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this channel can be switched off by this person."""
        return self.has_steer_permission(request) and (obj is None or obj.enabled)

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may delete channels."""
        return request.user.has_perm("alerts.delete_channel")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for the kind, then for what that kind needs."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        kind = request.GET.get("kind", "")
        context = {**self.admin_site.each_context(request), "title": "New channel"}
        if kind not in ChannelKind.values:
            return TemplateResponse(request, "admin/alerts/channel_kinds.html", {**context, "kinds": _kinds(request)})
        form = NewChannelForm(kind, request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid() and (made := self._make(request, form)) is not None:
            return self._shown_once(request, made)
        about = {"form": form, "kind_label": ChannelKind(kind).label, "about": WHAT_KINDS_ARE[ChannelKind(kind)]}
        return TemplateResponse(request, "admin/alerts/channel_new.html", {**context, **about})

    def _make(self, request: HttpRequest, form: NewChannelForm) -> services.Made | None:
        try:
            return services.create_channel(form.terms(), superuser=_is_superuser(request), now=timezone.now())
        except Invalid as refusal:
            add_refusal(form, at_fields(refusal))
        except Refusal as refusal:
            add_refusal(form, refusal)
        return None

    def _shown_once(self, request: HttpRequest, made: services.Made) -> HttpResponse:
        """Go to the channel's page; a signing secret that was made is shown on the way, for the only time."""
        address = reverse("admin:alerts_channel_change", args=[made.channel.pk])
        if not made.shown_once:
            self.message_user(request, f"“{made.channel.name}” is there. Send a test to see it work.", messages.SUCCESS)
            return HttpResponseRedirect(address)
        in_dialog = request.headers.get("HX-Request") == "true"
        context = {
            **self.admin_site.each_context(request),
            "title": "Copy the signing secret now",
            "channel": made.channel,
            "secret": made.shown_once,
            "address": address,
            "layout": "admin/core/apikey/in_dialog.html" if in_dialog else "admin/page.html",
        }
        answer = TemplateResponse(request, "admin/alerts/channel_secret.html", context)
        answer["Cache-Control"] = "no-store"
        if in_dialog:
            answer["HX-Retarget"], answer["HX-Reselect"], answer["HX-Reswap"] = "#dialog", "#dialog", "outerHTML"
        return answer

    @action(
        description="Send a test",
        permissions=["steer"],
        icon="send",
        variant="primary",
        url_path="test",
        dialog=Dialog(
            "Send a test message",
            "It goes out now, the way every message does, and the result is shown on this page.",
            DialogForm,
            "Send the test",
        ),
    )
    def send_test(self, request: HttpRequest, form: DialogForm, object_id: str) -> None:
        """Try the channel and show what came of it."""
        attempt = services.send_test(UUID(object_id), by=current().actor.label, now=timezone.now())
        status = f" (status {attempt.status_code})" if attempt.status_code else ""
        if attempt.delivered:
            text = f"The test was delivered in {attempt.milliseconds} ms{status}."
            self.message_user(request, text, messages.SUCCESS)
        else:
            said = f" It answered: {attempt.answer[:300]}" if attempt.answer else ""
            self.message_user(request, f"The test was not delivered{status}: {attempt.error}.{said}", messages.ERROR)

    @action(
        description="Edit",
        permissions=["edit"],
        icon="edit",
        url_path="edit",
        dialog=Dialog("Edit the channel", "", EditChannelForm, "Save"),
    )
    def edit(self, request: HttpRequest, form: EditChannelForm, object_id: str) -> None:
        """Change name, settings, secrets, rate and failover."""
        try:
            services.change_channel(UUID(object_id), form.terms(), superuser=_is_superuser(request), now=timezone.now())
        except Invalid as refusal:
            raise at_fields(refusal) from refusal
        self.message_user(request, "The channel is saved. Send a test to see it work.", messages.SUCCESS)

    @action(
        description="New signing secret",
        permissions=["sign"],
        icon="key",
        url_path="rotate-secret",
        dialog=Dialog(
            "Make a new signing secret",
            "Messages carry a signature of the new and of the present one until the present one is dropped.",
            DialogForm,
            "Make it",
        ),
    )
    def rotate_secret(self, request: HttpRequest, form: DialogForm, object_id: str) -> HttpResponse:
        """Make a new signing secret and show it once."""
        return self._shown_once(request, services.rotate_signing_secret(UUID(object_id), now=timezone.now()))

    @action(
        description="Drop the former secret",
        permissions=["sign"],
        icon="key_off",
        url_path="drop-former-secret",
        dialog=Dialog(
            "Drop the former signing secret", "Do this once the receiver knows the new one.", DialogForm, "Drop it"
        ),
    )
    def drop_former_secret(self, request: HttpRequest, form: DialogForm, object_id: str) -> None:
        """Sign with the newest secret alone."""
        services.drop_former_secret(UUID(object_id), now=timezone.now())
        self.message_user(request, "Messages are signed with the newest secret alone.", messages.SUCCESS)

    @action(
        description="Enable",
        permissions=["enable"],
        icon="play_arrow",
        url_path="enable",
        dialog=Dialog("Enable the channel", "What is waiting for it goes out at once.", ReasonForm, "Enable"),
    )
    def enable(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Use the channel again."""
        self._switch(request, object_id, form, enabled=True)

    @action(
        description="Disable",
        permissions=["disable"],
        icon="pause",
        url_path="disable",
        dialog=Dialog(
            "Disable the channel",
            "Messages for it are kept for a day each. Critical ones go to its failover after a minute.",
            ReasonForm,
            "Disable",
        ),
    )
    def disable(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Stop using the channel."""
        self._switch(request, object_id, form, enabled=False)

    @action(
        description="Delete",
        permissions=["remove"],
        icon="delete",
        variant="danger",
        url_path="remove",
        dialog=Dialog("Delete the channel", "With it goes the record of what it delivered.", ReasonForm, "Delete"),
    )
    def remove(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        """Delete the channel unless something uses it."""
        services.delete_channel(UUID(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "The channel is deleted.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:alerts_channel_changelist"))

    def _switch(self, request: HttpRequest, object_id: str, form: ReasonForm, *, enabled: bool) -> None:
        reason = form.cleaned_data["reason"]
        services.set_enabled(UUID(object_id), enabled=enabled, reason=reason, now=timezone.now())
        self.message_user(request, f"The channel is {'enabled' if enabled else 'disabled'}.", messages.SUCCESS)


def state_of(channel: Channel) -> str:
    """Return how a channel is doing, in a word or two."""
    if not channel.enabled:
        return "Disabled"
    if channel.circuit_until is not None and channel.circuit_until > timezone.now():
        return "Paused"
    if channel.failures or channel.refusals:
        return "Failing"
    return "Works" if channel.last_sent_at else "Not used yet"


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))


def _kinds(request: HttpRequest) -> list[dict[str, Any]]:
    found = []
    for kind in ChannelKind:
        reason = ""
        if kind == ChannelKind.APPRISE:
            reason = "" if _is_superuser(request) else "Only superusers may add one."
            reason = reason or ("" if installed() else "Install it first: pip install apprise")
        found.append({"kind": kind.value, "label": kind.label, "about": WHAT_KINDS_ARE[kind], "reason": reason})
    return found


def _figures(channel: Channel) -> list[Figure]:
    waiting = channel.notifications.filter(status="pending").count()
    dead = channel.notifications.filter(status="dead").count()
    listed = f"{reverse('admin:alerts_notification_changelist')}?channel__id__exact={channel.pk}&status="
    circuit = f"until {_moment(channel.circuit_until)}" if state_of(channel) == "Paused" else "closed"
    return [
        Figure("Last sent", _moment(channel.last_sent_at) if channel.last_sent_at else "never"),
        Figure("Waiting", str(waiting), link=f"{listed}pending", tone="warning" if waiting > 100 else "neutral"),
        Figure("Dead letters", str(dead), link=f"{listed}dead", tone="bad" if dead else "good"),
        Figure("Failures in a row", str(channel.failures), channel.last_error[:200],
               tone="warning" if channel.failures else "good"),
        Figure("Circuit", circuit, "after 5 failures in a row it is left alone for a while",
               tone="bad" if circuit != "closed" else "good"),
    ]  # fmt: skip


def _attempts(attempts: list[DeliveryAttempt], channel: Channel) -> Table:
    rows = [
        (
            [
                _moment(attempt.at),
                str(attempt.notification),
                "delivered" if attempt.delivered else attempt.error or "not delivered",
                str(attempt.status_code or "–"),
                f"{attempt.milliseconds} ms",
            ],
            reverse("admin:alerts_notification_change", args=[attempt.notification_id]),
        )
        for attempt in attempts
    ]
    link = f"{reverse('admin:alerts_notification_changelist')}?channel__id__exact={channel.pk}"
    return Table("Last attempts", ["At", "Message", "Result", "Status", "Took"], rows, link=link)


def _moment(at: Any) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}" if at else "–"
