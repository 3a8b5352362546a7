"""The alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Registers what the alerts app offers to the others."""

    name = "alerts"
    verbose_name = "Alerts"

    def ready(self) -> None:
        """Fill the ports."""
        from alerts.rule_ports import register_rules
        from alerts.scopes import register_scopes

        register_scopes()
        register_rules(self)
