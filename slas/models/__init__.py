"""Tables of the slas app."""

from slas.models.buckets import SliBucket
from slas.models.capacity import CapacityForecast, CapacityResource, CapacitySample
from slas.models.contracts import Customer, DowntimeDay, SLAContract, SLAContractRevision, SLAPeriod, SLATier
from slas.models.objectives import (
    BudgetPolicy,
    Exclusion,
    Service,
    Sli,
    Slo,
    SloComponent,
    SloRevision,
)
from slas.models.reports import Report, ReportFile
from slas.models.standing import BudgetPolicyStep, PolicyStepFiring, SloSnapshot, SloStatus, SourceReading
from slas.models.status import StatusComponent, StatusIncident, StatusMaintenance, StatusPage, StatusUpdate

__all__ = [
    "BudgetPolicy",
    "BudgetPolicyStep",
    "CapacityForecast",
    "CapacityResource",
    "CapacitySample",
    "Customer",
    "DowntimeDay",
    "Exclusion",
    "PolicyStepFiring",
    "Report",
    "ReportFile",
    "SLAContract",
    "SLAContractRevision",
    "SLAPeriod",
    "SLATier",
    "Service",
    "Sli",
    "SliBucket",
    "Slo",
    "SloComponent",
    "SloRevision",
    "SloSnapshot",
    "SloStatus",
    "SourceReading",
    "StatusComponent",
    "StatusIncident",
    "StatusMaintenance",
    "StatusPage",
    "StatusUpdate",
]
