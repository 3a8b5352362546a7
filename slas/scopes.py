"""What a key may be allowed to do with services, objectives and contracts."""

from __future__ import annotations

from core.ports.scopes import Scope, scopes

SCOPES = (
    Scope("slas:read", "Read services, indicators, objectives, freezes, contracts and reports.", "slas.view_slo"),
    Scope("slas:write", "Send events of indicators; ask for exclusions; send samples.", "slas.add_exclusion"),
    Scope("credits:write", "Mark credits of contracts' periods as given.", "slas.credit_slaperiod"),
    Scope("slas:admin", "Change services, indicators, objectives, policies and contracts.", "slas.change_slo"),
)


def register_scopes() -> None:
    """Offer the scopes of this app; called once, from the app's ready()."""
    for scope in SCOPES:
        scopes.register(scope)
