"""Escalation policies and contact methods in the admin."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from alerts.admin.incident_forms import people
from alerts.admin.saving import SavesByService
from alerts.admin.sections import INCIDENTS
from alerts.models import ContactMethod, EscalationPolicy, EscalationStep
from alerts.services import policies
from alerts.services.policies import MethodTerms, PolicyTerms, StepTerms
from core.adminkit import EmptyState, TabularInline, display
from core.errors import Invalid

MANAGE_OTHERS = "alerts.manage_contacts"


class StepForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """One step: exactly one of person, schedule and channel."""

    class Meta:
        model = EscalationStep
        fields = ("position", "user", "schedule", "channel", "wait_minutes")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "user" in self.fields:
            self.fields["user"].queryset = people()  # type: ignore[attr-defined]  # a choice of rows

    def clean(self) -> dict[str, Any]:
        """Refuse a step that tells nobody, or two."""
        cleaned = super().clean() or self.cleaned_data
        if sum(bool(cleaned.get(name)) for name in ("user", "schedule", "channel")) != 1:
            raise forms.ValidationError("Choose one: a person, a schedule or a channel.")
        return cleaned

    def validate_constraints(self) -> None:
        """Leave the target to the service, which takes it from what was chosen."""


class StepFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # generic only in the stubs
    """The steps of a policy; they are written by the service, all at once."""

    def terms(self) -> list[StepTerms]:
        """Return the steps in the order of their positions."""
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        return [
            StepTerms(step["user"] or step["schedule"] or step["channel"], step["wait_minutes"])
            for step in sorted(kept, key=lambda step: step["position"])
        ]


class StepInline(TabularInline[EscalationStep, EscalationPolicy]):
    """The steps of a policy."""

    model = EscalationStep
    form = StepForm
    formset = StepFormSet
    fields = ("position", "user", "schedule", "channel", "wait_minutes")
    ordering = ("position",)
    min_num = 1
    validate_min = True


class PolicyForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A policy; the default one takes over from another."""

    class Meta:
        model = EscalationPolicy
        fields = ("name", "repeats", "is_default")

    def validate_constraints(self) -> None:
        """Leave the one default to the service, which takes it from the policy that had it."""


@admin.register(EscalationPolicy)
class EscalationPolicyAdmin(SavesByService[EscalationPolicy]):
    """Whom to tell, in which order, until somebody acknowledges."""

    form = PolicyForm
    inlines = (StepInline,)
    list_display = ("name", "first_step", "step_count", "repeats", "is_default")
    search_fields = ("name",)
    ordering = ("name", "pk")
    fields = ("name", ("repeats", "is_default"))
    export_fields = ("id", "name", "repeats", "is_default")
    menu_section = INCIDENTS
    menu_icon = "stairs"
    menu_order = 40
    empty_state = EmptyState(
        "No escalation policy",
        "A policy says whom to tell of an incident, in which order and how long to wait, until somebody acknowledges.",
        icon="stairs",
        step="Add a policy",
        link=lambda: reverse("admin:alerts_escalationpolicy_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[EscalationPolicy]:
        return super().get_queryset(request).prefetch_related("steps__user", "steps__schedule", "steps__channel")

    @display(description="First tells")
    def first_step(self, policy: EscalationPolicy) -> str:
        steps = list(policy.steps.all())
        return str(steps[0].user or steps[0].schedule or steps[0].channel) if steps else "nobody: add a step"

    @display(description="Steps")
    def step_count(self, policy: EscalationPolicy) -> str:
        return str(len(policy.steps.all()))

    def save_model(self, request: HttpRequest, obj: EscalationPolicy, form: Any, change: bool) -> None:
        """Wait for the steps: the service writes both."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Write the policy with its steps through its service."""
        steps = [step for formset in formsets for step in formset.terms()]
        terms = PolicyTerms(steps=steps, **{name: form.cleaned_data[name] for name in PolicyForm.Meta.fields})
        policy, now = form.instance, timezone.now()
        if change:
            policies.change_policy(policy.pk, terms, now=now)
        else:
            policy.pk = policies.create_policy(terms, now=now).pk
        for formset in formsets:
            formset.new_objects, formset.changed_objects, formset.deleted_objects = [], [], []

    def delete_model(self, request: HttpRequest, obj: EscalationPolicy) -> None:
        """Delete it through its service."""
        policies.delete_policy(obj.pk, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[EscalationPolicy]) -> None:
        """Delete them through their service, all or none."""
        with transaction.atomic():
            for policy in queryset:
                policies.delete_policy(policy.pk, now=timezone.now())


class MethodForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A way to reach a person."""

    class Meta:
        model = ContactMethod
        fields = ("user", "kind", "address", "delay_minutes", "least_severity", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "user" in self.fields:
            self.fields["user"].queryset = people()  # type: ignore[attr-defined]  # a choice of rows
        helps = {
            "address": "An e-mail address, or for a webhook its https:// address.",
            "delay_minutes": "Minutes after being paged; withdrawn when somebody acknowledges earlier.",
            "least_severity": "Used for incidents of this severity and above.",
        }
        for name in helps.keys() & self.fields.keys():
            self.fields[name].help_text = helps[name]

    def clean(self) -> dict[str, Any]:
        """Ask the service what is wrong, and say it at the fields."""
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                policies.check_method(self.terms())
            except Invalid as error:
                for mistake in error.errors:
                    self.add_error(mistake.pointer.strip("/"), mistake.detail)
        return cleaned

    def terms(self) -> MethodTerms:
        """Return what was typed."""
        names = ("kind", "address", "delay_minutes", "least_severity", "enabled")
        return MethodTerms(**{name: self.cleaned_data[name] for name in names})


@admin.register(ContactMethod)
class ContactMethodAdmin(SavesByService[ContactMethod]):
    """By what people are paged: one's own, and everybody's for who looks after them."""

    form = MethodForm
    list_display = ("user", "kind", "address", "delay_minutes", "least_severity", "enabled")
    list_select_related = ("user",)
    list_filter = ("kind", "enabled")
    search_fields = ("user__username", "address")
    ordering = ("user", "delay_minutes", "pk")
    export_fields = ("user__username", "kind", "address", "delay_minutes", "least_severity", "enabled")
    menu_section = INCIDENTS
    menu_icon = "contact_phone"
    menu_order = 50
    empty_state = EmptyState(
        "You are reached by e-mail",
        "Without a contact method, pages go to the e-mail address of your account. Add one to choose how and when.",
        icon="contact_phone",
        step="Add a contact method",
        link=lambda: reverse("admin:alerts_contactmethod_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ContactMethod]:
        rows = super().get_queryset(request)
        # Who may only look, such as an auditor, has none of their own and sees everybody's.
        if manages(request) or not self.has_change_permission(request):
            return rows
        return rows.filter(user__pk=request.user.pk or 0)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        own = ("kind", "address", ("delay_minutes", "least_severity"), "enabled")
        return ("user", *own) if obj is None and manages(request) else own

    def save_model(self, request: HttpRequest, obj: ContactMethod, form: Any, change: bool) -> None:
        """Save it through its service; without the right for others it is one's own."""
        user: Any = obj.user if change else form.cleaned_data.get("user", request.user)
        method = ContactMethod.objects.get(pk=obj.pk) if change else None
        saved = policies.save_method(user, form.terms(), method=method, now=timezone.now())
        obj.pk, obj.user, obj._state.adding = saved.pk, saved.user, False

    def delete_model(self, request: HttpRequest, obj: ContactMethod) -> None:
        """Delete it through its service."""
        policies.delete_method(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[ContactMethod]) -> None:
        """Delete them through their service, all or none."""
        with transaction.atomic():
            for method in queryset.select_related("user"):
                policies.delete_method(method, now=timezone.now())


def manages(request: HttpRequest) -> bool:
    """Say whether this person looks after other people's contact methods."""
    return request.user.has_perm(MANAGE_OTHERS)
