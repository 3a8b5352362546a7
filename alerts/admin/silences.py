"""Silences in the admin: made with a live look at what they hide, changed, and ended."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone

from alerts.admin.alert_forms import SilenceForm
from alerts.admin.saving import SavesByService
from alerts.admin.sections import ALERTS
from alerts.matching import as_text, parse_matchers, stored_matchers
from alerts.models import Silence
from alerts.presentation import labels_text
from alerts.services import silences as services
from alerts.services.silences import SilenceTerms, state_of
from alerts.services.silences.reading import span_of
from core.adminkit import Dialog, EmptyState, PageView, ReasonForm, action, display, page
from core.errors import Invalid
from core.ports.panels import Table

STATES = {"Active": "warning", "Pending": "info", "Expired": "success"}
SHOWN = 20


class OverFilter(admin.SimpleListFilter):
    """Silences that hold or will, unless those that are over are asked for."""

    title = "state"
    parameter_name = "over"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Over"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Silence]) -> QuerySet[Silence]:
        lasting = Q(expired_at=None, over_at__gt=timezone.now())
        if self.value() == "all":
            return queryset
        return queryset.filter(~lasting if self.value() == "yes" else lasting)

    def choices(self, changelist: Any) -> Any:
        now = {"selected": not self.value(), "query_string": changelist.get_query_string(remove=["over"])}
        yield now | {"display": "Holding or to come"}
        for value, title in self.lookup_choices:
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": self.value() == str(value), "query_string": query, "display": title}


@admin.register(Silence)
class SilenceAdmin(SavesByService[Silence]):
    """What hides alerts for a while, by whom and why."""

    form = SilenceForm
    list_display = ("__str__", "state_label", "hides", "span", "comes_back", "created_by")
    list_filter = (OverFilter,)
    search_fields = ("comment", "created_by")
    ordering = ("-over_at", "-created_at", "pk")
    actions = ("end_selected",)
    actions_detail = ("end_one",)
    change_form_after_template = "admin/alerts/silence_preview.html"
    fieldsets = (
        (None, {"fields": ("matchers", ("starts_at", "ends_at"), "comment")}),
        ("Comes back", {"fields": ("recurrence", "recurs_until", "time_zone"), "classes": ("collapse",)}),
        ("Reminder", {"fields": ("remind_before_seconds",), "classes": ("collapse",)}),
    )
    export_fields = (
        "id", "matchers", "starts_at", "ends_at", "recurrence", "recurs_until", "time_zone", "comment", "created_by",
        "created_at", "expired_at",
    )  # fmt: skip
    menu_section = ALERTS
    menu_icon = "notifications_paused"
    menu_order = 14
    empty_state = EmptyState(
        "Nothing is silenced",
        "A silence hides alerts that match for a while: for maintenance, or every Sunday night.",
        icon="notifications",
        step="Add a silence",
        link=lambda: reverse("admin:alerts_silence_add"),
    )

    @display(description="State", label=STATES)
    def state_label(self, silence: Silence) -> str:
        return state_of(silence, timezone.now()).capitalize()

    @display(description="Hides")
    def hides(self, silence: Silence) -> str:
        return as_text(stored_matchers(silence.matchers))

    @display(description="When")
    def span(self, silence: Silence) -> str:
        span = span_of(silence, timezone.now())
        start, end = timezone.localtime(span.start), timezone.localtime(silence.expired_at or span.end)
        return f"{start:%Y-%m-%d %H:%M} – {end:%Y-%m-%d %H:%M}"

    @display(description="Comes back")
    def comes_back(self, silence: Silence) -> str:
        if not silence.recurrence:
            return "–"
        return f"{silence.recurrence} until {timezone.localtime(silence.over_at):%Y-%m-%d}"

    def details(self, obj: Silence) -> dict[str, Any]:
        """Return what it hides now."""
        return {"silence_table": preview_table(as_text(stored_matchers(obj.matchers)))[0]}

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        over = obj is not None and state_of(obj, timezone.now()) == "expired"
        return super().has_change_permission(request, obj) and not over

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:
        """Make or change it through its service."""
        given, now = form.cleaned_data, timezone.now()
        values = {name: given[name] for name in SilenceTerms.__slots__}
        terms = SilenceTerms(**{**values, "matchers": stored_matchers(given["matchers"])})
        by = request.user.get_username()
        if change:
            made = services.update_silence(obj.pk, terms, by=by, now=now)
        else:
            made = services.create_silence(terms, by=by, now=now)
        for column in made._meta.concrete_fields:
            setattr(obj, column.attname, getattr(made, column.attname))
        obj._state.adding = False

    @action(
        description="End now", permissions=["change"], icon="notifications", variant="warning", url_path="end",
        dialog=Dialog("End this silence", "What it hides is told of from now on.", ReasonForm, "End it"),
    )  # fmt: skip
    def end_one(self, request: HttpRequest, form: ReasonForm, object_id: str) -> None:
        """End this silence now."""
        services.expire_silence(self.key(object_id), now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, "It is over.", messages.SUCCESS)

    @action(
        description="End now", permissions=["change"],
        dialog=Dialog("End these silences", "What they hide is told of from now on.", ReasonForm, "End them"),
    )  # fmt: skip
    def end_selected(self, request: HttpRequest, form: ReasonForm, silences: QuerySet[Silence]) -> None:
        """End the selected silences now."""
        keys = list(silences.values_list("pk", flat=True))
        for key in keys:
            services.expire_silence(key, now=timezone.now(), reason=form.cleaned_data["reason"])
        self.message_user(request, f"{len(keys)} silence(s) ended.", messages.SUCCESS)


@page
class SilencePreviewPage(PageView):
    """What matchers hide now, as a piece of the silence's page."""

    path = "alerts/silences/preview/"
    name = "alerts_silence_preview"
    title = "What this silence hides now"
    permissions = ("alerts.view_alert",)
    template_name = "admin/alerts/silence_preview_piece.html"
    http_method_names = ["post"]

    def post(self, request: HttpRequest) -> HttpResponse:
        """Answer with the alerts that match, or with what is wrong with the matchers."""
        table, mistake = preview_table(request.POST.get("matchers", ""))
        return TemplateResponse(request, self.template_name, {"silence_table": table, "mistake": mistake})


def preview_table(text: str) -> tuple[Table | None, str]:
    """Return a table of what matchers hide now, or what is wrong with them."""
    try:
        matchers = parse_matchers(text)
    except Invalid as invalid:
        return None, invalid.detail
    if not matchers:
        return None, ""
    found = services.preview(matchers, limit=SHOWN)
    rows = [
        (
            [alert.name, alert.get_severity_display(), labels_text(alert.labels)],
            reverse("admin:alerts_alert_change", args=[alert.pk]),
        )
        for alert in found.alerts
    ]
    most = "" if found.complete else " or more"
    title = f"Hides {found.count:,}{most} of the alerts that fire now"
    return Table(title, ["Alert", "Severity", "Labels"], rows), ""
