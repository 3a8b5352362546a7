"""The alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Registers what the alerts app offers to the others."""

    name = "alerts"
    verbose_name = "Alerts"
