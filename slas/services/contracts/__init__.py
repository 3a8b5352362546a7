"""Contracts with customers: their terms, what each period came to, and what people decided about it."""

from slas.services.contracts.closing import Closed, close_due, follow, open_periods
from slas.services.contracts.definitions import (
    ContractDraft,
    change_terms,
    create_contract,
    end_contract,
    rename_contract,
    stricter_warnings,
    terms_for,
)
from slas.services.contracts.settling import (
    claim_until,
    credit_period,
    dispute_period,
    reject_dispute,
    waive_period,
)
from slas.services.contracts.standing import Standing, standing
from slas.services.contracts.terms import terms_of

__all__ = [
    "Closed",
    "ContractDraft",
    "Standing",
    "change_terms",
    "claim_until",
    "close_due",
    "create_contract",
    "credit_period",
    "dispute_period",
    "end_contract",
    "follow",
    "open_periods",
    "reject_dispute",
    "rename_contract",
    "standing",
    "stricter_warnings",
    "terms_for",
    "terms_of",
    "waive_period",
]
