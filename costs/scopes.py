"""What a key may be allowed to do with costs, budgets and prices."""

from __future__ import annotations

from core.ports.scopes import Scope, scopes

SCOPES = (
    Scope("costs:read", "Read costs, totals, breakdowns and estimates.", "costs.view_costevent"),
    Scope("costs:write", "Record costs; reserve, settle and release spend.", "costs.add_costevent"),
    Scope("budgets:read", "Read budgets, their state and reservations.", "costs.view_budget"),
    Scope("budgets:write", "Create, change, raise and archive budgets.", "costs.change_budget"),
    Scope("prices:read", "Read the price book.", "costs.view_priceversion"),
    Scope("prices:write", "Add prices to the price book.", "costs.add_priceversion"),
)


def register_scopes() -> None:
    """Offer the scopes of this app; called once, from the app's ready()."""
    for scope in SCOPES:
        scopes.register(scope)
