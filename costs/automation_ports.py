"""What costs can do by themselves when an alert fires: tighten a budget."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

from core.ports.automation import Argument, AutomationAction, Occasion, automation_actions

if TYPE_CHECKING:
    from costs.models import Budget

HUNDRED = Decimal(100)


def tighten_budget(arguments: Mapping[str, str], occasion: Occasion) -> str:
    """Lower a budget to a share of its amount in force. Raises Missing, Invalid for a share that is none, Conflict."""
    from core.errors import Invalid
    from core.money import CONTEXT
    from costs.amounts import amount
    from costs.models import Budget
    from costs.services import budgets
    from costs.services.budgets.revisions import limit_in_force

    percent = Decimal(arguments["percent"])
    if not 0 <= percent < HUNDRED:
        raise Invalid("a budget is tightened to 0 or more and less than 100 percent of its amount")
    budget = _named(arguments["budget"])
    now_in_force = limit_in_force(budget.revisions.all(), occasion.now).amount
    wanted = CONTEXT.divide(CONTEXT.multiply(now_in_force, percent), HUNDRED).quantize(Decimal("0.000000000001"))
    step = f"“{budget.name}” from {amount(now_in_force)} to {amount(wanted, budget.currency)}"
    if occasion.dry_run:
        return f"would lower {step}"
    budgets.raise_budget(budget.pk, wanted, reason=occasion.reason, now=occasion.now)
    fresh = limit_in_force(Budget.objects.get(pk=budget.pk).revisions.all(), occasion.now).amount
    note = "" if fresh == wanted else "; a temporary raise holds until it ends"
    return f"lowered {step}{note}"


def _named(text: str) -> Budget:
    from core.errors import Missing
    from costs.models import Budget

    current = Budget.objects.filter(archived_at__isnull=True)
    try:
        found = current.filter(pk=UUID(text)).first()
    except ValueError:
        found = current.filter(name=text).order_by("pk").first()
    if found is None:
        raise Missing(f"there is no budget {text}")
    return found


def register_automation() -> None:
    """Fill the port; called once, from the app's ready()."""
    automation_actions.register(
        AutomationAction(
            name="costs.tighten_budget",
            title="Tighten a budget",
            description="The amount is lowered at once; a hard budget then refuses what does not fit.",
            arguments=(
                Argument("budget", "Budget", help="Name or id, or {{ labels.budget }} of the alert."),
                Argument("percent", "To percent of its amount", kind="decimal", default="50"),
            ),
            permission="costs.change_budget",
            run=tighten_budget,
        )
    )
