"""Tables of the costs app."""

from costs.models.budgets import (
    Budget,
    BudgetPeriod,
    BudgetRevision,
    BudgetThreshold,
    Reservation,
    ReservationLine,
    ThresholdFiring,
)
from costs.models.entities import CostCenter, Currency, Entity, EntityClosure, FxRate
from costs.models.events import (
    CostEvent,
    EntityDayRollup,
    EventKey,
    FoldState,
    IngestReject,
    ModelHourRollup,
    RollupAudit,
    UnpricedModel,
)
from costs.models.prices import (
    PriceBook,
    PriceComponent,
    PriceDiscrepancy,
    PriceEpoch,
    PriceSyncRun,
    PriceVersion,
    Sku,
    SkuAlias,
)

__all__ = [
    "Budget",
    "BudgetPeriod",
    "BudgetRevision",
    "BudgetThreshold",
    "CostCenter",
    "CostEvent",
    "Currency",
    "Entity",
    "EntityClosure",
    "EntityDayRollup",
    "EventKey",
    "FoldState",
    "FxRate",
    "IngestReject",
    "ModelHourRollup",
    "PriceBook",
    "PriceComponent",
    "PriceDiscrepancy",
    "PriceEpoch",
    "PriceSyncRun",
    "PriceVersion",
    "Reservation",
    "ReservationLine",
    "RollupAudit",
    "Sku",
    "SkuAlias",
    "ThresholdFiring",
    "UnpricedModel",
]
