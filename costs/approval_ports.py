"""Raises of hard budgets that take a second person, where BUDGET_RAISE_APPROVAL_PERCENT asks for one."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from core.ports.approvals import ApprovalKind, Approved, Arguments, Description, approval_kinds

if TYPE_CHECKING:
    from core.models import Approval
    from costs.models import Budget, BudgetRevision

RAISE = "costs.raise_budget"
HUNDRED = Decimal(100)


def raise_or_ask(
    budget_id: UUID, amount: Decimal, *, reason: str, now: datetime, expires_at: datetime | None = None
) -> BudgetRevision | Approval:
    """Raise or lower a budget; a raise of a hard one beyond what one person may do is asked for instead.

    Raises as `raise_budget` and `request_approval` do.
    """
    from core import approvals
    from core.money import to_text
    from costs.services import budgets

    if not needs_approval(budget_id, amount, now=now):
        return budgets.raise_budget(budget_id, amount, reason=reason, now=now, expires_at=expires_at)
    wanted = {
        "budget": str(budget_id),
        "amount": to_text(amount),
        "expires_at": expires_at.isoformat() if expires_at else "",
    }
    return approvals.request_approval(RAISE, wanted, reason=reason, now=now)


def needs_approval(budget_id: UUID, amount: Decimal, *, now: datetime) -> bool:
    """Return whether this raise of a hard budget is larger than one person may decide."""
    from django.conf import settings

    from costs.models import Budget

    percent: int = settings.BUDGET_RAISE_APPROVAL_PERCENT
    budget = Budget.objects.filter(pk=budget_id).first() if percent else None
    if budget is None or budget.mode != "hard" or not amount.is_finite():
        return False
    return amount * HUNDRED > _in_force(budget, now) * (HUNDRED + percent)


def describe_raise(arguments: Arguments) -> Description:
    """Say which budget becomes how much, and from how much. Raises Missing when it is gone, Invalid for an amount."""
    from django.urls import reverse
    from django.utils import timezone

    from core.audit import identify
    from core.errors import Invalid, Missing
    from costs.amounts import amount
    from costs.models import Budget
    from costs.services.budgets.terms import amount_mistakes

    budget = Budget.objects.select_related("entity").filter(pk=str(arguments["budget"])).first()
    if budget is None:
        raise Missing("There is no such budget.")
    wanted = Decimal(str(arguments["amount"]))
    if mistakes := amount_mistakes(wanted):
        raise Invalid(mistakes[0].detail, errors=mistakes)
    now_in_force = amount(_in_force(budget, timezone.now()), budget.currency)
    lines = [
        f"Raise the hard budget “{budget.name}” from {now_in_force} to {amount(wanted, budget.currency)}",
        f"It covers {budget.entity or 'the whole organisation'}, {budget.get_period_display().lower()}",
        f"Until {arguments['expires_at']}" if arguments["expires_at"] else "For good, and for the current period too",
    ]
    link = reverse("admin:costs_budget_change", args=[budget.pk])
    return Description(tuple(lines), identify(budget), link)


def execute_raise(arguments: Arguments, approved: Approved, now: datetime) -> str:
    """Set the amount that was approved, in the caller's transaction."""
    from core.money import to_text
    from costs.services import budgets

    until = str(arguments["expires_at"])
    revision = budgets.raise_budget(
        UUID(str(arguments["budget"])),
        Decimal(str(arguments["amount"])),
        reason=f"{approved.reason} (approved by {approved.decided_by_label})"[:500],
        now=now,
        expires_at=datetime.fromisoformat(until) if until else None,
    )
    return f"the amount is {to_text(revision.amount)} now"


def register_approvals() -> None:
    """Fill the port; called once, from the app's ready()."""
    approval_kinds.register(
        ApprovalKind(
            name=RAISE,
            title="Raise of a hard budget",
            request_permission="costs.change_budget",
            approve_permission="costs.change_budget",
            describe=describe_raise,
            execute=execute_raise,
        )
    )


def _in_force(budget: Budget, now: datetime) -> Decimal:
    from costs.services.budgets.revisions import limit_in_force

    return limit_in_force(budget.revisions.all(), now).amount
