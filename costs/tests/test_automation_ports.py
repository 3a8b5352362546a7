"""The action that tightens a budget: through its service, with its reason, never up."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from core.context import SYSTEM
from core.errors import Invalid, Missing
from core.ids import uuid7
from core.models import AuditEntry
from core.ports.automation import Occasion, automation_actions
from costs.services.budgets import budget_status
from costs.tests.budgeting import budget

pytestmark = pytest.mark.django_db


def _tighten(now: datetime, *, dry_run: bool = False, **arguments: str) -> str:
    occasion = Occasion(uuid7(), SYSTEM, dry_run, now, reason="automation “Spend”")
    return automation_actions.get("costs.tighten_budget").run(arguments, occasion)


@pytest.mark.parametrize("by_name", [True, False])
def test_tighten__to_half__lowers_the_amount_with_its_reason(now: datetime, by_name: bool) -> None:
    made = budget(now, "10.5")

    said = _tighten(now, budget=made.name if by_name else str(made.pk), percent="50")

    assert said == "lowered “Budget” from 10.50 to 5.25 USD"
    assert budget_status(made, now, forecast=False).limit == Decimal("5.25")
    assert AuditEntry.objects.get(action="budget.lowered").reason == "automation “Spend”"


def test_tighten__dry_run__changes_nothing(now: datetime) -> None:
    made = budget(now, "10")

    assert _tighten(now, dry_run=True, budget=made.name, percent="0") == "would lower “Budget” from 10.00 to 0.00 USD"
    assert budget_status(made, now, forecast=False).limit == Decimal(10)


@pytest.mark.parametrize(("change", "error"), [({"percent": "100"}, Invalid), ({"budget": "none"}, Missing)])
def test_tighten__senseless__is_refused(now: datetime, change: dict[str, str], error: Any) -> None:
    made = budget(now, "10")

    given = {"budget": made.name, "percent": "50", **change}
    with pytest.raises(error):
        _tighten(now, budget=given["budget"], percent=given["percent"])
    assert budget_status(made, now, forecast=False).limit == Decimal(10)
