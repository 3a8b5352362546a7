"""Services, indicators and objectives in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core.adminkit import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    Dialog,
    EmptyState,
    ReasonForm,
    action,
    display,
)
from core.templatetags.components import progress_bar
from slas.admin.objective_forms import (
    KIND_FIELDS,
    KIND_HELP,
    ServiceForm,
    SliForm,
    SloForm,
    TemplatesForm,
    ThresholdForm,
)
from slas.admin.saving import SavesByService
from slas.admin.sections import OBJECTIVES
from slas.admin.slo_page import sli_page, slo_page
from slas.admin.words import CHIPS, percent, window_text
from slas.choices import SliKind
from slas.models import Service, Sli, Slo
from slas.services import objectives
from slas.services.templates import instantiate

COMMON = ("service", ("slug", "name"), "description")
FIRST_STEPS = """curl -X POST {url}/api/v1/slas/services \\
  -H "Authorization: Bearer $AGENT_FACTORY_KEY" -H "Content-Type: application/json" \\
  -d '{"slug": "my-agent", "name": "My agent", "entity_type": "agent", "entity_id": "my-agent"}'"""


@admin.register(Service)
class ServiceAdmin(SavesByService[Service]):
    """What people and agents depend on."""

    form = ServiceForm
    list_display = ("name", "slug", "owner", "tier", "stands_for")
    list_filter = ("tier",)
    search_fields = ("name", "slug", "owner", "entity_id")
    ordering = ("name", "id")
    fields = (("slug", "name"), "description", ("owner", "tier"), ("entity_type", "entity_id"), "labels")
    actions_detail = ("add_ready_objectives",)
    prepopulated_fields = {"slug": ("name",)}
    menu_icon = "hub"
    menu_section = OBJECTIVES
    menu_order = 30
    empty_state = EmptyState(
        "No services yet",
        "A service is what a promise is about: an agent, a workflow, an API. Objectives are set on what it does.",
        icon="hub",
        step="Add a service",
        link=lambda: reverse("admin:slas_service_add"),
        snippet=FIRST_STEPS,
    )

    @display(description="Stands for")
    def stands_for(self, obj: Service) -> str:
        """Return the entity a service stands for."""
        return f"{obj.entity_type} {obj.entity_id}".strip() or "–"

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("slug",) if obj else ()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return {} if obj else self.prepopulated_fields

    def save_model(self, request: HttpRequest, obj: Service, form: Any, change: bool) -> None:
        """Make or change the service through its service function."""
        now = timezone.now()
        if change:
            objectives.change_service(obj.pk, form.cleaned_data, now=now)
            return
        made = objectives.create_service(form.cleaned_data, now=now)
        obj.pk, obj._state.adding = made.pk, False

    @action(
        description="Add ready objectives",
        permissions=["change", "slas.add_slo"],
        icon="auto_awesome",
        variant="primary",
        url_path="templates",
        dialog=Dialog(
            "Ready objectives for an AI agent",
            "Each makes an indicator and an objective over 30 days; targets can be changed afterwards.",
            TemplatesForm,
            "Make them",
        ),
    )
    def add_ready_objectives(self, request: HttpRequest, form: TemplatesForm, object_id: str) -> None:
        """Make the objectives of the chosen templates."""
        service = Service.objects.get(pk=self.key(object_id))
        made = instantiate(service, form.cleaned_data["templates"], now=timezone.now())
        self.message_user(request, f"{len(made)} objective(s) made; send events to their indicators.", messages.SUCCESS)


@admin.register(Sli)
class SliAdmin(SavesByService[Sli]):
    """What is measured, with its live value."""

    form = SliForm
    list_display = ("name", "service", "kind", "source", "good_when", "late_dropped")
    list_select_related = ("service",)
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("source", ChoicesDropdownFilter),
        ("service", AutocompleteSelectFilter),
    )
    search_fields = ("name", "slug", "service__name", "service__slug")
    ordering = ("service__name", "name", "id")
    autocomplete_fields = ("service",)
    actions_detail = ("judge_the_past",)
    change_form_before_template = "admin/slas/sli_page.html"
    menu_icon = "speed"
    menu_section = OBJECTIVES
    menu_order = 20
    empty_state = EmptyState(
        "No indicators yet",
        "An indicator says which events are good. Seven ready ones for AI agents can be added from a service's page.",
        icon="speed",
        step="Add an indicator",
        link=lambda: reverse("admin:slas_sli_add"),
    )

    @display(description="Good when", ordering="threshold")
    def good_when(self, obj: Sli) -> str:
        """Return the threshold in words."""
        if obj.threshold is None:
            return "each event says so"
        words = {"lte": "at most", "lt": "less than", "gte": "at least", "gt": "more than"}[obj.operator]
        return f"{words} {obj.threshold.normalize():f} {obj.unit}".strip()

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        kind = obj.kind if obj else self._asked_kind(request)
        measured = [*KIND_FIELDS[kind]]
        about = f"{SliKind(kind).label.capitalize()}. {KIND_HELP[kind]}"
        return (
            (None, {"fields": COMMON}),
            ("How it is measured", {"fields": ("kind", "source", *measured), "description": about}),
            ("Where events come from", {"fields": ("config", "lateness_seconds")}),
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("service", "slug", "kind", "source", *(("slice_seconds",) if obj.slice_seconds else ())) if obj else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> Any:
        return {"kind": self._asked_kind(request), **super().get_changeform_initial_data(request)}

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **kwargs: Any) -> Any:  # type: ignore[override]  # by name
        """Offer the kinds where an indicator is added: the form asks what the kind needs."""
        if not context.get("original") and kwargs.get("add"):
            context = {**context, "sli_kinds": [(kind.value, kind.label) for kind in SliKind],
                       "sli_kind": self._asked_kind(request)}  # fmt: skip
        return super().render_change_form(request, context, **kwargs)

    def details(self, obj: Sli) -> dict[str, Any]:
        """Return the live value, for what is above the form."""
        return sli_page(obj, timezone.now())

    def save_model(self, request: HttpRequest, obj: Sli, form: Any, change: bool) -> None:
        """Make or change the indicator through its service function."""
        now = timezone.now()
        if change:
            objectives.change_sli(obj.pk, form.cleaned_data, now=now)
            return
        made = objectives.create_sli(form.cleaned_data["service"], form.cleaned_data, now=now)
        obj.pk, obj._state.adding = made.pk, False

    def has_judge_permission(self, request: HttpRequest, obj: Sli | None = None) -> bool:
        """Say whether this indicator keeps what another threshold can be asked of."""
        return self.has_change_permission(request, obj) and (obj is None or obj.kind == SliKind.LATENCY)

    @action(
        description="Judge the past by another threshold",
        permissions=["judge"],
        icon="history",
        url_path="threshold",
        dialog=Dialog(
            "Judge the past by another threshold",
            "Everything kept is judged anew from its histograms; days that are frozen keep their figures.",
            ThresholdForm,
            "Judge anew",
        ),
    )
    def judge_the_past(self, request: HttpRequest, form: ThresholdForm, object_id: str) -> None:
        """Change the threshold, for the past too."""
        given = form.cleaned_data
        objectives.change_sli(
            self.key(object_id), {"threshold": given["threshold"]}, now=timezone.now(), retroactive=True,
            reason=given["reason"],
        )  # fmt: skip
        self.message_user(request, "Everything kept is judged by the new threshold.", messages.SUCCESS)

    def _asked_kind(self, request: HttpRequest) -> str:
        asked = request.POST.get("kind") or request.GET.get("kind") or SliKind.RATIO
        return asked if asked in SliKind.values else SliKind.RATIO


@admin.register(Slo)
class SloAdmin(SavesByService[Slo]):
    """Objectives, with the error budget that is left of each."""

    form = SloForm
    list_display = ("name", "service", "promise", "state", "budget_left", "window_shown", "enabled")
    list_filter = (("status__state", ChoicesDropdownFilter), ("service", AutocompleteSelectFilter), "enabled")
    search_fields = ("name", "slug", "service__name", "service__slug")
    ordering = ("service__name", "name", "id")
    autocomplete_fields = ("service", "sli", "policy")
    actions_detail = ("switch_off", "switch_on")
    change_form_before_template = "admin/slas/slo_page.html"
    menu_icon = "target"
    menu_section = OBJECTIVES
    menu_order = 15
    empty_state = EmptyState(
        "No objectives yet",
        "An objective is the share of an indicator's events that has to be good. Ready ones for AI agents can be added"
        " from a service's page.",
        icon="target",
        step="Add an objective",
        link=lambda: reverse("admin:slas_slo_add"),
    )

    @display(description="Target", ordering="target")
    def promise(self, obj: Slo) -> str:
        """Return the target as a percentage."""
        return percent(obj.target, 6)

    @display(description="State", ordering="status__state", label=CHIPS)
    def state(self, obj: Slo) -> str:
        """Return the state as a coloured word."""
        status = getattr(obj, "status", None)
        return status.state if status else "no_data"

    @display(description="Budget left", ordering="status__consumed")
    def budget_left(self, obj: Slo) -> SafeString | str:
        """Return a bar of how much of the error budget is used."""
        status = getattr(obj, "status", None)
        if status is None or status.consumed is None:
            return "no data"
        bar = progress_bar(status.consumed, 1, f"{percent(1 - status.consumed)} left")
        return format_html('<div class="slas-used">{}</div>', render_to_string("components/progress.html", bar))

    @display(description="Window")
    def window_shown(self, obj: Slo) -> str:
        """Return the window in words."""
        return window_text(obj)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        reason = (("Why", {"fields": ("reason",)}),) if obj else ()
        return (
            (None, {"fields": ("service", "sli", ("slug", "name"), "description")}),
            ("What is promised", {"fields": ("target", ("window", "window_days"), ("calendar_unit", "time_zone"),
                                             "budgeting")}),
            ("What follows", {"fields": ("policy", "alerting")}),
            *reason,
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("service", "sli", "slug") if obj else ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Slo]:
        return super().get_queryset(request).select_related("service", "sli__service", "policy", "status")

    def details(self, obj: Slo) -> dict[str, Any]:
        """Return how the objective stands, for what is above its form."""
        return slo_page(obj, timezone.now())

    def save_model(self, request: HttpRequest, obj: Slo, form: Any, change: bool) -> None:
        """Make or change the objective through its service function."""
        now, given = timezone.now(), dict(form.cleaned_data)
        if "policy" in given:
            given["policy_id"] = given["policy"].pk if given["policy"] else None
        if change:
            objectives.change_slo(obj.pk, given, now=now, reason=given.get("reason", ""))
            return
        made = objectives.create_slo(given["service"], given["sli"], given, now=now)
        obj.pk, obj._state.adding = made.pk, False

    def has_switch_off_permission(self, request: HttpRequest, obj: Slo | None = None) -> bool:
        """Say whether this objective is evaluated and may be switched off."""
        return self.has_change_permission(request, obj) and (obj is None or obj.enabled)

    def has_switch_on_permission(self, request: HttpRequest, obj: Slo | None = None) -> bool:
        """Say whether this objective may be switched on."""
        return self.has_change_permission(request, obj) and (obj is None or not obj.enabled)

    @action(
        description="Switch off",
        permissions=["switch_off"],
        icon="pause",
        url_path="off",
        dialog=Dialog(
            "Switch the objective off", "It is no longer evaluated; its events and days stay.", ReasonForm, "Off"
        ),
    )
    def switch_off(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Stop the evaluation."""
        self._switch(object_id, form, enabled=False)
        self.message_user(request, "The objective is switched off.", messages.SUCCESS)

    @action(
        description="Switch on",
        permissions=["switch_on"],
        icon="play_arrow",
        url_path="on",
        dialog=Dialog("Switch the objective on", "It is evaluated every minute again.", ReasonForm, "On"),
    )
    def switch_on(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Begin the evaluation again."""
        self._switch(object_id, form, enabled=True)
        self.message_user(request, "The objective is evaluated again.", messages.SUCCESS)

    def _switch(self, object_id: str, form: ReasonForm, *, enabled: bool) -> None:
        reason = form.cleaned_data["reason"]
        objectives.set_enabled(self.key(object_id), enabled=enabled, now=timezone.now(), reason=reason)
