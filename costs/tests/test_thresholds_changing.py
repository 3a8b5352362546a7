"""Thresholds changed after the budget was made: told once, kept where they were told, refused where senseless."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from core.errors import Conflict, Invalid
from core.models import AuditEntry, ConditionRecord
from core.tests.people import administrator, person, signed_in
from costs.models import Budget, BudgetThreshold, ThresholdFiring
from costs.services.budgets import ThresholdTerms, archive_budget, budget_status, change_thresholds
from costs.services.thresholds import evaluate_thresholds
from costs.tests.api_client import Caller, pointers
from costs.tests.budgeting import budget, spend

pytestmark = pytest.mark.django_db
LIST = "/admin/costs/budget/"


def terms(*ratios: str, basis: str = "actual") -> list[ThresholdTerms]:
    return [ThresholdTerms(Decimal(ratio), basis) for ratio in ratios]


def ratios(made: Budget) -> list[str]:
    return [f"{row.ratio.normalize():f}" for row in BudgetThreshold.objects.filter(budget=made)]


def firing() -> list[str]:
    records = ConditionRecord.objects.filter(source="costs.budget", firing=True)
    return sorted(record.labels["threshold"] for record in records)


def sweeps(now: datetime) -> list[tuple[int, int]]:
    found = [evaluate_thresholds(now=now + timedelta(seconds=30 * number)) for number in range(2)]
    return [(done.fired, done.cleared) for done in found]


@pytest.fixture
def spent(now: datetime) -> Budget:
    """A budget of 10 of which 6 are spent, with thresholds at 80 % and 100 %; nothing was told yet."""
    made = budget(now, "10")
    spend(now, "6")
    assert sweeps(now) == [(0, 0), (0, 0)]
    return made


def test_threshold__moved_below_the_spending__is_told_once(now: datetime, spent: Budget) -> None:
    change_thresholds(spent.id, terms("0.6", "1"), now=now, reason="earlier")

    assert (sweeps(now), firing()) == ([(1, 0), (0, 0)], ["0.6"])
    entry = AuditEntry.objects.get(action="budget.thresholds_changed")
    assert entry.reason == "earlier"
    assert [row["ratio"] for row in entry.before["thresholds"]] == ["0.8", "1"]
    assert [row["ratio"] for row in entry.after["thresholds"]] == ["0.6", "1"]


def test_threshold__told_and_moved_lower__stays_told(now: datetime, spent: Budget) -> None:
    change_thresholds(spent.id, terms("0.6", "1"), now=now)
    sweeps(now)
    told = ThresholdFiring.objects.get()

    change_thresholds(spent.id, terms("0.5", "1"), now=now)

    assert sweeps(now) == [(0, 0), (0, 0)]
    assert ThresholdFiring.objects.get() == told
    assert len(firing()) == 1


def test_threshold__told_and_moved_above_the_spending__is_told_again_there(now: datetime, spent: Budget) -> None:
    change_thresholds(spent.id, terms("0.6"), now=now)
    sweeps(now)

    change_thresholds(spent.id, terms("0.7"), now=now)

    assert (sweeps(now), firing()) == ([(0, 1), (0, 0)], [])
    spend(now, "1")
    assert (sweeps(now), firing()) == ([(1, 0), (0, 0)], ["0.7"])
    assert ThresholdFiring.objects.count() == 2


def test_threshold__removed__clears_its_condition_and_no_other(now: datetime, spent: Budget) -> None:
    change_thresholds(spent.id, terms("0.3", "0.5"), now=now)
    assert sweeps(now) == [(2, 0), (0, 0)]

    change_thresholds(spent.id, terms("0.5"), now=now)

    assert (sweeps(now), firing()) == ([(0, 1), (0, 0)], ["0.5"])


def test_thresholds__same_again__write_nothing(now: datetime, spent: Budget) -> None:
    change_thresholds(spent.id, terms("0.6", "1"), now=now)
    before = list(BudgetThreshold.objects.values_list())

    change_thresholds(spent.id, terms("1", "0.6"), now=now)

    assert list(BudgetThreshold.objects.values_list()) == before
    assert AuditEntry.objects.filter(action="budget.thresholds_changed").count() == 1


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        (terms("0"), "/thresholds/0/ratio"),
        (terms("0.5", "10.1"), "/thresholds/1/ratio"),
        (terms("0.12345"), "/thresholds/0/ratio"),
        (terms("NaN"), "/thresholds/0/ratio"),
        (terms("0.5", "0.50"), "/thresholds/1/ratio"),
        (terms("0.5", basis="guess"), "/thresholds/0/basis"),
        ([ThresholdTerms(Decimal("0.5"), severity="awful")], "/thresholds/0/severity"),
        (terms(*(f"0.{number}" for number in range(10, 21))), "/thresholds"),
    ],
)
def test_thresholds__senseless__are_refused_and_nothing_changes(
    now: datetime, spent: Budget, wanted: list[ThresholdTerms], pointer: str
) -> None:
    with pytest.raises(Invalid) as refused:
        change_thresholds(spent.id, wanted, now=now)

    assert pointer in [error.pointer for error in refused.value.errors]
    assert ratios(spent) == ["0.8", "1"]


def test_thresholds__of_an_archived_budget__are_refused(now: datetime, spent: Budget) -> None:
    archive_budget(spent.id, now=now)

    with pytest.raises(Conflict):
        change_thresholds(spent.id, terms("0.5"), now=now)


def form(*lines: tuple[str, str, str], reason: str = "earlier") -> dict[str, Any]:
    """Return the posted dialog with these lines of percent, basis and severity."""
    cells = {f"threshold_{row}_{column}": cell for row, line in enumerate(lines) for column, cell in enumerate(line)}
    return {"_form_submitted": "on", "reason": reason, **cells}


def test_dialog__shows_what_is_there_and_saves_what_is_wanted(now: datetime, spent: Budget) -> None:
    client = signed_in(administrator())
    dialog = client.get(f"{LIST}{spent.pk}/thresholds/").content.decode()

    answer = client.post(
        f"{LIST}{spent.pk}/thresholds/",
        form(("82.5", "actual", "low"), ("", "actual", "high"), ("120", "forecast", "critical")),
    )

    assert 'value="80"' in dialog
    assert answer.status_code == 302
    found = [(str(row), row.severity) for row in BudgetThreshold.objects.filter(budget=spent)]
    assert found == [("82.5% of actual", "low"), ("120% of forecast", "critical")]
    assert AuditEntry.objects.get(action="budget.thresholds_changed").reason == "earlier"


@pytest.mark.parametrize(
    "posted",
    [
        form(("50", "actual", "low"), reason=""),
        form(("0", "actual", "low")),
        form(("1001", "actual", "low")),
        form(("50.001", "actual", "low")),
        form(("50", "actual", "low"), ("50", "actual", "high")),
        form(("50", "guess", "low")),
    ],
)
def test_dialog__senseless__says_it_and_changes_nothing(now: datetime, spent: Budget, posted: dict[str, Any]) -> None:
    answer = signed_in(administrator()).post(f"{LIST}{spent.pk}/thresholds/", posted)

    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert ratios(spent) == ["0.8", "1"]


def test_dialog__by_a_reader__is_refused(now: datetime, spent: Budget) -> None:
    reader: Client = signed_in(person(roles=("finance_viewer",)))

    assert reader.post(f"{LIST}{spent.pk}/thresholds/", form(("50", "actual", "low"))).status_code == 403
    assert ratios(spent) == ["0.8", "1"]


def test_api__thresholds_patched__replace_all_and_are_shown(spent: Budget) -> None:
    caller = Caller()
    wanted = [{"ratio": "0.5"}, {"ratio": 0.9, "basis": "forecast", "severity": "low"}]

    answer = caller.send(f"budgets/{spent.id}", {"thresholds": wanted, "reason": "earlier"}, method="PATCH")

    assert answer.status == 200, answer.body
    assert answer.body["thresholds"] == [
        {"ratio": 0.5, "basis": "actual", "severity": "medium"},
        {"ratio": 0.9, "basis": "forecast", "severity": "low"},
    ]
    assert answer.body["alert_threshold"] == 0.5
    assert budget_status(spent, timezone.now()).alert_threshold == Decimal("0.5")


def test_api__senseless_threshold__is_named_by_its_place(spent: Budget) -> None:
    answer = Caller().send(f"budgets/{spent.id}", {"thresholds": [{"ratio": 1}, {"ratio": 99}]}, method="PATCH")

    assert (answer.status, pointers(answer)) == (422, [("/thresholds/1/ratio", "out_of_range")])
    assert ratios(spent) == ["0.8", "1"]
