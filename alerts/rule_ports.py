"""What rules and their passes offer to the platform: schedules, so far."""

from __future__ import annotations

from datetime import timedelta

from django.apps import AppConfig

from core.ports.schedules import Schedule, schedules

NIGHTLY = "20 4 * * *"


def register_rules(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    from alerts.sweeps import SWEEPS

    for sweep in SWEEPS.values():
        nightly = sweep.every >= timedelta(days=1)
        schedules.register(
            Schedule(
                f"alerts.{sweep.name}",
                f"alerts.tasks.{sweep.name}",
                sweep.description,
                every=None if nightly else sweep.every,
                crontab=NIGHTLY if nightly else "",
            )
        )
