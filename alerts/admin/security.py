"""Security events, looked at, and the rules that look for threats in them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.admin.sections import THREATS
from alerts.detection_terms import stored, terms_of
from alerts.models import DetectionRule, SecurityEvent
from alerts.services import detection, event_sources
from core.adminkit import (
    AuditedModelAdmin,
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyModelAdmin,
    Textarea,
    action,
    display,
    period_filter,
    word_filter,
)
from core.errors import Invalid
from core.security import actor_link

SEVERITIES = {"critical": "danger", "high": "danger", "medium": "warning", "low": "info", "info": "info"}
TRIED_HOURS = 24
TRY = Dialog(
    "Try this rule", "Looks at the events of the last 24 hours and says what it would have found; no alert is made."
)


@admin.register(SecurityEvent)
class SecurityEventAdmin(LargeTableAdmin[SecurityEvent], ReadOnlyModelAdmin[SecurityEvent]):
    """What happened around sign-ins, keys, grants and exports. Search takes an actor's id, a key or an address."""

    list_display = ("at", "kind", "outcome_label", "name", "key", "address", "count", "channel")
    list_filter = (
        word_filter("kind", "login", "api_key.used", "api_key.refused", "rights.granted", "data.exported"),
        word_filter("outcome", "success", "failure"),
        period_filter("at"),
    )
    search_fields = ("actor_id__exact", "api_key__exact", "address__exact")
    search_help_text = "Exact actor id, key prefix or address"
    list_display_links = ("at",)
    fields = (
        "at", "kind", "outcome_label", "who", "key", "from_where", "network", "user_agent", "channel", "count",
        "request_id", "facts",
    )  # fmt: skip
    readonly_fields = ("outcome_label", "who", "key", "from_where", "facts")
    menu_section = THREATS
    menu_icon = "shield_person"
    menu_order = 60
    empty_state = EmptyState(
        "No security events yet",
        "Sign-ins, failed ones, uses of API keys, new rights and exports appear here as they happen.",
        icon="shield_person",
    )

    @display(description="Outcome", label={"success": "success", "failure": "danger"})
    def outcome_label(self, obj: SecurityEvent) -> str:
        """Return the outcome as a coloured word."""
        return obj.outcome

    @display(description="Who")
    def name(self, obj: SecurityEvent) -> str:
        """Return the actor's name."""
        return obj.actor_label or obj.actor_kind

    @display(description="API key")
    def key(self, obj: SecurityEvent) -> str:
        """Return the prefix of the key it is about."""
        return obj.api_key or "–"

    @display(description="Who")
    def who(self, obj: SecurityEvent) -> SafeString | str:
        """Return the actor, with the way to everything else they did."""
        name = obj.actor_label or obj.actor_kind
        kind, value = ("api_key", obj.api_key) if obj.api_key else ("user", obj.actor_id)
        link, _ = actor_link(kind, value)
        return format_html('{} · <a class="af-link" href="{}">Everything they did</a>', name, link) if link else name

    @display(description="Address")
    def from_where(self, obj: SecurityEvent) -> SafeString | str:
        """Return the address, with the way to everything else that came from it."""
        if not obj.address:
            return "–"
        link, _ = actor_link("address", obj.address)
        return format_html('{} · <a class="af-link" href="{}">Everything from there</a>', obj.address, link)

    @display(description="Facts")
    def facts(self, obj: SecurityEvent) -> SafeString:
        """Return the rest of what is known."""
        return format_html('<pre class="af-values">{}</pre>', json.dumps(obj.data, indent=2, ensure_ascii=False))


class ReadableJson(forms.JSONField):
    """JSON on several lines."""

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


class DetectionRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A rule, its parameters checked as the detection reads them."""

    parameters = ReadableJson(
        widget=Textarea(attrs={"rows": 16}),
        help_text="source (security, audit), steps (kinds, where, at_least), group_by, window_seconds, threshold,"
        " field, factor, least_hours, keep_seconds.",
    )

    class Meta:
        model = DetectionRule
        fields = ("name", "slug", "description", "kind", "parameters", "severity", "enabled")
        help_texts = {
            "kind": "The first four are Sigma's; new_value and baseline learn what is usual.",
        }
        widgets = {"description": Textarea(attrs={"rows": 2})}

    def clean(self) -> dict[str, Any]:
        """Refuse parameters that make no sense, at the field."""
        values = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                terms_of(values["kind"], values["parameters"])
                values["parameters"] = stored(values["parameters"])
            except Invalid as refusal:
                self.add_error("parameters", ValidationError(refusal.detail))
        return values


@admin.register(DetectionRule)
class DetectionRuleAdmin(AuditedModelAdmin[DetectionRule]):
    """What counts as a threat. The built-in rules are changed or switched off here and never come back as they were."""

    form = DetectionRuleForm
    list_display = ("name", "kind", "severity_label", "enabled", "is_default", "evaluated_at", "state")
    list_filter = ("enabled", "kind", "severity")
    search_fields = ("name", "slug", "description")
    ordering = ("name", "id")
    prepopulated_fields = {"slug": ("name",)}
    actions_detail = ("try_out",)
    export_exclude = ("memory",)
    audit_hidden = ("memory", "revision", "evaluated_at")
    readonly_fields = ("evaluated_at", "last_error")
    fieldsets = (
        (None, {"fields": ("name", "slug", "description", "severity", "enabled")}),
        ("What it looks for", {"fields": ("kind", "parameters")}),
        ("How it goes", {"fields": ("evaluated_at", "last_error")}),
    )
    menu_section = THREATS
    menu_icon = "radar"
    menu_order = 61

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Built-in rules are switched off, not deleted: they would come back with the next version."""
        return super().has_delete_permission(request, obj) and (obj is None or not obj.is_default)

    def has_try_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may see what the rule finds."""
        return self.has_view_permission(request, obj) and request.user.has_perm("alerts.view_securityevent")

    @action(description="Try it", permissions=["try"], dialog=TRY, icon="science", url_path="try")
    def try_out(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Say what the rule would have found in the last day."""
        rule = DetectionRule.objects.get(pk=object_id)
        terms, now = terms_of(rule.kind, rule.parameters), timezone.now()
        begin = now - timedelta(hours=TRIED_HOURS)
        events = event_sources.between(terms.source, terms.correlation.kinds, begin, now)
        found = detection.preview(terms, events)
        groups = "; ".join(", ".join(f"{name} {value}" for name, value in item.group) or "once" for item in found[:10])
        said = f"It would have fired for {len(found)}: {groups}." if found else "It would not have fired."
        self.message_user(request, f"{len(events):,} events in {TRIED_HOURS} hours. {said}")

    @display(description="Severity", ordering="severity", label=SEVERITIES)
    def severity_label(self, obj: DetectionRule) -> str:
        """Return the severity as a coloured word."""
        return obj.severity

    @display(description="State", label={"works": "success", "fails": "danger", "off": "info"})
    def state(self, obj: DetectionRule) -> str:
        """Return whether the rule is looked at without an error."""
        if not obj.enabled:
            return "off"
        return "fails" if obj.last_error else "works"
