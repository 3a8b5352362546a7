"""Tables of the slas app."""

from slas.models.objectives import (
    BudgetPolicy,
    Exclusion,
    Service,
    Sli,
    Slo,
    SloComponent,
    SloRevision,
)

__all__ = [
    "BudgetPolicy",
    "Exclusion",
    "Service",
    "Sli",
    "Slo",
    "SloComponent",
    "SloRevision",
]
