"""The slas app."""

from django.apps import AppConfig


class SLAsConfig(AppConfig):
    """Registers what the slas app offers to the others."""

    name = "slas"
    verbose_name = "SLAs"
    menu_sections = ("Objectives", "Contracts", "Capacity")

    def ready(self) -> None:
        """Fill the ports."""
        from slas.capacity_ports import register_capacity
        from slas.contract_ports import register_contracts
        from slas.objective_ports import register_objectives
        from slas.scopes import register_scopes

        register_scopes()
        register_objectives(self)
        register_capacity()
        register_contracts(self)
