"""What capacity offers to the other apps: its schedules and a panel for the home page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from django.urls import reverse

from core.ports.panels import Figure, Panel, panels
from core.ports.schedules import Schedule, schedules

if TYPE_CHECKING:
    from slas.models import CapacityResource

SCHEDULES = (
    Schedule(
        "slas.measure_capacity",
        "slas.tasks.measure_capacity",
        "Reads what is used of every resource in the hour that ended.",
        crontab="7 * * * *",
    ),
    Schedule(
        "slas.forecast_capacity",
        "slas.tasks.forecast_capacity",
        "Says when resources reach their limits, and tells when that is too soon.",
        crontab="20 4 * * *",
    ),
)


def register_capacity() -> None:
    """Fill the ports; called once, from the app's ready()."""
    for schedule in SCHEDULES:
        schedules.register(schedule)
    panels.register(
        Panel(
            key="slas.capacity",
            title="Capacity",
            permission="slas.view_capacityresource",
            build=_soonest,
            order=60,
            empty="Add a resource with its limit to see when it runs out.",
        )
    )


def _soonest(now: datetime) -> Sequence[Figure]:
    """Return the resources that run out soonest, at most three, within a year."""
    from slas.models import CapacityForecast  # models load after the ports

    rows = (
        CapacityForecast.objects.filter(day__gte=(now - timedelta(days=2)).date(), days_expected__lte=365)
        .select_related("resource")
        .order_by("days_expected", "resource_id", "-day")
    )
    seen: dict[object, Figure] = {}
    for row in rows[:30]:
        if row.resource_id not in seen:
            seen[row.resource_id] = _figure(row.resource, row.days_expected or 0.0)
    return list(seen.values())[:3]


def _figure(resource: CapacityResource, days: float) -> Figure:
    link = reverse("admin:slas_capacityresource_change", args=[resource.pk])
    value = f"in {days:.0f} days" if days else "now"
    tone: Literal["bad", "neutral"] = "bad" if days <= resource.lead_days else "neutral"
    return Figure(f"{resource.name} is used up", value, "at the present pace", link, tone)
