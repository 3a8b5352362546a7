"""Budgets: made, revised, counted by the ledger, and read; how an event counts is written in `booking`."""

from costs.services.budgets.booking import add_hard_spend
from costs.services.budgets.definitions import BudgetChange, archive_budget, change_budget, create_budget, set_active
from costs.services.budgets.folding import fold_soft_spend
from costs.services.budgets.periods import RateMissing, create_periods, refresh_stale
from costs.services.budgets.raising import end_raise, raise_budget
from costs.services.budgets.recount import recount
from costs.services.budgets.scopes import enforced_budgets
from costs.services.budgets.standing import Standing, standings
from costs.services.budgets.status import BudgetStatus, budget_status, budget_statuses, share
from costs.services.budgets.terms import BudgetTerms
from costs.services.budgets.thresholds import ThresholdTerms, change_thresholds

__all__ = [
    "BudgetChange",
    "BudgetStatus",
    "BudgetTerms",
    "RateMissing",
    "Standing",
    "ThresholdTerms",
    "add_hard_spend",
    "archive_budget",
    "budget_status",
    "budget_statuses",
    "change_budget",
    "change_thresholds",
    "create_budget",
    "create_periods",
    "end_raise",
    "enforced_budgets",
    "fold_soft_spend",
    "raise_budget",
    "recount",
    "refresh_stale",
    "set_active",
    "share",
    "standings",
]
