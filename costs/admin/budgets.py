"""Budgets in the admin: how each stands, why, and what can be done about it."""

from __future__ import annotations

from decimal import Decimal
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
    Dialog,
    EmptyState,
    ReasonForm,
    action,
    display,
)
from core.models import Approval
from core.templatetags.components import progress_bar
from costs.admin.budget_forms import BudgetForm, ModeForm, NewBudgetForm, RaiseForm
from costs.admin.budget_page import budget_page
from costs.admin.changelists import FigureChangeList
from costs.admin.refusals import SCRIPTS, STYLES, ServiceModelAdmin
from costs.admin.sections import BUDGETS
from costs.admin.threshold_forms import ThresholdsForm
from costs.amounts import amount
from costs.approval_ports import raise_or_ask
from costs.models import Budget
from costs.services import budgets as services
from costs.services.budgets import BudgetChange, BudgetStatus


class StateFilter(admin.SimpleListFilter):
    """Budgets in force, unless others are asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("paused", "Paused"), ("archived", "Archived"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:
        wanted = self.value()
        if wanted == "all":
            return queryset
        if wanted == "archived":
            return queryset.filter(archived_at__isnull=False)
        current = queryset.filter(archived_at__isnull=True)
        return current.filter(active=False) if wanted == "paused" else current

    def choices(self, changelist: Any) -> Any:
        in_use = {"selected": not self.value(), "query_string": changelist.get_query_string(remove=["state"])}
        yield in_use | {"display": "In use"}
        for value, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == str(value), "query_string": query, "display": title}


@admin.register(Budget)
class BudgetAdmin(ServiceModelAdmin[Budget]):
    """Limits per calendar period, with how much of each is used."""

    class Media:
        css = STYLES
        js = SCRIPTS

    list_display = ("name", "covers", "used", "left", "mode_label", "period", "state")
    list_select_related = ("entity", "owner")
    list_filter = ("mode", "period", StateFilter, ("entity", AutocompleteSelectFilter))
    search_fields = ("name", "entity__entity_id", "entity__name", "provider", "model")
    ordering = ("name", "id")
    autocomplete_fields = ("entity", "owner")
    list_per_page = 50
    actions = ("pause", "resume")
    actions_detail = ("raise_limit", "change_mode", "change_thresholds", "pause_one", "resume_one", "archive")
    change_form_before_template = "admin/costs/budget_page.html"
    export_fields = (
        "id", "name", "entity__entity_type", "entity__entity_id", "cost_type", "provider", "model", "currency",
        "period", "anchor", "time_zone", "mode", "active", "created_at", "archived_at",
    )  # fmt: skip
    menu_icon = "savings"
    menu_section = BUDGETS
    menu_order = 10
    empty_state = EmptyState(
        "No budgets yet",
        "A budget says how much an agent, a team or everything may cost per day, week, month, quarter or year.",
        icon="savings",
        step="Add a budget",
        link=lambda: reverse("admin:costs_budget_add"),
    )

    @display(description="Covers")
    def covers(self, budget: Budget) -> str:
        return scope_text(budget)

    @display(description="Used")
    def used(self, budget: Any) -> SafeString:
        status: BudgetStatus = budget.status
        label = f"{amount(status.spent)} of {amount(status.limit, budget.currency)}"
        bar = progress_bar(status.spent, status.limit, label, status.reserved)
        return format_html('<div class="costs-used">{}</div>', render_to_string("components/progress.html", bar))

    @display(description="Remaining")
    def left(self, budget: Any) -> str:
        status: BudgetStatus = budget.status
        held = f", {amount(status.reserved)} set aside" if status.reserved else ""
        return f"{amount(status.remaining, budget.currency)}{held}"

    @display(description="Mode", ordering="mode", label={"Hard": "danger", "Soft": "warning", "Monitor": "info"})
    def mode_label(self, budget: Budget) -> str:
        return budget.mode.capitalize()

    @display(description="State", label={"Over": "danger", "Near": "warning", "Within": "success"})
    def state(self, budget: Any) -> str:
        return state_of(budget, budget.status)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return FigureChangeList

    def add_figures(self, request: HttpRequest, rows: list[Any]) -> None:
        """Give every budget of the page how it stands."""
        statuses = services.budget_statuses(rows, timezone.now())
        for budget in rows:
            budget.status = statuses[budget.pk]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=BudgetForm if obj else NewBudgetForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        covers = ("What it covers", {"fields": ("entity", "cost_type", ("provider", "model"))})
        if obj is not None:
            return ((None, {"fields": ("name", "owner")}), covers)
        return (
            (None, {"fields": ("name", ("amount", "currency"))}),
            covers,
            ("When", {"fields": (("period", "anchor"), "time_zone")}),
            ("What it does", {"fields": ("mode", ("alert_percent", "forecast_percent"))}),
        )

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def has_pause_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this budget can be paused by this person."""
        return self.has_change_permission(request, obj) and (obj is None or obj.active)

    def has_resume_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this budget can be enforced again by this person."""
        return self.has_change_permission(request, obj) and (obj is None or not obj.active)

    def save_model(self, request: HttpRequest, obj: Budget, form: Any, change: bool) -> None:
        """Make or change the budget through its service."""
        now = timezone.now()
        if not change:
            made = services.create_budget(form.terms(), now=now, owner=request.user)  # type: ignore[arg-type]
            obj.pk, obj._state.adding = made.pk, False
            return
        entity = obj.entity
        wanted = BudgetChange(
            name=obj.name,
            entity=(entity.entity_type, entity.entity_id) if entity else ("", ""),
            cost_type=obj.cost_type,
            provider=obj.provider,
            model=obj.model,
            owner=obj.owner,
        )
        services.change_budget(obj.pk, wanted, now=now)

    def details(self, obj: Budget) -> dict[str, Any]:
        """Return how the budget stands, for what is above its form."""
        return budget_page(obj, timezone.now())

    @action(
        description="Raise or lower",
        permissions=["change"],
        icon="trending_up",
        variant="primary",
        url_path="raise",
        dialog=Dialog(
            "Raise or lower the limit",
            "In force at once, for the current period too. Kept with your name and reason.",
            RaiseForm,
            "Set the amount",
        ),
    )
    def raise_limit(self, request: HttpRequest, form: RaiseForm, object_id: str) -> None:
        """Set a new amount, for good or for a while."""
        given = form.cleaned_data
        revision = raise_or_ask(
            self._key(object_id), given["amount"], reason=given["reason"], now=timezone.now(), expires_at=given["until"]
        )
        if isinstance(revision, Approval):
            self.message_user(request, "So large a raise waits for somebody else's approval.", messages.WARNING)
            return
        end = f" until {timezone.localtime(given['until']):%Y-%m-%d %H:%M}" if given["until"] else ""
        self.message_user(request, f"The amount is {amount(revision.amount)} now{end}.", messages.SUCCESS)

    @action(
        description="Change the mode",
        permissions=["change"],
        icon="tune",
        url_path="mode",
        dialog=Dialog("Change what the budget does", "", ModeForm, "Change the mode"),
    )
    def change_mode(self, request: HttpRequest, form: ModeForm, object_id: str) -> None:
        """Make the budget monitor, warn or refuse."""
        given = form.cleaned_data
        budget = services.change_budget(
            self._key(object_id), BudgetChange(mode=given["mode"]), now=timezone.now(), reason=given["reason"]
        )
        self.message_user(request, f"The mode is “{budget.get_mode_display()}” now.", messages.SUCCESS)

    @action(
        description="Thresholds",
        permissions=["change"],
        icon="notifications",
        url_path="thresholds",
        dialog=Dialog(
            "Change the thresholds",
            "Somebody is told once per period at each. One that moves below what is spent is told within a minute;"
            " one that was told already, and is still passed, is not told again.",
            ThresholdsForm,
            "Save the thresholds",
        ),
    )
    def change_thresholds(self, request: HttpRequest, form: ThresholdsForm, object_id: str) -> None:
        """Set at which shares of the budget somebody is told."""
        reason = form.cleaned_data["reason"]
        services.change_thresholds(self._key(object_id), form.terms(), now=timezone.now(), reason=reason)
        self.message_user(request, "The thresholds are saved.", messages.SUCCESS)

    @action(
        description="Pause",
        permissions=["pause"],
        icon="pause",
        url_path="pause",
        dialog=Dialog("Pause the budget", "It goes on counting, and neither warns nor refuses.", ReasonForm, "Pause"),
    )
    def pause_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Pause this budget."""
        self._set_active(request, [self._key(object_id)], form, active=False)

    @action(
        description="Resume",
        permissions=["resume"],
        icon="play_arrow",
        url_path="resume",
        dialog=Dialog("Resume the budget", "It warns and refuses again, from this moment on.", ReasonForm, "Resume"),
    )
    def resume_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Enforce this budget again."""
        self._set_active(request, [self._key(object_id)], form, active=True)

    @action(
        description="Archive",
        permissions=["change"],
        icon="archive",
        url_path="archive",
        dialog=Dialog(
            "Archive the budget", "It counts nothing any more, for good; its periods stay.", ReasonForm, "Archive"
        ),
    )
    def archive(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Retire this budget for good."""
        services.archive_budget(self._key(object_id), now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, "The budget is archived.", messages.SUCCESS)

    @action(
        description="Pause",
        permissions=["change"],
        dialog=Dialog("Pause budgets", "They go on counting, and neither warn nor refuse.", ReasonForm, "Pause"),
    )
    def pause(self, request: HttpRequest, form: ReasonForm, budgets: QuerySet[Budget]) -> None:
        """Pause the selected budgets."""
        self._set_active(request, [budget.pk for budget in budgets.filter(active=True)], form, active=False)

    @action(
        description="Resume",
        permissions=["change"],
        dialog=Dialog("Resume budgets", "They warn and refuse again.", ReasonForm, "Resume"),
    )
    def resume(self, request: HttpRequest, form: ReasonForm, budgets: QuerySet[Budget]) -> None:
        """Enforce the selected budgets again."""
        current = budgets.filter(active=False, archived_at__isnull=True)
        self._set_active(request, [budget.pk for budget in current], form, active=True)

    def _set_active(self, request: HttpRequest, keys: list[Any], form: ReasonForm, *, active: bool) -> None:
        for key in keys:
            services.set_active(key, active=active, now=timezone.now(), reason=form.cleaned_data["reason"])
        done = "enforced again" if active else "paused"
        note = "" if keys else " The others were in that state already."
        self.message_user(request, f"{len(keys)} budget(s) {done}.{note}", messages.SUCCESS if keys else messages.INFO)

    def _key(self, object_id: str) -> Any:
        return self.opts.pk.to_python(object_id)


def scope_text(budget: Budget) -> str:
    """Return what a budget covers, in words."""
    parts = [str(budget.entity) if budget.entity else "Everything"]
    parts += [budget.get_cost_type_display()] if budget.cost_type else []
    parts += [part for part in (budget.provider, budget.model) if part]
    return " · ".join(parts)


def state_of(budget: Budget, status: BudgetStatus) -> str:
    """Return how a budget stands, in a word."""
    if budget.archived_at is not None:
        return "Archived"
    if not budget.active:
        return "Paused"
    if status.is_over_budget:
        return "Over"
    near = status.should_alert or status.remaining <= Decimal(0)
    return "Near" if near else "Within"
