"""What budgets offer to the other apps: schedules, a control and how full each of them is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from core.ports.controls import Control, ControlResult, controls
from core.ports.metrics import Labels, Metric, Sample, is_wanted, metrics
from core.ports.schedules import Schedule, schedules
from core.windows import Window

if TYPE_CHECKING:
    from costs.models import Budget


def register_budgets() -> None:
    """Fill the ports; called once, from the app's ready()."""
    for schedule in _SCHEDULES:
        schedules.register(schedule)
    metrics.register(_USAGE)
    controls.register(_RESERVED)


def usage_ratios(window: Window, wanted: Sequence[Labels] | None, step_seconds: int | None) -> list[Sample]:
    """Return spent / limit of the active budgets at the end of the window; a budget of 0 has no ratio.

    A state has no buckets: `step_seconds` changes nothing.
    """
    from core.money import CONTEXT
    from costs.models import Budget
    from costs.services.budgets import standings

    budgets = Budget.objects.filter(active=True, archived_at__isnull=True)
    rows = [budget for budget in budgets.order_by("id") if is_wanted(_labels(budget), wanted)]
    found = standings(rows, now=window.end)
    return [
        Sample(_labels(budget), CONTEXT.divide(standing.spent, standing.limit))
        for budget in rows
        if (standing := found[budget.id]).limit
    ]


def _labels(budget: Budget) -> dict[str, str]:
    return {"budget": str(budget.id), "name": budget.name}


def reserved_equals_pending(now: datetime) -> ControlResult:
    """Compare what every current period holds with the pending reservations behind it, to the last digit."""
    from costs.services.budgets.recount import reserved_differences

    count, different = reserved_differences(now=now)
    evidence = {"periods": count, "different": different[:20]}
    if not count:
        return ControlResult("empty", "There is no current budget period.", 0, evidence)
    if different:
        return ControlResult("failed", f"{len(different)} periods hold something else.", count, evidence)
    return ControlResult("passed", f"{count} periods hold exactly what is pending.", count, evidence)


_SCHEDULES = (
    Schedule(
        "costs.expire_reservations",
        "costs.tasks.expire_reservations",
        "Gives back what reservations hold whose time is over.",
        every=timedelta(seconds=10),
    ),
    Schedule(
        "costs.evaluate_thresholds",
        "costs.tasks.evaluate_thresholds",
        "Tells when budgets reach their thresholds or go past a hard limit.",
        every=timedelta(seconds=30),
    ),
    Schedule(
        "costs.evaluate_forecasts",
        "costs.tasks.evaluate_forecasts",
        "Tells when budgets are expected to reach their thresholds.",
        every=timedelta(minutes=15),
    ),
)

_USAGE = Metric(
    name="costs.budget.usage_ratio",
    unit="ratio",
    description="Spent as a share of the limit, for the current period of every active budget.",
    labels=("budget", "name"),
    read=usage_ratios,
    kind="state",
)

_RESERVED = Control(
    key="costs.reserved_equals_pending",
    title="Money set aside equals pending reservations",
    passes_when="Every current budget period holds exactly the sum of its pending reservations.",
    every=timedelta(days=1),
    criteria=("SOC2:PI1.4",),
    run=reserved_equals_pending,
)
