"""What an incident cost, as far as the platform can tell: the time it took, and what its entity spent meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.conf import settings

from alerts.models import Incident
from core.ports.metrics import metrics
from core.windows import Window

SPEND = "costs.spend"


@dataclass(frozen=True, slots=True)
class IncidentCost:
    """Minutes since it began, and the spend of its entity during it and during as long before; None where unknown."""

    minutes: int
    entity: tuple[str, str] | None
    spend: Decimal | None
    spend_before: Decimal | None
    currency: str


def cost_of(incident: Incident, now: datetime) -> IncidentCost:
    """Return what an incident cost until it was resolved, or until now.

    The entity is named by its labels `entity_type` and `entity_id`. The spend is asked of the port `metrics`: what is
    not offered there, or has no value there, is unknown, not zero.
    """
    end = max(incident.resolved_at or now, incident.started_at)
    during = Window(incident.started_at, end)
    labels = incident.labels
    named = (str(labels.get("entity_type", "")), str(labels.get("entity_id", "")))
    entity = named if all(named) else None
    before = Window(during.start - during.length, during.start)
    return IncidentCost(
        minutes=int(during.length.total_seconds() // 60),
        entity=entity,
        spend=_spend(during, entity),
        spend_before=_spend(before, entity),
        currency=settings.BASE_CURRENCY,
    )


def _spend(window: Window, entity: tuple[str, str] | None) -> Decimal | None:
    if entity is None or SPEND not in metrics or window.end <= window.start:
        return None
    samples = metrics.get(SPEND).read(window, [{"entity_type": entity[0], "entity_id": entity[1]}], None)
    values = [sample.value for sample in samples if sample.value is not None]
    return sum(values, Decimal(0)) if values else None
