"""Raises of hard budgets that take a second person, where the organisation asks for one."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core import approvals
from core.models import Approval, AuditEntry
from core.tests.api import bearer, new_key
from core.tests.approving import as_user
from core.tests.people import person, signed_in
from costs.models import Budget
from costs.services.budgets import budget_status
from costs.tests.budgeting import budget

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def above_half(settings: Any) -> None:
    settings.BUDGET_RAISE_APPROVAL_PERCENT = 50


def _limit(made: Budget, at: datetime) -> Decimal:
    return budget_status(made, at, forecast=False).limit


def _raise(made: Budget, amount: str) -> Any:
    key = new_key("budgets:read", "budgets:write")
    address = f"/api/v1/financial/budgets/{made.pk}/raise"
    body = json.dumps({"amount": amount, "reason": "launch"})
    return Client().post(address, body, content_type="application/json", headers=bearer(key))


def test_raise__beyond_the_limit__waits_and_happens_when_somebody_else_approves() -> None:
    now = timezone.now()
    made, otto = budget(now, "10"), person("otto", roles=("finance",))
    client = signed_in(person("maria", roles=("finance",)))

    answer = client.post(
        f"/admin/costs/budget/{made.pk}/raise/", {"_form_submitted": "on", "amount": "16", "reason": "launch"}
    )
    approval = Approval.objects.get()
    before = _limit(made, now)
    with as_user(otto):
        approvals.approve(approval.pk, by=otto, now=now)
    approvals.carry_out(approval.pk, clock=timezone.now)

    approval.refresh_from_db()
    assert (answer.status_code, before, approval.status) == (302, Decimal(10), "done")
    assert approval.description[0] == "Raise the hard budget “Budget” from 10.00 USD to 16.00 USD"
    assert _limit(made, timezone.now()) == Decimal(16)
    entry = AuditEntry.objects.get(action="budget.raised")
    assert (entry.actor_label, entry.reason) == ("maria", "launch (approved by otto)")


@pytest.mark.parametrize(("amount", "status"), [("15", 201), ("15.000000000001", 202), ("5", 201)])
def test_raise__by_a_key__is_done_up_to_the_limit_and_asked_for_beyond(amount: str, status: int) -> None:
    now = timezone.now()
    made = budget(now, "10")

    answer = _raise(made, amount)

    assert answer.status_code == status
    assert Approval.objects.count() == (1 if status == 202 else 0)
    assert _limit(made, timezone.now()) == (Decimal(10) if status == 202 else Decimal(amount))


def test_raise__of_a_soft_budget_or_with_the_rule_off__asks_nobody(settings: Any) -> None:
    soft = budget(timezone.now(), "10", mode="soft")
    assert _raise(soft, "1000").status_code == 201
    settings.BUDGET_RAISE_APPROVAL_PERCENT = 0
    assert _raise(budget(timezone.now(), "10"), "1000").status_code == 201
    assert not Approval.objects.exists()


def test_patch__beyond_the_limit__is_refused_with_the_way_to_ask() -> None:
    made = budget(timezone.now(), "10")
    body = json.dumps({"amount": "16", "reason": "launch"})

    answer = Client().patch(
        f"/api/v1/financial/budgets/{made.pk}",
        body,
        content_type="application/json",
        headers=bearer(new_key("budgets:read", "budgets:write")),
    )

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:agent-factory:problem:approval_needed")
    assert _limit(made, timezone.now()) == Decimal(10)


def test_carry_out__budget_archived_meanwhile__fails_visibly() -> None:
    from costs.services.budgets import archive_budget

    now = timezone.now()
    made, otto = budget(now, "10"), person("otto", roles=("finance",))
    approval = Approval.objects.get(pk=_raise(made, "16").json()["approval_id"])
    with as_user(otto):
        approvals.approve(approval.pk, by=otto, now=timezone.now())
    archive_budget(made.pk, now=timezone.now())

    approvals.carry_out(approval.pk, clock=timezone.now)

    approval.refresh_from_db()
    assert approval.status == "failed"
    assert "archived" in approval.error
