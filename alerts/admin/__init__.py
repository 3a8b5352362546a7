"""The admin pages of the alerts app."""

from alerts.admin import incidents, rules, schedules

__all__ = ["incidents", "rules", "schedules"]
