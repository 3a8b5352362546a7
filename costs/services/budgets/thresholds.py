"""Changing at which shares of a budget somebody is told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from core import audit
from core.choices import Severity
from core.errors import FieldError, Invalid
from core.money import to_text
from costs.choices import ThresholdBasis
from costs.models import Budget, BudgetThreshold
from costs.services.budgets.definitions import lock_budget, refuse_archived
from costs.services.budgets.terms import ratio_mistakes

MOST_THRESHOLDS = 10


@dataclass(frozen=True, slots=True)
class ThresholdTerms:
    """A share of the amount (0.8), of what is spent or expected, and how bad it is to reach it."""

    ratio: Decimal
    basis: str = ThresholdBasis.ACTUAL
    severity: str = Severity.MEDIUM


def change_thresholds(
    budget_id: UUID, wanted: Sequence[ThresholdTerms], *, now: datetime, reason: str = ""
) -> list[BudgetThreshold]:
    """Make these the thresholds of a budget; one transaction, one audit entry, none when nothing changes.

    A threshold that only moves keeps what is known of it: one that was told and is still passed is not told again.
    One that is new below what is spent is told by the next sweep, once. What is left out is removed, and the next
    sweep clears its condition. Raises Missing, Conflict for an archived budget, and Invalid with every mistake.
    """
    _check(wanted)
    with transaction.atomic():
        budget = lock_budget(budget_id)
        refuse_archived(budget)
        known = list(BudgetThreshold.objects.filter(budget=budget))
        before = _described(known)
        _replace(budget, known, wanted)
        found = list(BudgetThreshold.objects.filter(budget=budget))
        if _described(found) != before:
            audit.record(
                "budget.thresholds_changed",
                budget,
                now=now,
                before={"thresholds": before},
                after={"thresholds": _described(found)},
                reason=reason,
            )
    return found


def _replace(budget: Budget, known: Collection[BudgetThreshold], wanted: Sequence[ThresholdTerms]) -> None:
    """Keep the rows that stay, move those of the same basis, in order, and only then remove or add some."""
    rows = {(row.basis, row.ratio): row for row in known}
    kept = {(term.basis, term.ratio) for term in wanted} & set(rows)
    for basis in ThresholdBasis.values:
        free = sorted((row for key, row in rows.items() if key[0] == basis and key not in kept), key=_ratio)
        moved = sorted((term for term in wanted if term.basis == basis and (basis, term.ratio) not in kept), key=_ratio)
        for row, term in zip(free, moved, strict=False):
            BudgetThreshold.objects.filter(id=row.id).update(ratio=term.ratio, severity=term.severity)
        BudgetThreshold.objects.filter(id__in=[row.id for row in free[len(moved) :]]).delete()
        BudgetThreshold.objects.bulk_create(
            BudgetThreshold(budget=budget, ratio=term.ratio, basis=basis, severity=term.severity)
            for term in moved[len(free) :]
        )
    for term in wanted:
        if (term.basis, term.ratio) in kept:
            BudgetThreshold.objects.filter(id=rows[term.basis, term.ratio].id).update(severity=term.severity)


def _ratio(threshold: BudgetThreshold | ThresholdTerms) -> Decimal:
    return threshold.ratio


def _described(thresholds: Collection[BudgetThreshold]) -> list[dict[str, str]]:
    return [{"ratio": to_text(row.ratio), "basis": row.basis, "severity": row.severity} for row in thresholds]


def _check(wanted: Sequence[ThresholdTerms]) -> None:
    mistakes: list[FieldError] = []
    if len(wanted) > MOST_THRESHOLDS:
        mistakes.append(FieldError("/thresholds", "max_length", f"At most {MOST_THRESHOLDS} thresholds."))
    seen: set[tuple[str, Decimal]] = set()
    for place, term in enumerate(wanted):
        mistakes += _term_mistakes(f"/thresholds/{place}", term)
        if (term.basis, term.ratio) in seen:
            mistakes.append(FieldError(f"/thresholds/{place}/ratio", "unique", "This threshold is there twice."))
        seen.add((term.basis, term.ratio))
    if mistakes:
        raise Invalid(mistakes[0].detail, errors=mistakes)


def _term_mistakes(pointer: str, term: ThresholdTerms) -> list[FieldError]:
    found = ratio_mistakes(f"{pointer}/ratio", term.ratio)
    for field, value, choices in (
        ("basis", term.basis, ThresholdBasis.values),
        ("severity", term.severity, Severity.values),
    ):
        if value not in choices:
            found.append(FieldError(f"{pointer}/{field}", "invalid_choice", f"One of {', '.join(choices)}."))
    return found
