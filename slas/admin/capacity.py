"""Capacity in the admin: resources with the day they run out, and how that is known."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from core.adminkit import (
    AuditedModelAdmin,
    BooleanRadioFilter,
    EmptyState,
    ReadOnlyModelAdmin,
    RelatedDropdownFilter,
    action,
    display,
)
from core.errors import Invalid
from core.ports.metrics import metrics
from slas.admin.capacity_page import capacity_page, in_days
from slas.admin.sections import CAPACITY
from slas.models import CapacityForecast, CapacityResource, CapacitySample
from slas.services import capacity


class ResourceForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only in the stubs
    """A resource; its metric and labels are those that the platform knows."""

    metric = forms.ChoiceField()

    class Meta:
        model = CapacityResource
        fields = (
            "name", "slug", "description", "metric", "labels", "statistic", "limit", "headroom_ratio", "lead_days",
            "enabled",
        )  # fmt: skip
        help_texts = {
            "labels": 'Which series, as JSON: {"entity_type": "agent", "entity_id": "my-agent"}. Empty: the total.',
            "limit": "In the unit of the metric.",
            "headroom_ratio": "The share of the limit that has to stay free: 0.2 is a fifth.",
            "lead_days": "How many days ahead to be told: as long as getting more takes.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "metric" in self.fields:
            offered = sorted(metrics, key=lambda metric: metric.name)
            choices = [(metric.name, f"{metric.name} ({metric.unit}): {metric.description}") for metric in offered]
            self.fields["metric"].choices = choices  # type: ignore[attr-defined]  # a choice field

    def clean(self) -> dict[str, Any]:
        """Refuse labels that the metric does not have."""
        cleaned = super().clean() or self.cleaned_data
        names = ("metric", "labels", "limit", "headroom_ratio")
        if all(cleaned.get(name) is not None for name in names):
            try:
                capacity.check_terms(**{name: cleaned[name] for name in names})
            except Invalid as refusal:
                for error in refusal.errors:
                    self.add_error(error.pointer.removeprefix("/"), error.detail)
        return cleaned

    def clean_labels(self) -> dict[str, str]:
        """Refuse anything but an object of texts."""
        labels = self.cleaned_data["labels"] or {}
        if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
            raise forms.ValidationError('Labels are an object of texts, such as {"entity_id": "my-agent"}.')
        return labels


@admin.register(CapacityResource)
class CapacityResourceAdmin(AuditedModelAdmin[CapacityResource]):
    """What runs out, and when."""

    form = ResourceForm
    list_display = ("name", "metric", "used", "limit", "runs_out", "measured_until", "enabled")
    list_filter = (("enabled", BooleanRadioFilter),)
    search_fields = ("name", "slug", "metric")
    ordering = ("name", "pk")
    readonly_fields = ("measured_until", "last_error")
    prepopulated_fields = {"slug": ("name",)}
    actions_detail = ("measure_now",)
    change_form_before_template = "admin/slas/capacity_page.html"
    export_fields = ("id", "slug", "name", "metric", "statistic", "limit", "headroom_ratio", "lead_days", "enabled")
    menu_section = CAPACITY
    menu_icon = "database"
    menu_order = 10
    empty_state = EmptyState(
        "Nothing with a limit yet",
        "A resource is a metric with a limit: spend per month, disk, requests per minute. The platform measures it each"
        " hour and says when the limit is reached, early enough to do something about it.",
        icon="database",
        step="Add a resource",
        link=lambda: reverse("admin:slas_capacityresource_add"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[CapacityResource]:
        latest = CapacityForecast.objects.filter(resource=OuterRef("pk")).order_by("-day")
        return super().get_queryset(request).annotate(
            latest_level=Subquery(latest.values("level")[:1]),
            latest_days=Subquery(latest.values("days_expected")[:1]),
            latest_day=Subquery(latest.values("day")[:1]),
        )  # fmt: skip

    @display(description="Used")
    def used(self, resource: CapacityResource) -> str:
        level = getattr(resource, "latest_level", None)
        return "–" if level is None else f"{level / float(resource.limit):.1%}"

    @display(description="Runs out")
    def runs_out(self, resource: CapacityResource) -> str:
        day = getattr(resource, "latest_day", None)
        return "not known yet" if day is None else in_days(day, getattr(resource, "latest_days", None))

    @action(description="Measure and forecast now", permissions=["change"], url_path="measure")
    def measure_now(self, request: HttpRequest, object_id: str) -> None:
        """Read the metric up to the last whole hour and write today's forecast."""
        now = timezone.now()
        resource = CapacityResource.objects.get(pk=object_id)
        capacity.measure_one(resource, now=now)
        resource.refresh_from_db()
        done = (
            "Measured and forecast."
            if capacity.forecast_one(resource, now=now)
            else ("Measured. A forecast takes seven complete days.")
        )
        self.message_user(request, resource.last_error or done, "error" if resource.last_error else "success")

    def save_model(self, request: HttpRequest, obj: CapacityResource, form: Any, change: bool) -> None:
        """Begin a new history where another metric or other labels are measured."""
        if change and {"metric", "labels"} & set(form.changed_data):
            capacity.forget_measurements(obj)
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)

    def details(self, obj: CapacityResource) -> dict[str, Any]:
        return capacity_page(obj, timezone.now())


@admin.register(CapacitySample)
class CapacitySampleAdmin(ReadOnlyModelAdmin[CapacitySample]):
    """What was measured, day by day."""

    list_display = ("day", "resource", "p50", "p95", "maximum", "total")
    list_filter = (("resource", RelatedDropdownFilter),)
    list_select_related = ("resource",)
    ordering = ("-day", "-pk")
    menu_section = CAPACITY
    menu_icon = "bar_chart"
    menu_order = 20
    empty_state = EmptyState("Nothing measured yet", "Resources are measured seven minutes after each full hour.")


@admin.register(CapacityForecast)
class CapacityForecastAdmin(ReadOnlyModelAdmin[CapacityForecast]):
    """What was expected, day by day."""

    list_display = ("day", "resource", "level", "slope", "reached")
    list_filter = (("resource", RelatedDropdownFilter),)
    list_select_related = ("resource",)
    ordering = ("-day", "-pk")
    menu_section = CAPACITY
    menu_icon = "trending_up"
    menu_order = 30
    empty_state = EmptyState("No forecast yet", "A forecast takes seven complete days of measurements.")

    @display(description="Reached")
    def reached(self, forecast: CapacityForecast) -> str:
        return in_days(forecast.day, forecast.days_expected)
