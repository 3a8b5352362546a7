"""The admin pages of the alerts app."""

from alerts.admin import (
    alerts,
    automation,
    channels,
    forensics,
    incidents,
    notifications,
    now,
    policies,
    reliability,
    route_page,
    routing,
    rules,
    schedules,
    security,
    silences,
    upkeep,
)

__all__ = [
    "alerts",
    "automation",
    "channels",
    "forensics",
    "incidents",
    "notifications",
    "now",
    "policies",
    "reliability",
    "route_page",
    "routing",
    "rules",
    "schedules",
    "security",
    "silences",
    "upkeep",
]
