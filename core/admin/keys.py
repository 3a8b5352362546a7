"""API keys: made and shown once, rotated with an overlap, revoked with a reason; the key itself is never stored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from core import apikeys, keyguard
from core.admin.doings import leads_to, may_look
from core.adminkit import (
    CheckboxSelectMultiple,
    Dialog,
    DialogForm,
    EmptyState,
    ModelAdmin,
    ReasonForm,
    Select,
    SplitDateTime,
    TextInput,
    action,
    add_refusal,
    display,
)
from core.errors import Refusal
from core.models import ApiKey
from core.ports.scopes import scopes as known_scopes

STATE_COLOURS = {
    "active": "success",
    "expires soon": "warning",
    "suspended": "warning",
    "expired": "danger",
    "revoked": "danger",
}
SOON = timedelta(days=14)
OVERLAPS = (("0", "None: the old key stops now"), ("24", "One day"), ("168", "One week"))


class NewKeyForm(forms.Form):
    """What a key is for: a name, what it may do, for whom, and until when."""

    name = forms.CharField(max_length=120, widget=TextInput(), help_text="Who or what uses it.")
    scopes = forms.MultipleChoiceField(widget=CheckboxSelectMultiple(), help_text="As few as the work needs.")
    entity_type = forms.CharField(
        max_length=32, required=False, widget=TextInput(), help_text="With an id: the key may act for this entity only."
    )
    entity_id = forms.CharField(max_length=200, required=False, widget=TextInput())
    expires_at = forms.SplitDateTimeField(
        required=False, widget=SplitDateTime(), help_text="Empty: until it is revoked."
    )

    reason = forms.CharField(
        max_length=500,
        required=False,
        widget=TextInput(),
        help_text="What the admin scopes are for, where somebody else decides about them.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(scope.name, f"{scope.name} – {scope.description}") for scope in known_scopes]
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]  # a choice field

    def clean(self) -> dict[str, Any]:
        """An entity is a type and an id, or nothing."""
        values = super().clean() or {}
        if bool(values.get("entity_type")) != bool(values.get("entity_id")):
            raise ValidationError("Give both the type and the id of the entity, or neither.")
        return values


class RotateForm(DialogForm):
    """For how long the old key goes on working."""

    overlap = forms.ChoiceField(choices=OVERLAPS, initial="24", widget=Select(), label="The old key works for")


ROTATE = Dialog(
    "Rotate this key", "The same client gets a new key; the old one goes on for a while.", RotateForm, "Rotate"
)
SUSPEND = Dialog("Suspend this key", "It and its rotations stop working until resumed.", ReasonForm, "Suspend")
RESUME = Dialog("Resume this key", "It works again at once.", ReasonForm, "Resume")
REVOKE = Dialog("Revoke this key", "It stops working at once and for ever.", ReasonForm, "Revoke")


@admin.register(ApiKey)
class ApiKeyAdmin(ModelAdmin[ApiKey]):
    """Keys of machines. They are never edited: what may change goes through an action."""

    list_display = (
        "name",
        "prefix",
        "state",
        "scope_text",
        "bound_to",
        "owner",
        "last_used_at",
        "expires_at",
        "created_at",
    )
    list_select_related = ("owner",)
    search_fields = ("name", "prefix", "entity_id")
    ordering = ("-created_at", "-id")
    actions = ("revoke_selected",)
    actions_detail = ("rotate", "suspend", "resume", "revoke", "doings")
    fields = (
        "name", "prefix", "state", "scope_text", "bound_to", "owner", "created_at", "expires_at", "last_used_at",
        "suspended_at", "suspended_reason", "revoked_at", "revoked_reason", "successor",
    )  # fmt: skip
    readonly_fields = ("state", "scope_text", "bound_to")
    menu_section = "People and access"
    menu_icon = "key"
    menu_order = 40
    empty_state = EmptyState(
        "No keys yet",
        "An agent, a script or an exporter needs a key to send anything here.",
        icon="key",
        step="Make the first key",
        link=lambda: reverse("admin:core_apikey_add"),
        snippet="python manage.py apikey create my-agent --scope costs:write",
    )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: what a key may do is settled when it is made."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never: a revoked key stays as evidence."""
        return False

    def has_steer_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may rotate and revoke keys."""
        return request.user.has_perm("core.change_apikey")

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what the key is for, make it, and show it in the answer: the only time it can be read."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewKeyForm(request.POST if request.method == "POST" else None)
        if request.method == "POST" and form.is_valid():
            made = self._make(request, form)
            if made is not None:
                return self._shown_once(request, made)
        context = {**self.admin_site.each_context(request), "title": "New API key", "form": form}
        return TemplateResponse(request, "admin/core/apikey/new.html", context)

    def _make(self, request: HttpRequest, form: NewKeyForm) -> apikeys.NewKey | None:
        values = form.cleaned_data
        try:
            key = keyguard.make_key(
                values["name"],
                scopes=values["scopes"],
                now=timezone.now(),
                entity=(values["entity_type"], values["entity_id"]) if values["entity_type"] else None,
                owner=request.user,  # type: ignore[arg-type]  # nobody anonymous gets here
                reason=values["reason"],
                expires_at=values["expires_at"],
            )
            if key.approval is not None:
                later = ", ".join(key.approval.arguments["scopes"])
                self.message_user(request, f"{later}: waits for somebody else's approval.", messages.WARNING)
            return key.made
        except Refusal as refusal:
            add_refusal(form, refusal)
            return None

    def _shown_once(self, request: HttpRequest, made: apikeys.NewKey) -> HttpResponse:
        in_dialog = request.headers.get("HX-Request") == "true"
        context = {
            **self.admin_site.each_context(request),
            "title": "Copy the key now",
            "key": made.key,
            "secret": made.secret,
            "address": request.build_absolute_uri("/").rstrip("/"),
            "layout": "admin/core/apikey/in_dialog.html" if in_dialog else "admin/page.html",
        }
        answer = TemplateResponse(request, "admin/core/apikey/shown_once.html", context)
        answer["Cache-Control"] = "no-store"
        if in_dialog:
            answer["HX-Retarget"], answer["HX-Reselect"], answer["HX-Reswap"] = "#dialog", "#dialog", "outerHTML"
        return answer

    @action(description="Rotate", permissions=["steer"], dialog=ROTATE, icon="autorenew")
    def rotate(self, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
        """Give the client a new key and show it once."""
        key = ApiKey.objects.get(pk=object_id)
        overlap = timedelta(hours=int(form.cleaned_data["overlap"]))
        return self._shown_once(request, apikeys.rotate_key(key, now=timezone.now(), overlap=overlap))

    def has_suspend_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Say whether this is a key that can be stopped for a while."""
        free = obj is None or (obj.suspended_at is None and obj.revoked_at is None)
        return free and self.has_steer_permission(request)

    def has_resume_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Say whether this key is suspended."""
        return (obj is None or obj.suspended_at is not None) and self.has_steer_permission(request)

    @action(description="Suspend", permissions=["suspend"], dialog=SUSPEND, icon="pause")
    def suspend(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Stop the client's keys for a while."""
        key = ApiKey.objects.get(pk=object_id)
        count = keyguard.suspend_key(key, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, f"{count} key(s) of {key.name} are suspended.")

    @action(description="Resume", permissions=["resume"], dialog=RESUME, icon="play_arrow")
    def resume(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Let the client's keys work again."""
        key = ApiKey.objects.get(pk=object_id)
        count = keyguard.resume_key(key, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, f"{count} key(s) of {key.name} work again.")

    @action(description="Revoke", permissions=["steer"], dialog=REVOKE, icon="block", variant="danger")
    def revoke(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Close the key for good."""
        key = ApiKey.objects.get(pk=object_id)
        changed = apikeys.revoke_key(key, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, f"{key} was revoked." if changed else f"{key} had been revoked before.")

    @action(description="Revoke selected keys", permissions=["steer"], dialog=REVOKE)
    def revoke_selected(self, request: HttpRequest, form: Any, queryset: Any) -> None:
        """Close the selected keys for good."""
        now, reason = timezone.now(), form.cleaned_data["reason"]
        results = [apikeys.revoke_key(key, now=now, reason=reason) for key in queryset.order_by("pk")]
        skipped = results.count(False)
        self.message_user(request, f"Revoked {results.count(True)} key(s); {skipped} had been revoked before.")

    def has_look_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may see everything that a key did."""
        return may_look(request)

    @action(description="Everything it did", permissions=["look"], safe=True, icon="frame_inspect", url_path="doings")
    def doings(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to everything that was done with this key."""
        return leads_to("api_key", ApiKey.objects.get(pk=object_id).prefix)

    @display(description="State", label=STATE_COLOURS)
    def state(self, obj: ApiKey) -> str:
        """Return whether the key works."""
        now = timezone.now()
        if obj.revoked_at is not None:
            return "revoked"
        if obj.suspended_at is not None:
            return "suspended"
        if obj.expires_at is None or obj.expires_at > now + SOON:
            return "active"
        return "expires soon" if obj.expires_at > now else "expired"

    @display(description="Scopes")
    def scope_text(self, obj: ApiKey) -> str:
        """Return what the key may do."""
        return ", ".join(obj.scopes)

    @display(description="Bound to")
    def bound_to(self, obj: ApiKey) -> str:
        """Return the entity the key acts for."""
        return f"{obj.entity_type}:{obj.entity_id}" if obj.entity_type else "–"
