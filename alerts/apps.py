"""The alerts app."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Registers what the alerts app offers to the others."""

    name = "alerts"
    verbose_name = "Alerts"
    menu_sections = ("Alerts", "Incidents and on-call", "Who is told", "Threats and automation")

    def ready(self) -> None:
        """Fill the ports."""
        from alerts.delivery_ports import register_delivery
        from alerts.guard_ports import register_guard
        from alerts.incident_ports import register_incidents
        from alerts.routing_ports import register_routing
        from alerts.rule_ports import register_rules
        from alerts.scopes import register_scopes

        register_scopes()
        register_routing(self)
        register_rules(self)
        register_incidents(self)
        register_guard(self)
        register_delivery()
