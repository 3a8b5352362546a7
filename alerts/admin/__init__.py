"""The admin pages of the alerts app."""

from alerts.admin import incidents, routing, rules, schedules

__all__ = ["incidents", "routing", "rules", "schedules"]
