"""Alerts in the admin: the list with its buttons, and the page of one with its history and whom it told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from alerts.admin.alert_forms import AcknowledgeForm, QuickSilenceForm, matchers_for
from alerts.admin.alert_page import alert_page
from alerts.admin.sections import ALERTS
from alerts.choices import ACTIVE_STATES, OPEN_STATES, AlertState
from alerts.models import Alert
from alerts.presentation import labels_text
from alerts.services import alerting, silences
from alerts.services.alerting import Handled
from alerts.services.silences import SilenceTerms
from core.adminkit import (
    Dialog,
    EmptyState,
    LargeTableAdmin,
    ReadOnlyModelAdmin,
    ReasonForm,
    action,
    display,
    period_filter,
)

SEVERITIES = {"Critical": "danger", "High": "danger", "Medium": "warning", "Low": "info", "Info": "info"}
STATES = {"Pending": "info", "Firing": "danger", "Acknowledged": "warning", "Resolved": "success"}
SNIPPET = """curl -X POST {url}/api/v1/alerts/am/api/v2/alerts \\
  -H "Authorization: Bearer $AGENT_FACTORY_KEY" -H "Content-Type: application/json" \\
  -d '[{"labels": {"alertname": "DiskFull", "severity": "warning", "host": "db-1"}}]'"""


class StateFilter(admin.SimpleListFilter):
    """Alerts that are wrong now, unless others are asked for."""

    title = "state"
    parameter_name = "state"
    CHOICES = {
        "firing": (AlertState.FIRING,),
        "acknowledged": (AlertState.ACKNOWLEDGED,),
        "pending": (AlertState.PENDING,),
        "resolved": (AlertState.RESOLVED,),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((name, name.capitalize()) for name in self.CHOICES), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        chosen = self.value()
        if chosen == "all":
            return queryset
        return queryset.filter(state__in=self.CHOICES.get(chosen or "", ACTIVE_STATES))

    def choices(self, changelist: Any) -> Any:
        now = {"selected": not self.value(), "query_string": changelist.get_query_string(remove=["state"])}
        yield now | {"display": "Wrong now"}
        for value, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == str(value), "query_string": query, "display": title}


@admin.register(Alert)
class AlertAdmin(LargeTableAdmin[Alert], ReadOnlyModelAdmin[Alert]):
    """What is wrong, or was: who has it, since when, and who was told."""

    list_display = ("name", "severity_label", "state_label", "details_text", "since", "who")
    list_filter = (StateFilter, "severity", period_filter("resolved_at", title="resolved"))
    search_fields = ("name__startswith", "fingerprint__exact")
    search_help_text = "The beginning of the name, or the exact fingerprint"
    actions = ("acknowledge_selected", "silence_selected", "resolve_selected")
    actions_detail = ("acknowledge_one", "release_one", "silence_one", "resolve_one")
    change_form_before_template = "admin/alerts/alert_page.html"
    fields = (
        ("name", "fingerprint"), ("severity", "state"), ("source", "rule"), ("starts_at", "fired_at"),
        ("last_seen_at", "ends_at"), ("resolved_at", "value"), ("acknowledged_by", "acknowledged_until"),
        ("flaps", "quiet_until"), "whence",
    )  # fmt: skip
    readonly_fields = ("whence",)
    export_fields = (
        "id", "fingerprint", "name", "severity", "state", "source", "starts_at", "fired_at", "resolved_at",
        "acknowledged_by", "labels", "annotations",
    )  # fmt: skip
    menu_section = ALERTS
    menu_icon = "notifications_active"
    menu_order = 10
    empty_state = EmptyState(
        "Nothing is wrong",
        "Alerts come from rules, from conditions that the apps report, and from everybody who speaks Alertmanager's"
        " API: Prometheus, Grafana, amtool, or one request with an API key that has the scope alerts:write.",
        icon="notifications_off",
        snippet=SNIPPET,
    )

    @display(description="Severity", ordering="severity", label=SEVERITIES)
    def severity_label(self, alert: Alert) -> str:
        return alert.get_severity_display()

    @display(description="State", label=STATES)
    def state_label(self, alert: Alert) -> str:
        return alert.get_state_display()

    @display(description="Labels")
    def details_text(self, alert: Alert) -> str:
        return labels_text(alert.labels)

    @display(description="Since")
    def since(self, alert: Alert) -> str:
        return f"{timezone.localtime(alert.starts_at):%Y-%m-%d %H:%M}"

    @display(description="Where it comes from")
    def whence(self, alert: Alert) -> SafeString | str:
        """Return the way to what reported it: of a threat, to everything the one behind it did."""
        address = alert.generator_url
        if not address.startswith(("/admin/", "https://", "http://")):
            return address or "–"
        shown = "Everything behind it" if address.startswith("/admin/") else address
        return format_html('<a class="af-link" href="{}" rel="noopener noreferrer">{}</a>', address, shown)

    @display(description="Who has it")
    def who(self, alert: Alert) -> str:
        if alert.state != AlertState.ACKNOWLEDGED or alert.acknowledged_until is None:
            return "–"
        return f"{alert.acknowledged_by} until {timezone.localtime(alert.acknowledged_until):%a %H:%M}"

    def details(self, obj: Alert) -> dict[str, Any]:
        """Return what stands above the columns: labels, history, messages, and what hides it."""
        return alert_page(obj, timezone.now())

    def _may(self, request: HttpRequest, obj: Any, *states: str) -> bool:
        return request.user.has_perm("alerts.change_alert") and (obj is None or obj.state in states)

    def has_acknowledge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be taken on, or taken over."""
        return self._may(request, obj, *ACTIVE_STATES)

    def has_release_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether somebody has it who can give it back."""
        return self._may(request, obj, AlertState.ACKNOWLEDGED)

    def has_resolve_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it is not over yet."""
        return self._may(request, obj, *OPEN_STATES)

    def has_silence_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be silenced."""
        return request.user.has_perm("alerts.add_silence") and (obj is None or obj.state in OPEN_STATES)

    @action(
        description="Acknowledge", permissions=["acknowledge"],
        dialog=Dialog("Take these alerts on", "Nobody is reminded of them meanwhile.", AcknowledgeForm, "I have them"),
    )  # fmt: skip
    def acknowledge_selected(self, request: HttpRequest, form: AcknowledgeForm, alerts: QuerySet[Alert]) -> None:
        """Take the selected alerts on."""
        self._acknowledge(request, form, alerts)

    @action(
        description="Silence", permissions=["silence"],
        dialog=Dialog(
            "Silence these alerts", "Each gets a silence of exactly its labels.", QuickSilenceForm, "Silence"
        ),
    )  # fmt: skip
    def silence_selected(self, request: HttpRequest, form: QuickSilenceForm, alerts: QuerySet[Alert]) -> None:
        """Silence the selected alerts."""
        self._silence(request, form, alerts)

    @action(
        description="Resolve", permissions=["resolve"],
        dialog=Dialog("Resolve these alerts", "Those reported again fire again.", ReasonForm, "Resolve"),
    )  # fmt: skip
    def resolve_selected(self, request: HttpRequest, form: ReasonForm, alerts: QuerySet[Alert]) -> None:
        """Resolve the selected alerts."""
        self._report(request, alerts, lambda rows, by, now: alerting.resolve(
            rows, by=by, reason=form.cleaned_data["reason"], now=now), "resolved")  # fmt: skip

    @action(
        description="Acknowledge", permissions=["acknowledge"], icon="front_hand", variant="primary",
        url_path="acknowledge",
        dialog=Dialog("Take this alert on", "Nobody is reminded of it meanwhile.", AcknowledgeForm, "I have it"),
    )  # fmt: skip
    def acknowledge_one(self, request: HttpRequest, form: AcknowledgeForm, object_id: str) -> None:
        """Take this alert on."""
        self._acknowledge(request, form, Alert.objects.filter(pk=object_id))

    @action(
        description="Give back", permissions=["release"], icon="undo", url_path="release",
        dialog=Dialog("Give it back", "It fires again and is told of.", ReasonForm, "Give it back"),
    )  # fmt: skip
    def release_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Let this alert fire again."""
        self._report(request, Alert.objects.filter(pk=object_id), lambda rows, by, now: alerting.unacknowledge(
            rows, by=by, reason=form.cleaned_data["reason"], now=now), "given back")  # fmt: skip

    @action(
        description="Silence", permissions=["silence"], icon="notifications_paused", url_path="silence",
        dialog=Dialog("Silence this alert", "It gets a silence of exactly its labels.", QuickSilenceForm, "Silence"),
    )  # fmt: skip
    def silence_one(self, request: HttpRequest, form: QuickSilenceForm, object_id: str) -> None:
        """Silence this alert."""
        self._silence(request, form, Alert.objects.filter(pk=object_id))

    @action(
        description="Resolve", permissions=["resolve"], icon="check_circle", variant="success", url_path="resolve",
        dialog=Dialog("Resolve this alert", "If it is reported again, it fires again.", ReasonForm, "Resolve"),
    )  # fmt: skip
    def resolve_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Resolve this alert."""
        self._report(request, Alert.objects.filter(pk=object_id), lambda rows, by, now: alerting.resolve(
            rows, by=by, reason=form.cleaned_data["reason"], now=now), "resolved")  # fmt: skip

    def _acknowledge(self, request: HttpRequest, form: AcknowledgeForm, alerts: QuerySet[Alert]) -> None:
        given = form.cleaned_data
        self._report(request, alerts, lambda rows, by, now: alerting.acknowledge(
            rows, by=by, until=now + timedelta(minutes=given["minutes"]), reason=given["reason"], now=now
        ), "acknowledged")  # fmt: skip

    def _report(
        self,
        request: HttpRequest,
        alerts: QuerySet[Alert],
        act: Callable[[list[Alert], str, datetime], Handled],
        word: str,
    ) -> None:
        handled = act(list(alerts), request.user.get_username(), timezone.now())
        note = f" {len(handled.skipped)} were not: their state does not allow it." if handled.skipped else ""
        level = messages.SUCCESS if handled.changed else messages.WARNING
        self.message_user(request, f"{len(handled.changed)} alert(s) {word}.{note}", level)

    def _silence(self, request: HttpRequest, form: QuickSilenceForm, alerts: QuerySet[Alert]) -> None:
        now, given = timezone.now(), form.cleaned_data
        with transaction.atomic():
            for alert in alerts:
                terms = SilenceTerms(
                    matchers=matchers_for(alert.labels),
                    starts_at=now,
                    ends_at=now + timedelta(minutes=given["minutes"]),
                    comment=given["reason"],
                )
                silences.create_silence(terms, by=request.user.get_username(), now=now)
        count = len(request.POST.getlist(ACTION_CHECKBOX_NAME)) or 1
        self.message_user(request, f"{count} alert(s) silenced for {given['minutes']} minutes.", messages.SUCCESS)
