"""The admin pages of the alerts app."""

from alerts.admin import (
    automation,
    channels,
    forensics,
    incidents,
    notifications,
    policies,
    reliability,
    routing,
    rules,
    schedules,
    security,
)

__all__ = [
    "automation",
    "channels",
    "forensics",
    "incidents",
    "notifications",
    "policies",
    "reliability",
    "routing",
    "rules",
    "schedules",
    "security",
]
