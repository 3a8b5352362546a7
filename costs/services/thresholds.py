"""Telling when budgets reach their thresholds: once per period and threshold, whoever looks and however often.

A sweep compares rows with rows, so a missed run costs a delay and nothing else. That a threshold was reached is the
open `ThresholdFiring` of the current period; its unique constraint decides which of two sweeps raises the condition,
in the same transaction. A raise of the budget that takes spending below a threshold closes its firing, and it may fire
again under the new limit, and so it is when the threshold is moved above what was told; a credit that takes spending
below it closes nothing, or a budget at its threshold would flap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import cast
from uuid import UUID

from django.db import IntegrityError, transaction
from django.urls import reverse

from core.models import ConditionRecord
from core.money import to_text
from core.ports.conditions import Condition, Severity, clear_condition, raise_condition
from costs.amounts import exact_percent
from costs.choices import BudgetMode, ThresholdBasis
from costs.models import Budget, BudgetPeriod, BudgetThreshold, ThresholdFiring
from costs.services.budgets.history import forecast_of
from costs.services.budgets.periods import create_periods, refresh_stale
from costs.services.budgets.standing import Standing, standings
from costs.services.budgets.status import reached

SOURCE = "costs.budget"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one sweep did: how many conditions it raised and cleared."""

    budget_count: int = 0
    fired: int = 0
    cleared: int = 0


def evaluate_thresholds(*, now: datetime, basis: ThresholdBasis = ThresholdBasis.ACTUAL) -> Evaluation:
    """Raise a condition for every threshold newly reached, and clear those that do not hold any more.

    Looks at the thresholds of one basis of all active budgets, with as many queries for a thousand as for one
    (forecasts take a read of the ledger for each budget that has such a threshold). Overruns of hard limits are
    conditions as well.
    """
    # Read before the firings: what another sweep raises meanwhile is not in it, and so not cleared by this one.
    raised = list(ConditionRecord.objects.filter(source=SOURCE, firing=True).order_by("key"))
    refresh_stale(BudgetPeriod.objects.all(), now=now)
    budgets = _budgets(now)
    found = standings(list(budgets.values()), now=now)
    open_firings = _open_firings(found.values())
    fired = 0
    for threshold in BudgetThreshold.objects.filter(budget_id__in=list(budgets), basis=basis).order_by("id"):
        budget, standing = budgets[threshold.budget_id], found[threshold.budget_id]
        value = _value(budget, standing, basis, now)
        firing = open_firings.get(threshold.id)
        if value is not None and reached(value, standing.limit, threshold.ratio):
            fired += firing is None and _fire(budget, threshold, standing, value, now)
        elif firing is not None and _moved_on(firing, standing, threshold):
            _close(firing, now)
            del open_firings[threshold.id]
    for budget_id, standing in found.items():
        fired += standing.overrun > 0 and raise_condition(_overrun(budgets[budget_id], standing), now=now)
    return Evaluation(len(budgets), fired, _clear(raised, found, open_firings, now))


def _budgets(now: datetime) -> dict[UUID, Budget]:
    active = Budget.objects.filter(active=True, archived_at__isnull=True).exclude(mode=BudgetMode.MONITOR)
    return {budget.id: budget for budget in active.select_related("entity")}


def _open_firings(found: Iterable[Standing]) -> dict[int, ThresholdFiring]:
    periods = [standing.period for standing in found if standing.period is not None]
    firings = ThresholdFiring.objects.filter(period_id__in=periods, cleared_at__isnull=True)
    return {firing.threshold_id: firing for firing in firings}


def _value(budget: Budget, standing: Standing, basis: ThresholdBasis, now: datetime) -> Decimal | None:
    if basis == ThresholdBasis.ACTUAL:
        return standing.spent
    forecast = forecast_of(budget, standing, now=now)
    return None if forecast is None else forecast.expected


def _fire(budget: Budget, threshold: BudgetThreshold, standing: Standing, value: Decimal, now: datetime) -> bool:
    """Note that the threshold was reached and raise its condition; False when another sweep did."""
    try:
        with transaction.atomic():
            ThresholdFiring.objects.create(
                period_id=_period(budget, standing, now),
                threshold=threshold,
                fired_at=now,
                value=value,
                limit=standing.limit,
            )
            raise_condition(_reached(budget, threshold, standing, value), now=now)
    except IntegrityError:
        return False
    return True


def _period(budget: Budget, standing: Standing, now: datetime) -> int:
    if standing.period is not None:
        return standing.period
    create_periods([(budget.id, standing.window)], now=now)
    return BudgetPeriod.objects.values_list("id", flat=True).get(budget=budget, start_at=standing.window.start)


def _moved_on(firing: ThresholdFiring, standing: Standing, threshold: BudgetThreshold) -> bool:
    """Say whether the limit, or the threshold itself, was raised above what was told."""
    return firing.limit < standing.limit or not reached(firing.value, standing.limit, threshold.ratio)


def _close(firing: ThresholdFiring, now: datetime) -> None:
    ThresholdFiring.objects.filter(id=firing.id, cleared_at__isnull=True).update(cleared_at=now)


def _clear(
    raised: Iterable[ConditionRecord],
    found: dict[UUID, Standing],
    open_firings: Collection[int],
    now: datetime,
) -> int:
    """Clear the conditions of thresholds without an open firing in the current period, and of overruns of past ones."""
    holding = {f"{budget}:overrun" for budget, standing in found.items() if standing.overrun > 0}
    thresholds = BudgetThreshold.objects.filter(id__in=list(open_firings)).values_list("budget_id", "id")
    holding |= {_key(budget, threshold) for budget, threshold in thresholds}
    return sum(clear_condition(_again(record), now=now) for record in raised if record.key not in holding)


def _again(record: ConditionRecord) -> Condition:
    severity = cast("Severity", record.severity)
    return Condition(SOURCE, record.key, severity, record.summary, record.labels, record.link)


def _reached(budget: Budget, threshold: BudgetThreshold, standing: Standing, value: Decimal) -> Condition:
    said = "is expected to reach" if threshold.basis == ThresholdBasis.FORECAST else "has reached"
    limit = f"{to_text(standing.limit)} {budget.currency}"
    return Condition(
        source=SOURCE,
        key=_key(budget.id, threshold.id),
        severity=cast("Severity", threshold.severity),
        summary=(f"Budget {budget.name} {said} {exact_percent(threshold.ratio)} of {limit} with {to_text(value)}"),
        labels={**_labels(budget, standing), "threshold": to_text(threshold.ratio), "basis": threshold.basis},
        link=_link(budget),
    )


def _overrun(budget: Budget, standing: Standing) -> Condition:
    return Condition(
        source=SOURCE,
        key=f"{budget.id}:overrun",
        severity="high",
        summary=(
            f"Budget {budget.name}: {to_text(standing.overrun)} {budget.currency} went past the hard limit of"
            f" {to_text(standing.limit)} without having been set aside"
        ),
        labels=_labels(budget, standing),
        link=_link(budget),
    )


def _labels(budget: Budget, standing: Standing) -> dict[str, str]:
    entity = budget.entity
    return {
        "budget": str(budget.id),
        "name": budget.name,
        "entity_type": entity.entity_type if entity else "",
        "entity_id": entity.entity_id if entity else "",
        "mode": budget.mode,
        "period_start": standing.window.start.isoformat(),
    }


def _link(budget: Budget) -> str:
    return reverse("admin:costs_budget_change", args=[budget.id])


def _key(budget: UUID, threshold: int) -> str:
    return f"{budget}:{threshold}"
