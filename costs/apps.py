"""The costs app."""

from django.apps import AppConfig


class CostsConfig(AppConfig):
    """Registers what the costs app offers to the others."""

    name = "costs"
    verbose_name = "Costs"
    menu_sections = ("Costs", "Budgets", "Prices", "Cost queues")

    def ready(self) -> None:
        """Fill the ports."""
        from costs.admin_ports import register_pages
        from costs.approval_ports import register_approvals
        from costs.automation_ports import register_automation
        from costs.budget_ports import register_budgets
        from costs.ledger_ports import register_ledger
        from costs.price_ports import register_prices
        from costs.scopes import register_scopes

        register_scopes()
        register_ledger(self)
        register_budgets()
        register_pages()
        register_prices()
        register_approvals()
        register_automation()
