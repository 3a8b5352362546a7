"""What a key may be allowed to do with rules, alerts and whom they are sent to."""

from __future__ import annotations

from core.ports.scopes import Scope, scopes

SCOPES = (
    Scope("alerts:read", "Read rules, alerts, silences, channels and runbooks.", "alerts.view_alert"),
    Scope(
        "alerts:write", "Send alerts and heartbeats; acknowledge, resolve and silence alerts.", "alerts.change_alert"
    ),
    Scope("alerts:admin", "Change rules, runbooks, routes, channels and schedules.", "alerts.change_alertrule"),
)


def register_scopes() -> None:
    """Offer the scopes of this app; called once, from the app's ready()."""
    for scope in SCOPES:
        scopes.register(scope)
