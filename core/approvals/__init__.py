"""Approvals: asked for by one person, decided by another, carried out exactly once, every step in the audit log."""

from core.approvals.deciding import approve, refuse, withdraw
from core.approvals.execution import carry_out
from core.approvals.people import may_decide, may_request, objection, visible_to
from core.approvals.requests import digest_of, request_approval
from core.approvals.sweeping import Swept, sweep

__all__ = [
    "Swept",
    "approve",
    "carry_out",
    "digest_of",
    "may_decide",
    "may_request",
    "objection",
    "refuse",
    "request_approval",
    "sweep",
    "visible_to",
    "withdraw",
]
