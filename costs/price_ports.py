"""What the price book offers to the other apps: schedules and a health check."""

from __future__ import annotations

from datetime import timedelta

from core.ports.health import HealthCheck, HealthResult, health_checks
from core.ports.schedules import Schedule, schedules


def register_prices() -> None:
    """Fill the ports; called once, from the app's ready()."""
    for schedule in _SCHEDULES:
        schedules.register(schedule)
    health_checks.register(HealthCheck("prices", "The price book is loaded and its last sync worked.", check_prices))


def check_prices() -> HealthResult:
    """Say whether there are prices, and whether the last reading of the price lists worked."""
    from costs.choices import PriceVersionStatus
    from costs.models import PriceSyncRun, PriceVersion

    if not PriceVersion.objects.filter(status=PriceVersionStatus.APPROVED).exists():
        return HealthResult("warning", "the price book is empty", "Run `manage.py load_prices`.")
    last = PriceSyncRun.objects.order_by("-id").first()
    if last is not None and last.error:
        return HealthResult(
            "warning", f"the last price sync failed: {last.error[:200]}", "Run `manage.py load_prices`."
        )
    return HealthResult("ok", "prices are loaded")


_SCHEDULES = (
    Schedule(
        "costs.resolve_prices",
        "costs.tasks.resolve_prices",
        "Prices costs whose price came late and empties the queue of unpriced models.",
        every=timedelta(minutes=5),
    ),
    Schedule(
        "costs.sync_prices",
        "costs.tasks.sync_prices",
        "Reads the installed price lists; changed prices become new versions.",
        crontab="10 3 * * *",
    ),
)
