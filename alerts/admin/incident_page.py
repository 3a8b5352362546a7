"""What an incident's page shows above its form, and the small forms on it: notes, steps, roles, items, the review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone

from alerts import reliability
from alerts.admin.incident_forms import PostmortemForm
from alerts.choices import EscalationStatus, IncidentStatus, StepTarget
from alerts.incident_costs import cost_of
from alerts.models import (
    ActionItem,
    ContactMethod,
    EscalationRun,
    Incident,
    IncidentEvent,
    Notification,
    OnCallSchedule,
    Postmortem,
)
from alerts.services import incidents as services
from alerts.services import oncall
from alerts.services.incidents import PostmortemText
from core.adminkit import PageView, add_refusal, grouped, page
from core.errors import Refusal
from core.ports.panels import Figure

LINES_SHOWN = 200
PAGES_SHOWN = 12
ICONS = {
    "opened": "emergency", "note": "edit_note", "acknowledged": "front_hand", "unacknowledged": "undo",
    "ack_expired": "timer_off", "mitigated": "healing", "resolved": "check_circle", "reopened": "replay",
    "closed": "inventory_2", "alert_linked": "link", "alert_resolved": "notifications_off", "escalated": "campaign",
    "escalation_exhausted": "sos", "severity_raised": "trending_up", "merged": "merge", "step_done": "check_box",
}  # fmt: skip
TITLES = {
    "ack_expired": "The acknowledgement ran out", "note": "Note", "escalated": "Paged",
    "escalation_exhausted": "Nobody answered", "alert_linked": "Alert linked", "alert_resolved": "Alert resolved",
    "step_done": "Step done", "step_undone": "Step not done after all",
}  # fmt: skip


# Which buttons a state offers, the first one the most likely: the action's name, its words and its look.
BUTTONS: dict[str, tuple[tuple[str, str, str], ...]] = {
    IncidentStatus.OPEN: (("acknowledge", "Acknowledge", "af-primary"), ("mitigate", "Mitigate", ""),
                          ("resolve", "Resolve", "")),
    IncidentStatus.ACKNOWLEDGED: (("resolve", "Resolve", "af-primary"), ("mitigate", "Mitigate", ""),
                                  ("acknowledge", "Renew or take over", ""), ("unacknowledge", "Give back", "")),
    IncidentStatus.MITIGATED: (("resolve", "Resolve", "af-primary"), ("reopen", "Reopen", "")),
    IncidentStatus.RESOLVED: (("reopen", "Reopen", ""), ("close", "Close", "")),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the timeline for reading."""

    event: IncidentEvent
    title: str
    icon: str
    link: str


def incident_page(incident: Incident, now: datetime) -> dict[str, Any]:
    """Return figures, escalation, timeline, alerts, roles, checklist, review and action items of an incident."""
    links = incident.links.select_related("alert").order_by("alert__resolved_at", "-pk")
    steps = list(incident.checklist.all())
    return {
        "incident": incident,
        "incident_age": reliability.words(reliability.age(incident, now)),
        "incident_figures": _figures(incident, now),
        "incident_next": next_page(incident, now),
        "incident_lines": _lines(incident),
        "incident_alerts": [link.alert for link in links[:LINES_SHOWN]],
        "incident_roles": list(incident.assignments.select_related("user")),
        "incident_steps": steps,
        "incident_steps_done": sum(step.done_at is not None for step in steps),
        "incident_items": list(ActionItem.objects.filter(incident=incident).select_related("owner")),
        "incident_pages": _pages(incident),
        "incident_postmortem": Postmortem.objects.filter(incident=incident).first(),
        "incident_open": incident.resolved_at is None,
        "incident_buttons": _buttons(incident),
        "today": timezone.localdate(now),
    }


def next_page(incident: Incident, now: datetime) -> str:
    """Return how the escalation stands, in a sentence: who is told next, and when."""
    run = EscalationRun.objects.filter(incident=incident).order_by("-pk").first()
    if run is None:
        return "No escalation policy: nobody is paged."
    name = run.snapshot["name"]
    if run.status == EscalationStatus.EXHAUSTED:
        return f"{name}: everybody was told, and nobody answered."
    if run.status == EscalationStatus.STOPPED or run.next_step_at is None:
        return _stopped(incident, name)
    steps = run.snapshot["steps"]
    target = _target(steps[run.step], incident, run.next_step_at) if run.step < len(steps) else "all of operations"
    wait = run.next_step_at - now
    when = f"in {reliability.words(wait)}" if wait.total_seconds() > 0 else "now"
    round_ = f", round {run.loop + 1} of {run.snapshot['repeats'] + 1}" if run.snapshot["repeats"] else ""
    return f"{name}: next {target} {when}{round_}."


def _buttons(incident: Incident) -> list[tuple[str, str, str]]:
    """Return words, address and look of each button of the state; a merged incident has none but to close it."""
    offered = BUTTONS.get(incident.status, ())
    if incident.merged_into_id is not None:
        offered = tuple(button for button in offered if button[0] != "reopen")
    return [
        (words, reverse(f"admin:alerts_incident_{name}", args=[incident.pk]), look) for name, words, look in offered
    ]


def _target(step: Mapping[str, Any], incident: Incident, at: datetime) -> str:
    """Return whom a step will tell, as far as is known now: the person by name, and how."""
    if step["target"] == StepTarget.CHANNEL:
        return f"the channel {step['name']}"
    if step["target"] == StepTarget.SCHEDULE:
        schedule = OnCallSchedule.objects.filter(pk=step["id"]).first()
        user = None if schedule is None else oncall.user_on_call(schedule, at)
    else:
        user = User.objects.filter(pk=step["id"], is_active=True).first()
    if user is None:
        return f"{step['name']}, where nobody can be told"
    ways = ContactMethod.objects.filter(user=user, enabled=True).order_by("delay_minutes", "pk")
    how = next((way.get_kind_display() for way in ways), "e-mail")
    place = f" ({step['name']})" if step["target"] == StepTarget.SCHEDULE else ""
    return f"{user.get_full_name() or user.get_username()}{place} by {how}"


def _stopped(incident: Incident, name: str) -> str:
    if incident.status == IncidentStatus.ACKNOWLEDGED and incident.acknowledged_until is not None:
        until = timezone.localtime(incident.acknowledged_until)
        return f"{name}: stopped. Escalates again at {until:%a %H:%M} unless resolved or taken again."
    return f"{name}: stopped."


def _figures(incident: Incident, now: datetime) -> list[Figure]:
    answered = incident.acknowledged_at - incident.opened_at if incident.acknowledged_at else None
    over = incident.resolved_at - incident.opened_at if incident.resolved_at else None
    cost = cost_of(incident, now)
    found = [
        Figure("Lasts" if incident.resolved_at is None else "Lasted", reliability.words(reliability.age(incident, now)),
               f"since {timezone.localtime(incident.opened_at):%Y-%m-%d %H:%M}"),
        Figure("Answered after", reliability.words(answered), tone="neutral" if answered else "warning"),
        Figure("Resolved after", reliability.words(over)),
    ]  # fmt: skip
    if cost.entity is not None and cost.spend is not None:
        before = "" if cost.spend_before is None else f"{grouped(cost.spend_before)} in the time before"
        label = f"Spent meanwhile by {cost.entity[0]} {cost.entity[1]}"
        found.append(Figure(label, f"{grouped(cost.spend)} {cost.currency}", before))
    return found


def _lines(incident: Incident) -> list[Line]:
    events = IncidentEvent.objects.filter(incident=incident).order_by("-pk")[:LINES_SHOWN]
    return [_line(event) for event in events]


def _line(event: IncidentEvent) -> Line:
    title = TITLES.get(event.kind) or event.kind.replace("_", " ").capitalize()
    alert = str(event.data.get("alert", ""))
    link = reverse("admin:alerts_alert_change", args=[alert]) if alert and _has_alert_page() else ""
    return Line(event, title, ICONS.get(event.kind, "radio_button_checked"), link)


def _has_alert_page() -> bool:
    from django.contrib import admin

    from alerts.models import Alert

    return Alert in admin.site._registry


def _pages(incident: Incident) -> Sequence[Notification]:
    sent = Notification.objects.filter(incident=incident).select_related("channel", "contact__user")
    return list(sent.order_by("-pk")[:PAGES_SHOWN])


class _IncidentForms(PageView):
    """A form on the incident's page: does its work and goes back there."""

    permissions = ("alerts.change_incident",)
    http_method_names = ["post"]

    def post(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> HttpResponse:
        """Do it, or say why not."""
        try:
            self.act(request, incident_id, **rest)
        except Refusal as refusal:
            messages.error(request, refusal.detail)
        return HttpResponseRedirect(reverse("admin:alerts_incident_change", args=[incident_id]) + self.anchor)

    anchor = ""

    def act(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> None:
        """Do the work by a service."""
        raise NotImplementedError


@page
class AddNote(_IncidentForms):
    """Adds a line to the timeline."""

    path = "alerts/incidents/<uuid:incident_id>/note/"
    name = "alerts_incident_note"
    anchor = "#timeline"

    def act(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> None:
        """Add what was typed."""
        services.add_note(incident_id, request.POST.get("text", ""), now=timezone.now())


@page
class TickStep(_IncidentForms):
    """Ticks a step of the checklist, or takes the tick away."""

    path = "alerts/incidents/<uuid:incident_id>/steps/<int:position>/"
    name = "alerts_incident_step"
    anchor = "#checklist"

    def act(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> None:
        """Set what the button says."""
        services.tick(incident_id, rest["position"], done=request.POST.get("done") == "1", now=timezone.now())


@page
class ActionDone(_IncidentForms):
    """Says that an action item is done, or not after all."""

    path = "alerts/incidents/<uuid:incident_id>/items/<int:item_id>/"
    name = "alerts_incident_item"
    anchor = "#items"

    def act(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> None:
        """Set what the button says."""
        done = request.POST.get("done") == "1"
        services.set_action_done(incident_id, rest["item_id"], done=done, now=timezone.now())


@page
class RemoveRole(_IncidentForms):
    """Takes a role away."""

    path = "alerts/incidents/<uuid:incident_id>/roles/<int:role_id>/remove/"
    name = "alerts_incident_role"
    anchor = "#roles"

    def act(self, request: HttpRequest, incident_id: UUID, **rest: Any) -> None:
        """Take it away."""
        services.remove_role(incident_id, rest["role_id"], now=timezone.now())


@page
class PostmortemPage(PageView):
    """The review of an incident: read, written, published."""

    path = "alerts/incidents/<uuid:incident_id>/postmortem/"
    name = "alerts_postmortem"
    title = "Postmortem"
    permissions = ("alerts.view_incident",)
    template_name = "admin/alerts/postmortem.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Return the incident, its review and a form for who may write."""
        incident = self._incident()
        written = Postmortem.objects.filter(incident=incident).first()
        names = ("summary", "impact", "root_causes", "lessons", "revision")
        initial = {name: getattr(written, name) for name in names} if written else {"revision": 0}
        context = {
            "incident": incident,
            "postmortem": written,
            "form": PostmortemForm(initial=initial) if self._may_write() else None,
            "items": ActionItem.objects.filter(incident=incident).select_related("owner"),
            "title": f"Postmortem of INC-{incident.number}",
        }
        return {**super().get_context_data(**kwargs), **context, **kwargs}

    def post(self, request: HttpRequest, incident_id: UUID) -> HttpResponse:
        """Save what was written; with the other button, publish it too."""
        if not self._may_write():
            return HttpResponse(status=403)
        form, now = PostmortemForm(request.POST), timezone.now()
        if not form.is_valid():
            return self.render_to_response(self.get_context_data(form=form))
        revision = form.cleaned_data.pop("revision")
        try:
            services.save_postmortem(incident_id, PostmortemText(**form.cleaned_data), revision=revision, now=now)
            if "publish" in request.POST:
                services.publish_postmortem(incident_id, now=now)
        except Refusal as refusal:
            add_refusal(form, refusal)
            return self.render_to_response(self.get_context_data(form=form))
        messages.success(request, "Published." if "publish" in request.POST else "Saved.")
        return HttpResponseRedirect(request.get_full_path())

    def _incident(self) -> Incident:
        found = Incident.objects.filter(pk=self.kwargs["incident_id"]).first()
        if found is None:
            raise Http404("there is no such incident")
        return found

    def _may_write(self) -> bool:
        return self.request.user.has_perm("alerts.change_incident")
