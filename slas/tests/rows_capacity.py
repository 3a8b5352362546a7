"""Admin rows of capacity."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from slas.models import CapacityForecast, CapacityResource, CapacitySample

Rows = Callable[[int], None]
AT = datetime(2026, 3, 18, 12, tzinfo=UTC)


def resources(count: int) -> None:
    """Make resources."""
    CapacityResource.objects.bulk_create(
        CapacityResource(slug=f"r-{uuid.uuid4().hex[:12]}", name=f"R {number}", metric="costs.spend", limit=Decimal(10),
                         created_at=AT)
        for number in range(count)
    )  # fmt: skip


def _first() -> CapacityResource:
    resources(1)
    return CapacityResource.objects.latest("id")


def samples(count: int) -> None:
    """Make days of one resource."""
    resource = _first()
    CapacitySample.objects.bulk_create(
        CapacitySample(resource=resource, day=date(2026, 1, 1) + timedelta(days=number), p50=1, p95=1, maximum=1,
                       total=24)
        for number in range(count)
    )  # fmt: skip


def forecasts(count: int) -> None:
    """Make forecasts of one resource."""
    resource = _first()
    CapacityForecast.objects.bulk_create(
        CapacityForecast(resource=resource, day=date(2026, 1, 1) + timedelta(days=number), level=1, slope=0.1,
                         slope_low=0, slope_high=1, history_days=28)
        for number in range(count)
    )  # fmt: skip


ROWS: dict[str, Rows] = {
    "slas.capacityresource": resources,
    "slas.capacitysample": samples,
    "slas.capacityforecast": forecasts,
}
