"""On-call schedules in the admin: a readable calendar, rotations, overrides, calendar addresses."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from alerts.admin.schedule_forms import OverrideForm, RotationForm, RotationFormSet, ScheduleForm
from alerts.admin.schedule_page import schedule_page
from alerts.admin.sections import INCIDENTS
from alerts.api.oncall_views import feed_address
from alerts.models import OnCallSchedule, Rotation
from alerts.services import calendars, oncall, oncall_editing
from core.adminkit import AuditedModelAdmin, Dialog, DialogForm, EmptyState, StackedInline, action, display


class RotationInline(StackedInline[Rotation, OnCallSchedule]):
    """The layers of a schedule."""

    model = Rotation
    form = RotationForm
    formset = RotationFormSet
    verbose_name = "rotation"
    fields = (("name", "layer"), ("kind", "turn_length"), ("starts_at", "ends_at"), "people", "hours")
    ordering = ("layer", "pk")


@admin.register(OnCallSchedule)
class OnCallScheduleAdmin(AuditedModelAdmin[OnCallSchedule]):
    """Who is on call when."""

    class Media:
        css = {"all": ("css/oncall.css",)}

    form = ScheduleForm
    inlines = (RotationInline,)
    list_display = ("name", "now", "time_zone", "layers")
    search_fields = ("name", "slug")
    ordering = ("name", "pk")
    prepopulated_fields = {"slug": ("name",)}
    fields = (("name", "slug"), "time_zone")
    change_form_before_template = "admin/alerts/schedule_page.html"
    actions_detail = ("override", "calendar_address", "own_calendar_address")
    export_fields = ("slug", "name", "time_zone", "created_at", "id")
    menu_section = INCIDENTS
    menu_icon = "calendar_month"
    menu_order = 30
    empty_state = EmptyState(
        "No schedule yet",
        "A schedule says who is on call: people take turns in rotations, higher layers cover lower ones.",
        icon="calendar_month",
        step="Add a schedule",
        link=lambda: reverse("admin:alerts_oncallschedule_add"),
    )

    @display(description="On call now")
    def now(self, schedule: Any) -> str:
        person = self._people(schedule)
        return person or "nobody"

    @display(description="Rotations")
    def layers(self, schedule: Any) -> str:
        count = len(schedule.rotations.all())
        return str(count) if count else "none yet: nobody is on call"

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("rotations")

    def details(self, obj: OnCallSchedule) -> dict[str, Any]:
        """Return what stands above the form."""
        return schedule_page(obj, timezone.now())

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Give every schedule of the page who is on call now, by a constant number of queries."""
        changelist = super().get_changelist_instance(request)
        names = {
            schedule.pk: segment.person.name if segment.person else ""
            for schedule, segment in oncall.everybody_on_call(timezone.now())
        }
        for schedule in changelist.result_list:
            schedule.on_call_name = names.get(schedule.pk, "")
        return changelist

    def _people(self, schedule: Any) -> str:
        return str(getattr(schedule, "on_call_name", ""))

    def save_model(self, request: HttpRequest, obj: OnCallSchedule, form: Any, change: bool) -> None:
        """Keep when it was made."""
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Give the rotations their people, and look for gaps."""
        super().save_related(request, form, formsets, change)
        for formset in formsets:
            for inline in formset.forms:
                if inline.instance.pk and "people" in inline.changed_data and "people" in inline.cleaned_data:
                    oncall_editing.set_members(inline.instance, inline.cleaned_data["people"])
        oncall.check_schedules(timezone.now())

    def delete_model(self, request: HttpRequest, obj: OnCallSchedule) -> None:
        """Delete it, with what was said of its gaps."""
        oncall.clear_for(obj, now=timezone.now())
        super().delete_model(request, obj)

    @action(
        description="Override",
        permissions=["change"],
        icon="swap_horiz",
        variant="primary",
        url_path="override",
        dialog=Dialog("Somebody takes over", "Whoever's turn it is.", OverrideForm, "Take over"),
    )
    def override(self, request: HttpRequest, form: OverrideForm, object_id: str) -> None:
        """Let somebody have a span."""
        given = form.cleaned_data
        oncall_editing.add_override(
            self.opts.pk.to_python(object_id),
            given["user"],
            starts_at=given["starts_at"],
            ends_at=given["ends_at"],
            reason=given["reason"],
            now=timezone.now(),
        )
        self.message_user(request, f"{given['user']} takes over.", messages.SUCCESS)

    @action(
        description="Calendar address",
        permissions=["view"],
        icon="event",
        url_path="calendar",
        dialog=Dialog(
            "Get a calendar address of this schedule",
            "A secret address for your calendar program, shown once. One you had for it before ends.",
            DialogForm,
            "Get the address",
        ),
    )
    def calendar_address(self, request: HttpRequest, form: DialogForm, object_id: str) -> None:
        """Give the person a secret address of this schedule."""
        schedule = oncall_editing.get_schedule(self.opts.pk.to_python(object_id))
        self._show_address(request, schedule)

    @action(
        description="Calendar of my turns",
        permissions=["view"],
        icon="person",
        url_path="own-calendar",
        dialog=Dialog(
            "Get a calendar address of your own turns",
            "In all schedules; secret and shown once. One you had before ends.",
            DialogForm,
            "Get the address",
        ),
    )
    def own_calendar_address(self, request: HttpRequest, form: DialogForm, object_id: str) -> None:
        """Give the person a secret address of their own turns."""
        self._show_address(request, None)

    def _show_address(self, request: HttpRequest, schedule: OnCallSchedule | None) -> None:
        user: Any = request.user
        new = calendars.new_feed(user, schedule, now=timezone.now())
        shown = format_html("Your calendar address: <code>{}</code>", feed_address(request, new.token))
        self.message_user(request, shown, messages.SUCCESS)
