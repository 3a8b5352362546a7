"""Raising and lowering budgets: a revision with a reason, in force at once."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from core import audit
from core.context import current
from core.errors import Conflict, FieldError, Invalid, Missing
from core.money import money, to_text
from costs.models import Budget, BudgetPeriod, BudgetRevision
from costs.services.budgets.definitions import lock_budget, refuse_archived
from costs.services.budgets.periods import lock_periods, refresh_limits
from costs.services.budgets.revisions import limit_in_force
from costs.services.budgets.terms import amount_mistakes


def raise_budget(
    budget_id: UUID, amount: Decimal, *, reason: str, now: datetime, expires_at: datetime | None = None
) -> BudgetRevision:
    """Set a budget's amount from now on, higher or lower; with `expires_at` only until then, and only higher.

    The current period follows at once, later ones begin with what is then in force. A lasting revision during a
    temporary raise holds as soon as the raise has ended. Raises Missing, Conflict for an archived budget, and Invalid
    for a bad amount, no reason, an end that is past, or a temporary amount that is no raise.
    """
    _check(amount, reason, now, expires_at)
    with transaction.atomic():
        budget = lock_budget(budget_id)
        refuse_archived(budget)
        before = limit_in_force(_revisions(budget), now)
        if expires_at is not None and money(amount) <= before.amount:
            detail = f"A temporary raise is above the amount in force, {to_text(before.amount)}."
            raise Invalid(detail, errors=[FieldError("/amount", "min_value", detail)])
        revision = BudgetRevision.objects.create(
            budget=budget,
            amount=money(amount),
            effective_from=now,
            expires_at=expires_at,
            reason=reason.strip(),
            created_at=now,
            created_by=current().actor.label[:200],
        )
        _follow(budget, now)
        _record(budget, before.amount, revision, now)
    return revision


def end_raise(revision_id: int, *, reason: str, now: datetime) -> BudgetRevision:
    """End a temporary raise before its time. Raises Missing, and Conflict for one that is lasting or over."""
    with transaction.atomic():
        found = BudgetRevision.objects.filter(id=revision_id).values_list("budget_id", flat=True).first()
        if found is None:
            raise Missing("There is no such revision.")
        budget = lock_budget(found)
        ended = BudgetRevision.objects.filter(id=revision_id, expires_at__gt=now).update(expires_at=now)
        if not ended:
            raise Conflict("Only a temporary raise that is in force can be ended.")
        revision = BudgetRevision.objects.get(id=revision_id)
        _follow(budget, now)
        audit.record(
            "budget.raise_ended",
            budget,
            now=now,
            before={"amount": revision.amount},
            after={"expires_at": now},
            reason=reason,
        )
    return revision


def _check(amount: Decimal, reason: str, now: datetime, expires_at: datetime | None) -> None:
    mistakes = amount_mistakes(amount)
    if not 0 < len(reason.strip()) <= 500:
        mistakes.append(FieldError("/reason", "required", "A revision needs a reason of 1 to 500 characters."))
    if expires_at is not None and expires_at <= now:
        mistakes.append(FieldError("/expires_at", "min_value", "A temporary raise ends in the future."))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _revisions(budget: Budget) -> list[BudgetRevision]:
    return list(budget.revisions.order_by("-effective_from", "-id"))


def _follow(budget: Budget, now: datetime) -> None:
    """Bring the current period, and one that was made ahead of its beginning, to the revisions."""
    periods = lock_periods(BudgetPeriod.objects.filter(budget=budget, end_at__gt=now))
    refresh_limits([period.id for period in periods], now=now)


def _record(budget: Budget, before: Decimal, revision: BudgetRevision, now: datetime) -> None:
    audit.record(
        "budget.raised" if revision.amount > before else "budget.lowered",
        budget,
        now=now,
        before={"amount": before},
        after={"amount": revision.amount, "expires_at": revision.expires_at},
        reason=revision.reason,
    )
