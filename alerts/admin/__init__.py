"""The admin pages of the alerts app."""

from alerts.admin import channels, incidents, notifications, policies, reliability, routing, rules, schedules

__all__ = ["channels", "incidents", "notifications", "policies", "reliability", "routing", "rules", "schedules"]
