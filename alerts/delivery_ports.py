"""What delivery offers to the platform: a health check, and gauges of what waits and what was given up."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from core.ports.gauges import Gauge, gauges
from core.ports.health import HealthCheck, HealthResult, health_checks
from core.ports.metrics import Sample


def register_delivery() -> None:
    """Fill the ports; called once, from the app's ready()."""
    health_checks.register(
        HealthCheck("alert_channels", "Every channel of notifications that is in use delivers.", check_channels)
    )
    gauges.register(
        Gauge(
            "alerts_notifications_waiting",
            "Messages that are due and not delivered yet.",
            (),
            lambda now: _count(now, "pending"),
        )
    )
    gauges.register(
        Gauge(
            "alerts_notifications_dead",
            "Messages that were given up and not sent again.",
            (),
            lambda now: _count(now, "dead"),
        )
    )


def check_channels() -> HealthResult:
    """Say which channels the platform had to disable, or leaves alone after failures."""
    from django.utils import timezone  # the clock of an entry point

    from alerts.models import Channel

    out_of_use = Channel.objects.filter(enabled=False, refusals__gt=0)
    paused = Channel.objects.filter(enabled=True, circuit_until__gt=timezone.now())
    names = [*out_of_use.values_list("name", flat=True), *paused.values_list("name", flat=True)]
    if not names:
        return HealthResult("ok", "every channel that was tried delivers")
    listed = ", ".join(sorted(names)[:5])
    return HealthResult(
        "warning", f"{len(names)} channel(s) do not deliver: {listed}", "Open the channel's page and send a test."
    )


def _count(now: datetime, status: str) -> Iterable[Sample]:
    from alerts.models import Notification

    rows = Notification.objects.filter(status=status)
    if status == "pending":
        rows = rows.filter(due_at__lte=now)
    return [Sample({}, Decimal(rows.count()))]
