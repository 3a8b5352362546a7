"""The admin pages of the alerts app."""

from alerts.admin import rules

__all__ = ["rules"]
