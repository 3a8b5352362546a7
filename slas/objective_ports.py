"""What objectives offer to the other apps: schedules, metrics, panels, kinds of approval."""

from __future__ import annotations

from django.apps import AppConfig


def register_objectives(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
