"""A clock that is set back or forward: money stays in its period, and nothing is told or freed twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from core.models import ConditionRecord
from costs.models import BudgetPeriod, Reservation, ThresholdFiring
from costs.services.budgets import budget_status
from costs.services.reservations.closing import expire_due
from costs.services.thresholds import evaluate_thresholds
from costs.tests.budgeting import budget, hold, spend

pytestmark = pytest.mark.django_db
FEBRUARY = datetime(2026, 2, 28, 23, 50, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, 0, 10, tzinfo=UTC)


def test_budget__clock_set_back_over_the_end_of_a_month__counts_each_cost_in_its_own_month() -> None:
    made = budget(FEBRUARY, "10")
    spend(MARCH, "4")
    # when the clock is found to be ahead, and set back into the month before
    spend(FEBRUARY, "3")
    # then comes forward again
    spend(MARCH + timedelta(minutes=5), "2")

    assert budget_status(made, FEBRUARY).spent == Decimal(3)
    assert budget_status(made, MARCH).spent == Decimal(6)
    starts = [period.start_at.month for period in BudgetPeriod.objects.order_by("start_at")]
    assert starts == [2, 3]


def test_threshold__told_before_the_clock_is_set_back__is_not_told_again() -> None:
    budget(FEBRUARY, "10")
    spend(MARCH, "9")
    assert evaluate_thresholds(now=MARCH).fired == 1

    done = [evaluate_thresholds(now=at).fired for at in (FEBRUARY, MARCH, MARCH + timedelta(minutes=1))]

    assert done == [0, 0, 0]
    assert ThresholdFiring.objects.count() == 1


def test_reservation__clock_set_back__is_kept_and_expires_once_when_its_time_has_come() -> None:
    made = budget(FEBRUARY, "10")
    hold(MARCH, "4")

    early = expire_due(now=FEBRUARY)
    late = [expire_due(now=MARCH + timedelta(days=2)) for _ in range(2)]

    assert (early, late) == (0, [1, 0])
    assert Reservation.objects.get().status == "expired"
    assert budget_status(made, MARCH).reserved == 0


def test_budget__clock_far_ahead_for_a_moment__leaves_the_present_period_as_it_was() -> None:
    made = budget(MARCH, "10")
    spend(MARCH, "9")
    evaluate_thresholds(now=MARCH)
    far = MARCH + timedelta(days=400)

    evaluate_thresholds(now=far)
    ahead = budget_status(made, far)

    assert (ahead.spent, ahead.limit) == (Decimal(0), Decimal(10))
    assert budget_status(made, MARCH).spent == Decimal(9)
    assert evaluate_thresholds(now=MARCH).fired == 0
    assert ThresholdFiring.objects.count() == 1
    assert ConditionRecord.objects.count() == 1
