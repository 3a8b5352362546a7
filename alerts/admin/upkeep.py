"""Heartbeats, runbooks and the passes of the alerts in the admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from alerts.admin.rule_fields import Lines
from alerts.admin.saving import SavesByService
from alerts.admin.sections import ALERTS, INCIDENTS
from alerts.models import AlertRule, Heartbeat, Runbook, SweepState
from alerts.services import heartbeats, runbooks
from alerts.services.runbooks import RunbookTerms
from alerts.services.watching import Age
from alerts.sweeps import SWEEPS
from core.adminkit import EmptyState, ReadOnlyModelAdmin, Textarea, display
from core.markdown import to_html
from core.ports.panels import Table


@admin.register(Heartbeat)
class HeartbeatAdmin(SavesByService[Heartbeat]):
    """Outside systems that say that they are at work, and are missed when they stop."""

    list_display = ("name", "description", "last_beat_at", "beats")
    search_fields = ("name", "description")
    ordering = ("name",)
    fields = ("name", "description")
    change_form_before_template = "admin/alerts/heartbeat_page.html"
    menu_section = ALERTS
    menu_icon = "ecg_heart"
    menu_order = 34
    empty_state = EmptyState(
        "No heartbeats yet",
        "A nightly job, a data feed, another monitor: whatever should be heard of calls an address; a rule of the kind"
        " heartbeat tells when it has been silent for too long.",
        icon="ecg_heart",
        step="Add a heartbeat",
        link=lambda: reverse("admin:alerts_heartbeat_add"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name",) if obj is not None else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the command that beats."""
        heartbeat = self.get_object(request, object_id)
        name = heartbeat.name if heartbeat else ""
        address = request.build_absolute_uri(reverse("heartbeat", args=[name])) if name else ""
        command = f'curl -X POST -H "Authorization: Bearer $KEY" {address}'
        return super().change_view(request, object_id, form_url, {"beat_command": command, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Heartbeat, form: Any, change: bool) -> None:
        """Make or change the heartbeat through its service."""
        if change:
            heartbeats.change_heartbeat(obj.name, obj.description, now=timezone.now())
            return
        made = heartbeats.create_heartbeat(obj.name, obj.description, now=timezone.now())
        obj.pk, obj._state.adding = made.pk, False

    def delete_model(self, request: HttpRequest, obj: Heartbeat) -> None:
        heartbeats.delete_heartbeat(obj.name, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Heartbeat]) -> None:
        for name in list(queryset.values_list("name", flat=True)):
            heartbeats.delete_heartbeat(name, now=timezone.now())

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None


class RunbookForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A runbook: its text in Markdown, its checklist one step per line."""

    steps = Lines(label="Checklist", required=False, help_text="One step per line; every incident ticks them off.")

    class Meta:
        model = Runbook
        fields = ("title", "text")
        widgets = {"text": Textarea(attrs={"rows": 24})}
        help_texts = {"text": "Markdown: headings, lists, tables, links, code."}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["steps"] = _Steps(label="Checklist", required=False, help_text=self.fields["steps"].help_text)
        self.initial["steps"] = self.instance.checklist

    def terms(self) -> RunbookTerms:
        """Return what was filled in, as the service wants it."""
        given = self.cleaned_data
        return RunbookTerms(title=given["title"], text=given["text"], checklist=given["steps"])


class _Steps(Lines):
    """Steps, one per line; a comma is a part of a step."""

    def clean(self, value: Any) -> Any:
        return [line.strip() for line in (forms.CharField.clean(self, value) or "").splitlines() if line.strip()]


@admin.register(Runbook)
class RunbookAdmin(SavesByService[Runbook]):
    """What to do when something happens."""

    form = RunbookForm
    list_display = ("title", "slug", "version", "updated_at")
    search_fields = ("title", "slug")
    ordering = ("title", "id")
    fields = ("title", "text", "steps")
    change_form_before_template = "admin/alerts/runbook_page.html"
    menu_section = INCIDENTS
    menu_icon = "menu_book"
    menu_order = 36
    empty_state = EmptyState(
        "No runbooks yet",
        "A runbook says what to do when an alert fires. Rules name one, and it goes with every message and incident.",
        icon="menu_book",
        step="Write a runbook",
        link=lambda: reverse("admin:alerts_runbook_add"),
    )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the runbook as people read it, and the rules that name it."""
        runbook = self.get_object(request, object_id)
        shown: dict[str, Any] = {}
        if runbook is not None:
            rules = AlertRule.objects.filter(runbook=runbook).order_by("name", "id")[:20]
            rows = [((rule.name,), reverse("admin:alerts_alertrule_change", args=[rule.pk])) for rule in rules]
            shown = {
                "runbook": runbook,
                # Escaped by to_html, which lets no markup through.
                "runbook_html": mark_safe(to_html(runbook.text)),  # noqa: S308
                "runbook_rules": Table("Rules that name it", ("Rule",), rows),
            }
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Runbook, form: Any, change: bool) -> None:
        """Make the runbook, or its next version, through its service."""
        if change:
            runbooks.change_runbook(obj.slug, form.terms(), now=timezone.now())
            return
        made = runbooks.create_runbook(form.terms(), now=timezone.now())
        obj.pk, obj._state.adding = made.pk, False

    def delete_model(self, request: HttpRequest, obj: Runbook) -> None:
        runbooks.delete_runbook(obj.slug, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Runbook]) -> None:
        for slug in list(queryset.values_list("slug", flat=True)):
            runbooks.delete_runbook(slug, now=timezone.now())

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None


@admin.register(SweepState)
class SweepStateAdmin(ReadOnlyModelAdmin[SweepState]):
    """The passes that keep alerting going, and how each last went."""

    list_display = ("name", "state", "every_seconds", "finished_at", "seconds_shown", "items", "failures", "error")
    ordering = ("name",)
    menu_section = ALERTS
    menu_icon = "cyclone"
    menu_order = 90

    @display(description="State", label={"On time": "success", "Late": "warning", "Stopped": "danger"})
    def state(self, sweep: SweepState) -> str:
        known = SWEEPS.get(sweep.name)
        if known is None:
            return "Unknown"
        last = sweep.finished_at or sweep.created_at
        age = Age(known, max(timezone.now() - last, timedelta()), sweep.error)
        return "Stopped" if age.failed else "Late" if age.stalled else "On time"

    @display(description="Took", ordering="seconds")
    def seconds_shown(self, sweep: SweepState) -> str:
        return f"{sweep.seconds:.2f} s"
