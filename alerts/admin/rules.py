"""Alert rules in the admin: what is watched, whether it can look, what it finds now and would have found."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from alerts.admin.rule_forms import DaysForm, ReasonForm, fieldsets_for, form_for
from alerts.admin.rule_page import backtest_page, parameters_text, rule_page, trial_page
from alerts.admin.saving import SavesByService
from alerts.admin.sections import ALERTS
from alerts.choices import ACTIVE_STATES, AlertState
from alerts.kinds import KINDS
from alerts.models import Alert, AlertRule
from alerts.services import rules
from alerts.services.rule_terms import waits_for
from alerts.services.rules import RuleChange
from core.adminkit import Dialog, action, display
from core.jobs import start_job

STATE_COLOURS = {
    "Firing": "danger", "Pending": "warning", "Error": "danger", "Waiting": "info", "Well": "success", "Off": "info",
}  # fmt: skip
SEVERITY_COLOURS = {"Critical": "danger", "High": "danger", "Medium": "warning", "Low": "info", "Info": "info"}


@admin.register(AlertRule)
class AlertRuleAdmin(SavesByService[AlertRule]):
    """What is watched, and when somebody is told."""

    list_display = ("name", "kind", "watches", "severity_label", "state", "enabled", "is_default")
    list_filter = ("kind", "severity", "enabled", "is_default")
    search_fields = ("name", "slug", "description")
    ordering = ("name", "id")
    autocomplete_fields = ("runbook",)
    actions = ("switch_on", "switch_off")
    actions_detail = ("test_now", "back_test", "back_test_job", "switch_on_one", "switch_off_one")
    change_form_before_template = "admin/alerts/rule_page.html"
    export_fields = (
        "id", "slug", "name", "kind", "parameters", "severity", "for_seconds", "keep_firing_seconds",
        "interval_seconds", "cooldown_seconds", "no_data", "labels", "annotations", "enabled", "is_default",
    )  # fmt: skip
    menu_section = ALERTS
    menu_icon = "rule"
    menu_order = 30

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        own = Alert.objects.filter(rule=OuterRef("pk"))
        return super().get_queryset(request).annotate(
            fires=Exists(own.filter(state__in=ACTIVE_STATES)), pends=Exists(own.filter(state=AlertState.PENDING))
        )  # fmt: skip

    @display(description="Watches")
    def watches(self, rule: AlertRule) -> str:
        return parameters_text(rule)[:120]

    @display(description="Severity", ordering="severity", label=SEVERITY_COLOURS)
    def severity_label(self, rule: AlertRule) -> str:
        return rule.get_severity_display()

    @display(description="State", label=STATE_COLOURS)
    def state(self, rule: Any) -> str:
        if not rule.enabled:
            return "Off"
        if rule.fires:
            return "Firing"
        if rule.last_error:
            return "Error"
        if waits_for(rule.kind, rule.parameters):
            return "Waiting"
        return "Pending" if rule.pends else "Well"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=form_for(_kind(request, obj)), **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return fieldsets_for(_kind(request, obj))

    def has_on_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person can switch this rule on."""
        return self.has_change_permission(request, obj) and (obj is None or not obj.enabled)

    def has_off_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person can switch this rule off."""
        return self.has_change_permission(request, obj) and (obj is None or obj.enabled)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ask for the kind first: each has a form of its own."""
        if request.GET.get("kind") in KINDS or not self.has_add_permission(request):
            return super().add_view(request, form_url, extra_context)
        context = {
            **self.admin_site.each_context(request),
            "title": "What should be watched?",
            "kinds": [
                {"name": kind.name, "purpose": kind.purpose, "title": _title(kind.name)} for kind in KINDS.values()
            ],
        }
        return TemplateResponse(request, "admin/alerts/rule_kinds.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show above the form how the rule stands."""
        rule = self.get_object(request, object_id)
        shown = rule_page(rule) if rule is not None else {}
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: AlertRule, form: Any, change: bool) -> None:
        """Make or change the rule through its service."""
        terms, now = form.terms(), timezone.now()
        if not change:
            made = rules.create_rule(terms, now=now)
            obj.pk, obj.name, obj._state.adding = made.pk, made.name, False
            return
        values = {name: getattr(terms, name) for name in terms.__slots__ if name != "slug"}
        revision = form.cleaned_data["seen_revision"]
        rules.change_rule(obj.pk, RuleChange(values=values), now=now, revision=revision)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing besides: the service has written all of it."""

    def response_post_save_add(self, request: HttpRequest, obj: AlertRule) -> HttpResponseRedirect:
        """Go on to the rule's page, where it is tested and switched on."""
        return HttpResponseRedirect(reverse("admin:alerts_alertrule_change", args=[obj.pk]))

    def delete_model(self, request: HttpRequest, obj: AlertRule) -> None:
        rules.delete_rule(obj.pk, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AlertRule]) -> None:
        for key in list(queryset.values_list("pk", flat=True)):
            rules.delete_rule(key, now=timezone.now())

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    @action(description="Test now", permissions=["view"], icon="play_arrow", url_path="test", safe=True)
    def test_now(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the rule finds at this moment."""
        rule = AlertRule.objects.select_related("runbook").get(pk=self.key(object_id))
        return self._page(request, rule, f"{rule}: now", "rule_test.html", trial_page(rule, timezone.now()))

    @action(description="Back-test", permissions=["view"], icon="history", url_path="backtest", safe=True)
    def back_test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what the rule would have done in the last 30 days."""
        rule = AlertRule.objects.select_related("runbook").get(pk=self.key(object_id))
        shown = backtest_page(rule, timezone.now())
        return self._page(request, rule, f"{rule}: the last 30 days", "rule_backtest.html", shown)

    @action(
        description="Back-test as a job",
        permissions=["view"],
        icon="hourglass_top",
        url_path="backtest-job",
        dialog=Dialog(
            "Back-test as a job", "For long periods and many label sets. You can watch it.", DaysForm, "Start"
        ),
    )
    def back_test_job(self, request: HttpRequest, form: DaysForm, object_id: str) -> HttpResponse:
        """Start a job that replays the rule."""
        rule = AlertRule.objects.get(pk=self.key(object_id))
        arguments = {"rule": str(rule.pk), "days": form.cleaned_data["days"]}
        job = start_job(
            "alerts.backtest", now=timezone.now(), arguments=arguments, title=f"Back-test of {rule}",
            requested_by=request.user,  # type: ignore[arg-type]  # the admin lets nobody else in
        )  # fmt: skip
        return HttpResponseRedirect(reverse("admin:core_job_change", args=[job.pk]))

    @action(
        description="Switch on",
        permissions=["on"],
        icon="toggle_on",
        variant="primary",
        url_path="on",
        dialog=Dialog(
            "Switch the rule on", "It is evaluated from the next whole interval on.", ReasonForm, "Switch on"
        ),
    )
    def switch_on_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Have this rule evaluated."""
        self._switch(request, [self.key(object_id)], form, enabled=True)

    @action(
        description="Switch off",
        permissions=["off"],
        icon="toggle_off",
        url_path="off",
        dialog=Dialog("Switch the rule off", "What it found is resolved.", ReasonForm, "Switch off"),
    )
    def switch_off_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Have this rule evaluated no more."""
        self._switch(request, [self.key(object_id)], form, enabled=False)

    @action(
        description="Switch on",
        permissions=["change"],
        dialog=Dialog(
            "Switch rules on", "They are evaluated from the next whole interval on.", ReasonForm, "Switch on"
        ),
    )
    def switch_on(self, request: HttpRequest, form: ReasonForm, queryset: QuerySet[AlertRule]) -> None:
        """Have the selected rules evaluated."""
        self._switch(request, list(queryset.filter(enabled=False).values_list("pk", flat=True)), form, enabled=True)

    @action(
        description="Switch off",
        permissions=["change"],
        dialog=Dialog("Switch rules off", "What they found is resolved.", ReasonForm, "Switch off"),
    )
    def switch_off(self, request: HttpRequest, form: ReasonForm, queryset: QuerySet[AlertRule]) -> None:
        """Have the selected rules evaluated no more."""
        self._switch(request, list(queryset.filter(enabled=True).values_list("pk", flat=True)), form, enabled=False)

    def _switch(self, request: HttpRequest, keys: list[Any], form: ReasonForm, *, enabled: bool) -> None:
        for key in keys:
            rules.set_enabled(key, enabled=enabled, now=timezone.now(), reason=form.cleaned_data["reason"])
        note = "" if keys else " The others were in that state already."
        said = f"{len(keys)} rule(s) switched {'on' if enabled else 'off'}.{note}"
        self.message_user(request, said, messages.SUCCESS if keys else messages.INFO)

    def _page(
        self, request: HttpRequest, rule: AlertRule, title: str, template: str, shown: dict[str, Any]
    ) -> HttpResponse:
        back = reverse("admin:alerts_alertrule_change", args=[rule.pk])
        context = {**self.admin_site.each_context(request), "title": title, "rule": rule, "back": back, **shown}
        return TemplateResponse(request, f"admin/alerts/{template}", context)


def _kind(request: HttpRequest, rule: AlertRule | None) -> str:
    return rule.kind if rule is not None else request.GET.get("kind", "threshold")


def _title(kind: str) -> str:
    return kind.replace("_", " ").capitalize()
