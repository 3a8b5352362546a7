"""Automation in the admin: rules with the arguments of their action, and what came of each run."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.admin.saving import SavesByService
from alerts.admin.sections import THREATS
from alerts.matching import as_text, stored_matchers
from alerts.models import AutomationRule, AutomationRun
from alerts.services import automation, guard_rules
from core.adminkit import (
    Dialog,
    EmptyState,
    ReadOnlyModelAdmin,
    Select,
    Textarea,
    TextInput,
    action,
    display,
    period_filter,
)
from core.errors import Refusal
from core.ports.automation import Argument, AutomationAction, automation_actions

OUTCOMES = {
    "pending": "primary", "waiting": "warning", "dry_run": "info", "done": "success", "refused": "danger",
    "failed": "danger", "limited": "warning",
}  # fmt: skip
TRY = Dialog("Try this rule", "Says what it would do about the alerts that fire now; nothing is done.", submit="Try it")
SHOWN = 5


def field_name(act: AutomationAction, argument: Argument) -> str:
    """Return the name of the form field for one argument of one action."""
    return f"{act.name.replace('.', '_')}__{argument.name}"


class AutomationRuleForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A rule with a field for each argument of each action; those of the chosen action are shown."""

    matchers = forms.CharField(
        widget=Textarea(attrs={"rows": 2}),
        help_text='Which alerts it answers, as in Alertmanager: alertname="key-spend-jump", severity=~"high|critical".',
    )
    action = forms.ChoiceField(widget=Select())

    class Meta:
        model = AutomationRule
        fields = ("name", "matchers", "action", "dry_run", "needs_approval", "enabled", "runs_per_hour")
        help_texts = {
            "dry_run": "Only says what it would do. Alerts met in a dry run are not answered afterwards.",
            "needs_approval": "Somebody else lets each run happen.",
            "runs_per_hour": "What goes beyond is written down and not done.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        acts = sorted(automation_actions, key=lambda item: item.title)
        field: Any = self.fields["action"]
        field.choices = [(item.name, f"{item.title} – {item.description}") for item in acts]
        if self.instance.pk:
            self.initial["matchers"] = as_text(stored_matchers(self.instance.matchers))
        for item in acts:
            for argument in item.arguments:
                given = self.instance.arguments.get(argument.name) if self.instance.action == item.name else None
                self.fields[field_name(item, argument)] = _field(argument, given)

    def clean(self) -> dict[str, Any]:
        """Ask the service what is wrong, and say it at the fields."""
        values = super().clean() or self.cleaned_data
        if self.errors:
            return values
        try:
            values = {**values, **guard_rules.check_automation(self.values(), self.person)}
        except Refusal as refusal:
            for error in refusal.errors:
                self.add_error(self._place(error.pointer), ValidationError(error.detail))
            if not refusal.errors:
                self.add_error(None, ValidationError(refusal.detail))
        return values

    # Set by the admin for each request.
    person: Any = None

    def values(self) -> dict[str, Any]:
        """Return what was filled in, in the service's words."""
        given = self.cleaned_data
        act = automation_actions.get(given["action"])
        own = {name: given[name] for name in guard_rules.AUTOMATION if name != "arguments"}
        arguments = {argument.name: given.get(field_name(act, argument), "") for argument in act.arguments}
        return {**own, "arguments": arguments}

    def _place(self, pointer: str) -> str | None:
        parts = pointer.strip("/").split("/")
        if parts[0] == "arguments" and len(parts) > 1:
            act = automation_actions.get(self.cleaned_data["action"])
            return next((field_name(act, item) for item in act.arguments if item.name == parts[1]), None)
        return parts[0] if parts[0] in self.fields else None


def _field(argument: Argument, given: Any) -> forms.Field:
    note = argument.help or ("" if argument.required else "May be left empty.")
    return forms.CharField(
        label=argument.title,
        help_text=note,
        required=False,
        initial=given if given is not None else argument.default,
        widget=TextInput(),
    )


@admin.register(AutomationRule)
class AutomationRuleAdmin(SavesByService[AutomationRule]):
    """What the platform does by itself when an alert fires; made as a dry run first."""

    form = AutomationRuleForm
    list_display = ("name", "action_title", "mode", "enabled", "runs_per_hour", "created_by", "created_at")
    list_filter = ("enabled", "dry_run")
    search_fields = ("name", "action")
    ordering = ("name", "id")
    actions_detail = ("try_out",)
    menu_section = THREATS
    menu_icon = "smart_toy"
    menu_order = 64
    empty_state = EmptyState(
        "No automation yet",
        "A rule answers alerts by itself: it suspends a key, tightens a budget, starts a job or calls a webhook.",
        icon="smart_toy",
        step="Make the first rule, as a dry run",
        link=lambda: reverse("admin:alerts_automationrule_add"),
    )

    @property
    def conditional_fields(self) -> dict[str, str]:
        """Show the arguments of the chosen action only."""
        return {
            field_name(act, argument): f"action == '{act.name}'"
            for act in automation_actions
            for argument in act.arguments
        }

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Return the form, which asks the service in this person's name."""
        made = super().get_form(request, obj, change, **{**kwargs, "fields": AutomationRuleForm.Meta.fields})
        return type("PersonalForm", (made,), {"person": request.user})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the fields, those of every action's arguments included."""
        arguments = [field_name(act, item) for act in automation_actions for item in act.arguments]
        return (
            (None, {"fields": ("name", "matchers")}),
            ("What it does", {"fields": ("action", *arguments)}),
            ("How far it goes", {"fields": ("enabled", "dry_run", "needs_approval", "runs_per_hour")}),
        )

    def has_try_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may see what the rule would do."""
        return self.has_view_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: AutomationRule, form: Any, change: bool) -> None:
        """Make or change the rule through its service."""
        stored = AutomationRule.objects.get(pk=obj.pk) if change else None
        saved = guard_rules.save_automation(stored, form.values(), now=timezone.now())
        obj.pk, obj._state.adding = saved.pk, False

    def delete_model(self, request: HttpRequest, obj: AutomationRule) -> None:
        """Delete the rule and its runs; the audit log keeps them."""
        guard_rules.delete_rule(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AutomationRule]) -> None:
        """Delete the selected rules."""
        for rule in queryset.order_by("pk"):
            guard_rules.delete_rule(rule, now=timezone.now())

    @action(description="Try it", permissions=["try"], dialog=TRY, icon="science", url_path="try")
    def try_out(self, request: HttpRequest, form: Any, object_id: str) -> None:
        """Say what the rule would do about the alerts that fire now."""
        rule = AutomationRule.objects.get(pk=object_id)
        alerts = automation.met_by(rule)
        if not alerts:
            self.message_user(request, "No alert that fires now matches: it would do nothing.")
            return
        now = timezone.now()
        said = "; ".join(f"{alert.name}: {automation.try_out(rule, alert, now=now)}" for alert in alerts[:SHOWN])
        more = f" and {len(alerts) - SHOWN} more" if len(alerts) > SHOWN else ""
        self.message_user(request, f"{len(alerts)} firing alert(s) match. {said}{more}.")

    @display(description="Does")
    def action_title(self, obj: AutomationRule) -> str:
        """Return what it does, in words."""
        return automation_actions.get(obj.action).title if obj.action in automation_actions else obj.action

    @display(description="Mode", label={"acts": "danger", "asks": "warning", "dry run": "info"})
    def mode(self, obj: AutomationRule) -> str:
        """Return how far it goes."""
        if obj.dry_run:
            return "dry run"
        return "asks" if obj.needs_approval else "acts"


@admin.register(AutomationRun)
class AutomationRunAdmin(ReadOnlyModelAdmin[AutomationRun]):
    """Each time that a rule met an alert, with what came of it."""

    list_display = ("at", "rule", "alert", "outcome_label", "detail", "finished_at")
    list_filter = ("outcome", period_filter("at"))
    list_select_related = ("rule", "alert")
    search_fields = ("rule__name", "alert__name", "detail")
    ordering = ("-at", "-id")
    fields = (
        "rule", "alert", "outcome_label", "detail", "arguments", "attempt", "decision", "at", "due_at", "finished_at",
    )  # fmt: skip
    readonly_fields = ("outcome_label", "decision")
    export_exclude = ("lease_token", "lease_until")
    menu_section = THREATS
    menu_icon = "play_circle"
    menu_order = 65
    empty_state = EmptyState(
        "Nothing was done by itself yet", "Each time that an automation rule meets an alert is listed here.",
        icon="play_circle",
    )  # fmt: skip

    @display(description="Outcome", ordering="outcome", label=OUTCOMES)
    def outcome_label(self, obj: AutomationRun) -> str:
        """Return the outcome as a coloured word."""
        return obj.outcome

    @display(description="Approval")
    def decision(self, obj: AutomationRun) -> SafeString | str:
        """Return the way to the approval that it waits or waited for."""
        if obj.approval is None:
            return "–"
        address = reverse("admin:core_approval_change", args=[obj.approval])
        return format_html('<a class="af-link" href="{}">Look at it</a>', address)
