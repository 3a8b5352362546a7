"""Exclusions, budget policies, freezes and days in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
    period_filter,
)
from core.approvals import request_approval
from slas.admin.objective_forms import ExclusionForm, LiftForm, MoveForm, StepFormSet
from slas.admin.saving import LabelledInline, SavesByService
from slas.admin.sections import OBJECTIVES
from slas.admin.words import CHIPS, percent
from slas.models import BudgetPolicy, BudgetPolicyStep, Exclusion, PolicyStepFiring, SloSnapshot
from slas.services import exclusions, policies
from slas.services.exclusions import ExclusionTerms

STATES = {"in force": "success", "waits for approval": "warning", "withdrawn": "info"}


@admin.register(Exclusion)
class ExclusionAdmin(SavesByService[Exclusion]):
    """Spans that do not count: made here, approved by a second person where they have begun already."""

    form = ExclusionForm
    list_display = ("reason", "scope", "starts_at", "ends_at", "category", "approved_by", "state")
    list_select_related = ("service", "sli__service")
    list_filter = (
        ("category", ChoicesDropdownFilter),
        ("service", AutocompleteSelectFilter),
        period_filter("starts_at"),
    )
    search_fields = ("reason", "service__name", "service__slug")
    ordering = ("-starts_at", "-id")
    autocomplete_fields = ("service", "sli")
    actions_detail = ("move", "take_back")
    menu_icon = "event_busy"
    menu_section = OBJECTIVES
    menu_order = 40
    empty_state = EmptyState(
        "No excluded time",
        "Announce maintenance before it begins, and it does not count; afterwards a second person has to approve. What"
        " was measured stays visible next to what counts.",
        icon="event_busy",
        step="Exclude a span",
        link=lambda: reverse("admin:slas_exclusion_add"),
    )
    fieldsets = (
        (None, {"fields": (("starts_at", "ends_at"), "reason", ("category", "applies_to"), "announced_at")}),
        ("What it is taken out of", {"fields": ("service", "sli")}),
        ("Again", {"fields": ("recurrence", "time_zone")}),
    )

    @display(description="State", label=STATES)
    def state(self, obj: Exclusion) -> str:
        """Return whether it counts just now."""
        if obj.withdrawn_at:
            return "withdrawn"
        return "in force" if obj.approved_by else "waits for approval"

    @display(description="Of what")
    def scope(self, obj: Exclusion) -> str:
        """Return what it is taken out of."""
        return str(obj.sli or obj.service or "everything")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return [name for _, options in self.get_fieldsets(request) for name in _flat(options["fields"])] if obj else ()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        facts = ("Decision", {"fields": ("created_by", "approved_by", "withdrawn_at", "estimated")})
        return (*self.fieldsets, facts) if obj else self.fieldsets

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.withdrawn_at is None)

    def save_model(self, request: HttpRequest, obj: Exclusion, form: Any, change: bool) -> None:
        """Make the exclusion through its service function; a change goes through the actions."""
        if change:
            return
        given = form.cleaned_data
        terms = ExclusionTerms(
            given["starts_at"], given["ends_at"], given["category"], given["reason"], given["service"], given["sli"],
            given["recurrence"], given["time_zone"], given["applies_to"], given["announced_at"],
        )  # fmt: skip
        made = exclusions.exclude(terms, now=timezone.now())
        obj.pk, obj._state.adding = made.pk, False
        if not made.approved_by:
            self.message_user(request, "It has begun already and waits for somebody else's approval.", messages.WARNING)

    @action(
        description="Move",
        permissions=["change"],
        icon="edit_calendar",
        url_path="move",
        dialog=Dialog(
            "Move the exclusion",
            "What it has taken out is counted anew. Where the past is touched, a new one takes its place and waits for"
            " a second person.",
            MoveForm,
            "Move",
        ),
    )
    def move(self, request: HttpRequest, form: MoveForm, object_id: str) -> None:
        """Give the exclusion another span."""
        given = form.cleaned_data
        moved = exclusions.change(
            self.key(object_id), starts_at=given["starts_at"], ends_at=given["ends_at"], reason=given["reason"],
            now=timezone.now(),
        )  # fmt: skip
        note = "Moved." if moved.approved_by else "The new span waits for somebody else's approval."
        self.message_user(request, note, messages.SUCCESS if moved.approved_by else messages.WARNING)

    @action(
        description="Withdraw",
        permissions=["change"],
        icon="undo",
        variant="danger",
        url_path="withdraw",
        dialog=Dialog(
            "Withdraw the exclusion", "Everything it has taken out counts again, except in frozen days.", ReasonForm,
            "Withdraw",
        ),
    )  # fmt: skip
    def take_back(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Let what was excluded count again."""
        exclusions.withdraw(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "Withdrawn; everything counts again.", messages.SUCCESS)


class StepInline(LabelledInline[BudgetPolicyStep, BudgetPolicy]):
    """The steps of a policy."""

    model = BudgetPolicyStep
    formset = StepFormSet
    fields = ("consumed_from", "action", "message")
    extra = 1


@admin.register(BudgetPolicy)
class BudgetPolicyAdmin(SavesByService[BudgetPolicy]):
    """What happens as error budgets are used up."""

    list_display = ("name", "slug", "description")
    search_fields = ("name", "slug")
    ordering = ("name", "id")
    fields = (("slug", "name"), "description")
    inlines = (StepInline,)
    menu_icon = "rule"
    menu_section = OBJECTIVES
    menu_order = 50
    empty_state = EmptyState(
        "No error budget policies yet",
        "A policy says what follows when half, most or all of an error budget is used: people are told, changes need an"
        " approval or are frozen, an incident is opened.",
        icon="rule",
        step="Add a policy",
        link=lambda: reverse("admin:slas_budgetpolicy_add"),
        snippet='curl "{url}/api/v1/slas/freezes?service=my-agent" -H "Authorization: Bearer $AGENT_FACTORY_KEY"',
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("slug",) if obj else ()

    def save_model(self, request: HttpRequest, obj: BudgetPolicy, form: Any, change: bool) -> None:
        """Leave the writing to save_related, which knows the steps too."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Make or change the policy with its steps through its service function."""
        steps = formsets[0].steps()
        stored = BudgetPolicy.objects.get(pk=form.instance.pk) if change else None
        saved = policies.save_policy(stored, form.cleaned_data, steps, now=timezone.now())
        form.instance.pk, form.instance._state.adding = saved.pk, False
        for formset in formsets:
            formset.save()


@admin.register(PolicyStepFiring)
class PolicyStepFiringAdmin(ReadOnlyModelAdmin[PolicyStepFiring]):
    """Every time a step of a policy took effect; a freeze can be lifted for a while by a second person."""

    list_display = ("slo", "action", "used", "started_at", "ended_at", "lifted_until", "lifted_by")
    list_select_related = ("slo__service",)
    list_filter = (("action", ChoicesDropdownFilter), period_filter("started_at"))
    search_fields = ("slo__name", "slo__service__name")
    ordering = ("-started_at", "-id")
    actions_detail = ("ask_to_lift",)
    menu_icon = "ac_unit"
    menu_section = OBJECTIVES
    menu_order = 60
    empty_state = EmptyState(
        "No policy has taken effect yet",
        "When an error budget is used up as far as a policy says, what followed is listed here.",
        icon="ac_unit",
    )

    @display(description="Budget used", ordering="consumed")
    def used(self, obj: PolicyStepFiring) -> str:
        """Return the used share of the budget when it took effect."""
        return percent(obj.consumed)

    def has_lift_permission(self, request: HttpRequest, obj: PolicyStepFiring | None = None) -> bool:
        """Say whether this is a freeze in force that may be asked to be lifted."""
        return obj is None or (obj.ended_at is None and obj.action in policies.HOLDING)

    @action(
        description="Ask to lift it",
        permissions=["view", "lift"],
        icon="lock_open",
        url_path="lift",
        dialog=Dialog(
            "Let changes through for a while",
            "A second person decides; the error budget stays as it is.",
            LiftForm,
            "Ask",
        ),
    )
    def ask_to_lift(self, request: HttpRequest, form: LiftForm, object_id: str) -> None:
        """Ask a second person to lift the freeze."""
        given = form.cleaned_data
        arguments = {"freeze": object_id, "hours": given["hours"]}
        request_approval(policies.LIFT, arguments, reason=given["reason"], now=timezone.now())
        self.message_user(request, "Asked; somebody else decides.", messages.SUCCESS)


@admin.register(SloSnapshot)
class SloSnapshotAdmin(LargeTableAdmin[SloSnapshot], ReadOnlyModelAdmin[SloSnapshot]):
    """Objectives day by day."""

    list_display = ("slo", "day", "good_share", "left", "state_label", "revision", "frozen_at")
    list_select_related = ("slo__service",)
    list_filter = (("slo", AutocompleteSelectFilter),)
    ordering = ("-id",)
    menu_icon = "calendar_month"
    menu_section = OBJECTIVES
    menu_order = 70
    empty_state = EmptyState(
        "No days yet",
        "Each day of an objective is written when it is over, follows late events, and is frozen when none can come.",
        icon="calendar_month",
    )

    @display(description="Good")
    def good_share(self, obj: SloSnapshot) -> str:
        """Return the share of the day that was good."""
        return percent(obj.sli, 4)

    @display(description="Budget left")
    def left(self, obj: SloSnapshot) -> str:
        """Return what was left of the error budget when the day ended."""
        return "–" if obj.consumed is None else percent(1 - obj.consumed)

    @display(description="State", label=CHIPS)
    def state_label(self, obj: SloSnapshot) -> str:
        """Return the state as a coloured word."""
        return obj.state


def _flat(fields: Any) -> list[str]:
    return [name for item in fields for name in (item if isinstance(item, tuple) else (item,))]
