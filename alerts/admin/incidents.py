"""Incidents in the admin: the list, and the buttons of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from alerts import reliability
from alerts.admin.incident_forms import (
    AcknowledgeForm,
    ActionItemForm,
    IncidentForm,
    LinkForm,
    MergeForm,
    NewIncidentForm,
    OptionalReasonForm,
    RoleForm,
)
from alerts.admin.incident_page import incident_page
from alerts.admin.saving import SavesByService
from alerts.admin.sections import INCIDENTS
from alerts.choices import INCIDENT_TRANSITIONS, OPEN_INCIDENTS, IncidentStatus
from alerts.models import Incident
from alerts.services import incidents as services
from alerts.services.incidents import ActionTerms, IncidentChange, NewIncident
from core.adminkit import Dialog, EmptyState, ReasonForm, action, display, period, period_filter
from core.ports.panels import Figure

STYLES = {"all": ("css/oncall.css",)}
SEVERITIES = {"Critical": "danger", "High": "danger", "Medium": "warning", "Low": "info", "Info": "info"}
STATES = {
    "Open": "danger", "Acknowledged": "warning", "Mitigated": "info", "Resolved": "success", "Closed": "success",
}  # fmt: skip


class StateFilter(admin.SimpleListFilter):
    """Incidents by whether they need somebody."""

    title = "needs somebody"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("unanswered", "Nobody has it"), ("over", "Over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        chosen = {
            "open": OPEN_INCIDENTS,
            "unanswered": (IncidentStatus.OPEN,),
            "over": (IncidentStatus.RESOLVED, IncidentStatus.CLOSED),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(status__in=chosen)


@admin.register(Incident)
class IncidentAdmin(SavesByService[Incident]):
    """What is wrong, who has it, and how long it takes."""

    class Media:
        css = STYLES

    list_display = ("__str__", "severity_label", "status_label", "who", "age", "answered_after", "opened_at")
    list_select_related = ("merged_into",)
    list_filter = (StateFilter, "severity", "status", period_filter("opened_at", title="opened"))
    search_fields = ("title", "number", "summary")
    ordering = ("-number",)
    autocomplete_fields = ()
    list_before_template = "admin/alerts/incident_list.html"
    change_form_before_template = "admin/alerts/incident_page.html"
    actions = ("acknowledge_all", "resolve_all")
    # Their buttons are in the first card of the page, where they are found on a telephone too.
    actions_detail = (
        {
            "title": "Act",
            "items": [
                "acknowledge", "unacknowledge", "mitigate", "resolve", "reopen", "close", "assign", "add_action_item",
                "link", "postmortem", "merge",
            ],
        },
    )  # fmt: skip
    export_fields = (
        "number", "title", "severity", "status", "started_at", "opened_at", "acknowledged_at", "acknowledged_by",
        "mitigated_at", "resolved_at", "closed_at", "id",
    )  # fmt: skip
    menu_section = INCIDENTS
    menu_icon = "emergency"
    menu_order = 20
    empty_state = EmptyState(
        "No incidents",
        "An incident opens by itself when alerts reach a receiver that opens incidents, or by hand.",
        icon="task_alt",
        step="Open an incident",
        link=lambda: reverse("admin:alerts_incident_add"),
    )

    @display(description="Severity", ordering="severity", label=SEVERITIES)
    def severity_label(self, incident: Incident) -> str:
        return incident.get_severity_display()

    @display(description="State", ordering="status", label=STATES)
    def status_label(self, incident: Incident) -> str:
        return incident.get_status_display()

    @display(description="Who has it")
    def who(self, incident: Incident) -> str:
        if incident.merged_into is not None:
            return f"merged into INC-{incident.merged_into.number}"
        return incident.acknowledged_by or ("nobody" if incident.status == IncidentStatus.OPEN else "–")

    @display(description="Age", ordering="opened_at")
    def age(self, incident: Incident) -> str:
        return reliability.words(reliability.age(incident, timezone.now()))

    @display(description="Answered after")
    def answered_after(self, incident: Incident) -> str:
        answered = incident.acknowledged_at
        return reliability.words(answered - incident.opened_at if answered else None)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show how it stands above the list."""
        return super().changelist_view(request, {"incident_figures": _figures(), **(extra_context or {})})

    def details(self, obj: Incident) -> dict[str, Any]:
        """Return what stands above the form."""
        return incident_page(obj, timezone.now())

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=IncidentForm if obj else NewIncidentForm, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        last = ("started_at", "resolves_itself") if obj is not None else ("started_at",)
        return ((None, {"fields": ("title", "severity", "summary", last, ("runbook", "policy"))}),)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.status != IncidentStatus.CLOSED)

    def has_acknowledge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be taken, or taken over."""
        takes = (IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED)
        return self.has_change_permission(request, obj) and (obj is None or obj.status in takes)

    def has_unacknowledge_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be given back."""
        given = obj is None or obj.status == IncidentStatus.ACKNOWLEDGED
        return self.has_change_permission(request, obj) and given

    def has_mitigate_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be mitigated."""
        return self._may_become(request, obj, IncidentStatus.MITIGATED)

    def has_resolve_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be resolved."""
        return self._may_become(request, obj, IncidentStatus.RESOLVED)

    def has_close_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be closed."""
        return self._may_become(request, obj, IncidentStatus.CLOSED)

    def has_reopen_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Say whether it can be opened again."""
        over = (IncidentStatus.RESOLVED, IncidentStatus.MITIGATED)
        usable = obj is None or (obj.status in over and obj.merged_into_id is None)
        return self.has_change_permission(request, obj) and usable

    def _may_become(self, request: HttpRequest, obj: Any, status: str) -> bool:
        possible = obj is None or status in INCIDENT_TRANSITIONS[obj.status]
        return self.has_change_permission(request, obj) and possible

    def save_model(self, request: HttpRequest, obj: Incident, form: Any, change: bool) -> None:
        """Open or change the incident through its service."""
        now = timezone.now()
        given = {name: form.cleaned_data[name] for name in form.cleaned_data if name in form.fields}
        if change:
            services.change_incident(obj.pk, IncidentChange(**given), now=now)
            return
        made = services.open_incident(NewIncident(**given), now=now)
        obj.pk, obj.number, obj._state.adding = made.pk, made.number, False

    @action(
        description="Acknowledge",
        permissions=["acknowledge"],
        icon="front_hand",
        variant="primary",
        url_path="acknowledge",
        dialog=Dialog("Take this incident", "Nobody else is paged meanwhile.", AcknowledgeForm, "I have it"),
    )
    def acknowledge(self, request: HttpRequest, form: AcknowledgeForm, object_id: str) -> None:
        """Take it."""
        given, now = form.cleaned_data, timezone.now()
        until = now + timedelta(minutes=given["minutes"])
        services.acknowledge(self.key(object_id), until=until, reason=given["reason"], now=now)
        self.message_user(request, f"You have it until {timezone.localtime(until):%a %H:%M}.", messages.SUCCESS)

    @action(
        description="Give back",
        permissions=["unacknowledge"],
        icon="undo",
        url_path="unacknowledge",
        dialog=Dialog("Give it back", "It is open again and escalates.", OptionalReasonForm, "Give it back"),
    )
    def unacknowledge(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> None:
        """Give it back."""
        services.unacknowledge(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is open again and escalates.", messages.SUCCESS)

    @action(
        description="Mitigate",
        permissions=["mitigate"],
        icon="healing",
        url_path="mitigate",
        dialog=Dialog("The harm has stopped", "Work goes on; nobody is paged.", OptionalReasonForm, "Mitigated"),
    )
    def mitigate(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> None:
        """Say that the harm has stopped."""
        services.mitigate(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is mitigated.", messages.SUCCESS)

    @action(
        description="Resolve",
        permissions=["resolve"],
        icon="check_circle",
        variant="success",
        url_path="resolve",
        dialog=Dialog("It is over", "Whoever was called is told.", OptionalReasonForm, "Resolve"),
    )
    def resolve(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> None:
        """Say that it is over."""
        services.resolve(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is resolved.", messages.SUCCESS)

    @action(
        description="Reopen",
        permissions=["reopen"],
        icon="replay",
        url_path="reopen",
        dialog=Dialog("It is not over after all", "It escalates from the first step.", ReasonForm, "Reopen"),
    )
    def reopen(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """Open it again."""
        services.reopen(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is open again and escalates.", messages.SUCCESS)

    @action(
        description="Close",
        permissions=["close"],
        icon="inventory_2",
        url_path="close",
        dialog=Dialog("Close it for good", "After its review; it cannot be reopened.", OptionalReasonForm, "Close"),
    )
    def close(self, request: HttpRequest, form: OptionalReasonForm, object_id: str) -> None:
        """Close it for good."""
        services.close(self.key(object_id), reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, "It is closed.", messages.SUCCESS)

    @action(
        description="Give a role",
        permissions=["change"],
        icon="badge",
        url_path="role",
        dialog=Dialog("Who does what", "There is one commander; a new one takes over.", RoleForm, "Give the role"),
    )
    def assign(self, request: HttpRequest, form: RoleForm, object_id: str) -> None:
        """Give somebody a role."""
        given = form.cleaned_data
        services.assign_role(self.key(object_id), given["user"], given["role"], now=timezone.now())
        self.message_user(request, f"{given['user']} is {given['role']}.", messages.SUCCESS)

    @action(
        description="Add an action item",
        permissions=["change"],
        icon="add_task",
        url_path="action-item",
        dialog=Dialog("So that it does not happen again", "", ActionItemForm, "Add it"),
    )
    def add_action_item(self, request: HttpRequest, form: ActionItemForm, object_id: str) -> None:
        """Write down something to be done."""
        services.add_action_item(self.key(object_id), ActionTerms(**form.cleaned_data), now=timezone.now())
        self.message_user(request, "It is on the list.", messages.SUCCESS)

    @action(
        description="Link alerts",
        permissions=["change"],
        icon="link",
        url_path="link",
        dialog=Dialog("Alerts that belong to it", "The timeline tells when they resolve.", LinkForm, "Link"),
    )
    def link(self, request: HttpRequest, form: LinkForm, object_id: str) -> None:
        """Link alerts to it."""
        keys = [alert.pk for alert in form.cleaned_data["alerts"]]
        linked = services.link_alerts(self.key(object_id), keys, now=timezone.now())
        self.message_user(request, f"{linked} linked.", messages.SUCCESS)

    @action(description="Postmortem", permissions=["view"], icon="menu_book", url_path="review", safe=True)
    def postmortem(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to its review."""
        return HttpResponseRedirect(reverse("admin:alerts_postmortem", args=[object_id]))

    @action(
        description="Merge",
        permissions=["resolve"],
        icon="merge",
        url_path="merge",
        dialog=Dialog("It is the same as another", "Its alerts go there; this one ends.", MergeForm, "Merge"),
    )
    def merge(self, request: HttpRequest, form: MergeForm, object_id: str) -> None:
        """Make it one with another."""
        into = form.cleaned_data["into"]
        services.merge(self.key(object_id), into.pk, reason=form.cleaned_data["reason"], now=timezone.now())
        self.message_user(request, f"It was merged into INC-{into.number}.", messages.SUCCESS)

    @action(
        description="Acknowledge",
        permissions=["change"],
        dialog=Dialog("Take these incidents", "Nobody else is paged meanwhile.", AcknowledgeForm, "I have them"),
    )
    def acknowledge_all(self, request: HttpRequest, form: AcknowledgeForm, chosen: QuerySet[Incident]) -> None:
        """Take the selected ones that can be taken."""
        now = timezone.now()
        until = now + timedelta(minutes=form.cleaned_data["minutes"])
        rows = chosen.filter(status__in=(IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED))
        for incident in rows:
            services.acknowledge(incident.pk, until=until, reason=form.cleaned_data["reason"], now=now)
        self._report(request, chosen, len(rows), "acknowledged")

    @action(
        description="Resolve",
        permissions=["change"],
        dialog=Dialog("They are over", "Whoever was called is told.", OptionalReasonForm, "Resolve"),
    )
    def resolve_all(self, request: HttpRequest, form: OptionalReasonForm, chosen: QuerySet[Incident]) -> None:
        """Resolve the selected ones that are open."""
        rows = list(chosen.filter(status__in=OPEN_INCIDENTS))
        for incident in rows:
            services.resolve(incident.pk, reason=form.cleaned_data["reason"], now=timezone.now())
        self._report(request, chosen, len(rows), "resolved")

    def _report(self, request: HttpRequest, chosen: QuerySet[Incident], done: int, what: str) -> None:
        skipped = chosen.count() - done if what == "acknowledged" else 0
        note = f" {skipped} were in a state that forbids it." if skipped else ""
        self.message_user(request, f"{done} {what}.{note}", messages.SUCCESS if done else messages.INFO)


def _figures() -> list[Figure]:
    now = timezone.now()
    times = reliability.figures(reliability.incidents_in(period("30d", now, settings.ORGANISATION_ZONE)))
    still = list(Incident.objects.filter(status__in=OPEN_INCIDENTS).values_list("status", flat=True))
    waiting = still.count(IncidentStatus.OPEN)
    page = reverse("admin:alerts_reliability")
    return [
        Figure("Open", str(len(still)), link="?state=open", tone="warning" if still else "good"),
        Figure("Nobody has", str(waiting), link="?state=unanswered", tone="bad" if waiting else "good"),
        Figure("Mean time to acknowledge", reliability.words(times.mtta), "last 30 days", page),
        Figure("Mean time to resolve", reliability.words(times.mttr), "last 30 days", page),
    ]
