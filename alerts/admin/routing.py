"""Routes, receivers, inhibition, time intervals and groups in the admin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from alerts.admin.alert_forms import InhibitRuleForm, ReceiverForm, RouteForm, TimeIntervalForm
from alerts.admin.alerts import SEVERITIES
from alerts.admin.saving import SavesByService
from alerts.admin.sections import ALERTS, TELLING
from alerts.choices import ACTIVE_STATES
from alerts.matching import as_text, stored_matchers
from alerts.models import Alert, AlertGroup, InhibitRule, Notification, Receiver, Route, TimeInterval
from alerts.presentation import labels_text
from alerts.services import configuration
from alerts.services.configuration import InhibitTerms, IntervalTerms, ReceiverTerms, RouteTerms
from alerts.services.routetree import times_of
from core.adminkit import Dialog, EmptyState, LargeTableAdmin, ReadOnlyModelAdmin, ReasonForm, action, display
from core.ports.panels import Table

ROWS_SHOWN = 50


class _Configuration(SavesByService[Any]):
    """Saved by a service; removed by an action, which asks why."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether this person may remove one."""
        return request.user.has_perm(f"alerts.delete_{self.opts.model_name}")

    def adopt(self, obj: Any, made: Any) -> None:
        """Let the form's object be the one that the service made."""
        obj.pk, obj._state.adding = made.pk, False

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Do nothing: the service has written what belongs to it."""

    def gone(self, request: HttpRequest, obj: Any) -> HttpResponseRedirect:
        """Say that it was removed, and go back to the list."""
        self.message_user(request, f"{obj} was removed.", messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"admin:alerts_{self.opts.model_name}_changelist"))


REMOVE = Dialog("Remove it", "Nothing that was told is lost.", ReasonForm, "Remove")


@admin.register(Route)
class RouteAdmin(_Configuration):
    """The branches of the routing tree; the tree itself has a page of its own."""

    form = RouteForm
    list_display = ("name", "parent", "position", "takes", "receiver", "continues")
    list_select_related = ("parent", "receiver")
    search_fields = ("name",)
    ordering = ("parent_id", "position", "pk")
    actions_detail = ("remove_one",)
    fieldsets = (
        (None, {"fields": ("name", ("parent", "position"), "matchers", ("receiver", "continues"))}),
        (
            "How it tells",
            {
                "fields": (
                    "group_by",
                    "group_wait_seconds",
                    "group_interval_seconds",
                    "repeat_interval_seconds",
                    ("mute_intervals", "active_intervals"),
                )
            },
        ),
    )
    menu_section = TELLING
    menu_icon = "alt_route"
    menu_order = 42

    @display(description="Takes")
    def takes(self, route: Route) -> str:
        if route.parent_id is None:
            return "everything"
        return as_text(stored_matchers(route.matchers)) or "everything that reaches it"

    def has_remove_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_remove_permission(request, obj) and (obj is None or obj.parent_id is not None)

    def save_model(self, request: HttpRequest, obj: Route, form: Any, change: bool) -> None:
        """Save it through its service."""
        given = form.cleaned_data
        values = {name: given[name] for name in RouteTerms.__slots__}
        terms = RouteTerms(**{**values, "matchers": stored_matchers(given["matchers"])})
        stored = Route.objects.get(pk=obj.pk) if change else None
        self.adopt(obj, configuration.save_route(terms, now=timezone.now(), route=stored))

    @action(description="Remove", permissions=["remove"], icon="delete", variant="danger", url_path="remove",
            dialog=Dialog("Remove this route", "What is below it moves up, and its groups end under the route above.",
                          ReasonForm, "Remove"))  # fmt: skip
    def remove_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponseRedirect:
        """Take it out of the tree."""
        route = Route.objects.select_related("parent").get(pk=object_id)
        configuration.remove_route(route, now=timezone.now(), reason=form.cleaned_data["reason"])
        return self.gone(request, route)


@admin.register(Receiver)
class ReceiverAdmin(_Configuration):
    """Who gets what a route matches."""

    form = ReceiverForm
    list_display = ("name", "channel_names", "send_resolved", "opens_incident", "escalation_policy")
    list_select_related = ("escalation_policy",)
    search_fields = ("name",)
    ordering = ("name",)
    autocomplete_fields = ("channels",)
    actions_detail = ("remove_one",)
    menu_section = TELLING
    menu_icon = "group"
    menu_order = 44
    empty_state = EmptyState(
        "No receivers yet",
        "A receiver is the channels, and perhaps an incident, that a route tells.",
        icon="group",
        step="Add a receiver",
        link=lambda: reverse("admin:alerts_receiver_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receiver]:
        return super().get_queryset(request).prefetch_related("channels")

    @display(description="Channels")
    def channel_names(self, receiver: Receiver) -> str:
        return ", ".join(channel.name for channel in receiver.channels.all()) or "none"

    def save_model(self, request: HttpRequest, obj: Receiver, form: Any, change: bool) -> None:
        """Save it through its service."""
        given = form.cleaned_data
        terms = ReceiverTerms(**{name: given[name] for name in ReceiverTerms.__slots__})
        stored = Receiver.objects.get(pk=obj.pk) if change else None
        self.adopt(obj, configuration.save_receiver(terms, now=timezone.now(), receiver=stored))

    @action(description="Remove", permissions=["remove"], icon="delete", variant="danger", url_path="remove",
            dialog=REMOVE)  # fmt: skip
    def remove_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponseRedirect:
        """Remove it, unless a route names it."""
        receiver = Receiver.objects.get(pk=object_id)
        configuration.remove(receiver, now=timezone.now(), reason=form.cleaned_data["reason"])
        return self.gone(request, receiver)


@admin.register(InhibitRule)
class InhibitRuleAdmin(_Configuration):
    """What is not told of while something worse is known."""

    form = InhibitRuleForm
    list_display = ("name", "source", "target", "agree", "enabled")
    list_filter = ("enabled",)
    search_fields = ("name",)
    ordering = ("name", "pk")
    actions_detail = ("remove_one",)
    menu_section = TELLING
    menu_icon = "visibility_off"
    menu_order = 46
    empty_state = EmptyState(
        "No inhibit rules",
        "While a source fires, its consequences are not told of: when the database is down, not each of its clients.",
        icon="visibility_off",
        step="Add an inhibit rule",
        link=lambda: reverse("admin:alerts_inhibitrule_add"),
    )

    @display(description="While one of these fires")
    def source(self, rule: InhibitRule) -> str:
        return as_text(stored_matchers(rule.source_matchers))

    @display(description="these are not told of")
    def target(self, rule: InhibitRule) -> str:
        return as_text(stored_matchers(rule.target_matchers))

    @display(description="if they agree in")
    def agree(self, rule: InhibitRule) -> str:
        return ", ".join(rule.equal) or "–"

    def save_model(self, request: HttpRequest, obj: InhibitRule, form: Any, change: bool) -> None:
        """Save it through its service."""
        given = form.cleaned_data
        values = {name: given[name] for name in InhibitTerms.__slots__}
        for name in ("source_matchers", "target_matchers"):
            values[name] = stored_matchers(values[name])
        terms = InhibitTerms(**{**values, "equal": given["equal"] or []})
        stored = InhibitRule.objects.get(pk=obj.pk) if change else None
        self.adopt(obj, configuration.save_inhibit_rule(terms, now=timezone.now(), rule=stored))

    @action(description="Remove", permissions=["remove"], icon="delete", variant="danger", url_path="remove",
            dialog=REMOVE)  # fmt: skip
    def remove_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponseRedirect:
        """Remove it; what it hid is told of."""
        rule = InhibitRule.objects.get(pk=object_id)
        configuration.remove(rule, now=timezone.now(), reason=form.cleaned_data["reason"])
        return self.gone(request, rule)


@admin.register(TimeInterval)
class TimeIntervalAdmin(_Configuration):
    """Times that routes are muted in or restricted to."""

    form = TimeIntervalForm
    list_display = ("name", "time_zone", "holds_now", "muted", "restricted")
    search_fields = ("name",)
    ordering = ("name",)
    actions_detail = ("remove_one",)
    menu_section = TELLING
    menu_icon = "schedule"
    menu_order = 48
    empty_state = EmptyState(
        "No time intervals yet",
        "An interval such as office hours or weekends: a route can be muted in it, or tell only in it.",
        icon="schedule",
        step="Add a time interval",
        link=lambda: reverse("admin:alerts_timeinterval_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[TimeInterval]:
        return super().get_queryset(request).prefetch_related("muted_routes", "active_routes")

    @display(description="Now", boolean=True)
    def holds_now(self, interval: TimeInterval) -> bool:
        return times_of(interval).contains(timezone.now())

    @display(description="Mutes")
    def muted(self, interval: TimeInterval) -> str:
        return ", ".join(route.name for route in interval.muted_routes.all()) or "–"

    @display(description="Restricts")
    def restricted(self, interval: TimeInterval) -> str:
        return ", ".join(route.name for route in interval.active_routes.all()) or "–"

    def save_model(self, request: HttpRequest, obj: TimeInterval, form: Any, change: bool) -> None:
        """Save it through its service."""
        given = form.cleaned_data
        terms = IntervalTerms(**{name: given[name] for name in IntervalTerms.__slots__})
        stored = TimeInterval.objects.get(pk=obj.pk) if change else None
        self.adopt(obj, configuration.save_interval(terms, now=timezone.now(), interval=stored))

    @action(description="Remove", permissions=["remove"], icon="delete", variant="danger", url_path="remove",
            dialog=REMOVE)  # fmt: skip
    def remove_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponseRedirect:
        """Remove it, unless a route uses it."""
        interval = TimeInterval.objects.get(pk=object_id)
        configuration.remove(interval, now=timezone.now(), reason=form.cleaned_data["reason"])
        return self.gone(request, interval)


@admin.register(AlertGroup)
class AlertGroupAdmin(LargeTableAdmin[AlertGroup], ReadOnlyModelAdmin[AlertGroup]):
    """The alerts that are told of together, and when they are next."""

    list_display = ("__str__", "severity_label", "route", "wrong", "next_flush_at", "last_notified_at")
    list_select_related = ("route",)
    list_filter = ("severity",)
    search_fields = ("key__exact",)
    ordering = ("-id",)
    change_form_before_template = "admin/alerts/group_page.html"
    fields = (("route", "severity"), ("next_flush_at", "flushed_at"), ("last_notified_at", "flush_seq"), "created_at")
    export_fields = ("id", "route__name", "labels", "severity", "flush_seq", "last_notified_at", "created_at")
    menu_section = ALERTS
    menu_icon = "stacks"
    menu_order = 16
    empty_state = EmptyState("No groups yet", "They are made when alerts fire that a route takes.", icon="stacks")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertGroup]:
        wrong = Count("members", filter=Q(members__left_at=None, members__alert__state__in=ACTIVE_STATES))
        return super().get_queryset(request).annotate(wrong_count=wrong)

    @display(description="Severity", label=SEVERITIES)
    def severity_label(self, group: AlertGroup) -> str:
        return group.get_severity_display()

    @display(description="Wrong now")
    def wrong(self, group: Any) -> int:
        return int(group.wrong_count)

    def details(self, obj: AlertGroup) -> dict[str, Any]:
        """Return its alerts and messages."""
        alerts = Alert.objects.filter(memberships__group=obj).order_by(F("resolved_at").desc(nulls_first=True), "-pk")
        told = Notification.objects.filter(group=obj).select_related("channel", "contact__user").order_by("-pk")
        return {
            "group_labels": sorted(obj.labels.items()),
            "group_alerts": _alerts(list(alerts[:ROWS_SHOWN])),
            "group_told": _messages(list(told[:ROWS_SHOWN])),
        }


def _alerts(alerts: list[Alert]) -> Table:
    rows = [
        (
            [alert.name, alert.get_severity_display(), alert.get_state_display(), labels_text(alert.labels)],
            reverse("admin:alerts_alert_change", args=[alert.pk]),
        )
        for alert in alerts
    ]
    return Table("Alerts", ["Alert", "Severity", "State", "Labels"], rows)


def _messages(told: list[Notification]) -> Table:
    rows = [
        (
            [
                str(row.channel or row.contact),
                str(row),
                row.get_status_display(),
                f"{timezone.localtime(row.created_at):%Y-%m-%d %H:%M:%S}",
            ],
            reverse("admin:alerts_notification_change", args=[row.pk]),
        )
        for row in told
    ]
    return Table("Messages", ["To", "What", "State", "When"], rows)
