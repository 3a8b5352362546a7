"""The rollups: folded from the events, audited against them, and built again from nothing else."""

from costs.services.rollups.audit import audit_day, audit_days, days_due
from costs.services.rollups.folding import FoldReport, fold, fold_lag_seconds
from costs.services.rollups.rebuild import RebuildReport, rebuild_rollups

__all__ = [
    "FoldReport",
    "RebuildReport",
    "audit_day",
    "audit_days",
    "days_due",
    "fold",
    "fold_lag_seconds",
    "rebuild_rollups",
]
