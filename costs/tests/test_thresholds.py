"""Thresholds: told once per period, again after a raise, and cleared when the reason is gone."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from core.models import ConditionRecord
from core.ports.controls import controls
from core.ports.metrics import metrics
from core.ports.schedules import schedules
from core.windows import Window
from costs import tasks
from costs.choices import ThresholdBasis
from costs.models import BudgetPeriod, Reservation, ThresholdFiring
from costs.services.budgets import archive_budget, raise_budget, set_active
from costs.services.reservations import reserve
from costs.services.thresholds import evaluate_thresholds
from costs.tests.budgeting import AGENT, CLIENT, ask, budget, hold, period_of, spend

pytestmark = pytest.mark.django_db


def firing() -> list[str]:
    """Return what is wrong, by the ends of the conditions' summaries."""
    records = ConditionRecord.objects.filter(source="costs.budget", firing=True).order_by("key")
    return sorted(record.labels.get("threshold", "overrun") for record in records)


def sweep(at: datetime) -> tuple[int, int]:
    done = evaluate_thresholds(now=at)
    return done.fired, done.cleared


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_threshold__reached_exactly__is_told_once_however_often_we_look(mode: str, now: datetime) -> None:
    made = budget(now, "10", mode=mode, name="Writers")
    spend(now, "7.999999999999")
    assert (sweep(now), firing()) == ((0, 0), [])

    spend(now, "0.000000000001")

    assert [sweep(now + timedelta(seconds=30 * number)) for number in range(3)] == [(1, 0), (0, 0), (0, 0)]
    record = ConditionRecord.objects.get(source="costs.budget")
    assert (record.firing, record.revision, record.severity) == (True, 1, "medium")
    assert record.summary == "Budget Writers has reached 80% of 10 USD with 8"
    assert record.labels["entity_id"] == AGENT[1]
    assert record.link == f"/admin/costs/budget/{made.id}/change/"
    assert ThresholdFiring.objects.get().value == Decimal(8)


def test_threshold__budget_used_up__tells_both(now: datetime) -> None:
    budget(now, "10")
    spend(now, "10")

    assert (sweep(now), firing()) == ((2, 0), ["0.8", "1"])


def test_threshold__next_period__clears_and_may_tell_again(now: datetime) -> None:
    budget(now, "10", period="daily")
    spend(now, "9")
    sweep(now)
    tomorrow = now + timedelta(days=1)

    assert (sweep(tomorrow), firing()) == ((0, 1), [])
    spend(tomorrow, "9")
    assert (sweep(tomorrow), firing()) == ((1, 0), ["0.8"])
    assert ThresholdFiring.objects.count() == 2


def test_threshold__budget_raised__clears_and_tells_again_under_the_new_limit(now: datetime) -> None:
    made = budget(now, "10")
    spend(now, "9")
    sweep(now)

    raise_budget(made.id, Decimal(20), reason="more work", now=now)
    assert (sweep(now), firing()) == ((0, 1), [])
    spend(now, "7")

    assert (sweep(now), firing()) == ((1, 0), ["0.8"])
    assert list(ThresholdFiring.objects.order_by("id").values_list("limit", "cleared_at")) == [
        (Decimal(10), now), (Decimal(20), None),
    ]  # fmt: skip


def test_threshold__temporary_raise_that_ends__tells_again(now: datetime) -> None:
    made = budget(now, "10")
    spend(now, "9")
    sweep(now)
    raise_budget(made.id, Decimal(20), reason="spike", now=now, expires_at=now + timedelta(hours=1))
    assert sweep(now) == (0, 1)

    assert (sweep(now + timedelta(hours=1)), firing()) == ((1, 0), ["0.8"])


@pytest.mark.parametrize("act", [lambda made, at: set_active(made.id, active=False, now=at),
                                 lambda made, at: archive_budget(made.id, now=at)])  # fmt: skip
def test_threshold__budget_no_longer_enforced__is_cleared(act: Any, now: datetime) -> None:
    made = budget(now, "10")
    spend(now, "9")
    sweep(now)

    act(made, now)

    assert (sweep(now), firing()) == ((0, 1), [])


def test_threshold__monitoring_budget__tells_nobody(now: datetime) -> None:
    budget(now, "1", mode="monitor")
    spend(now, "5")

    assert sweep(now) == (0, 0)


def test_threshold__budget_of_zero__is_reached_by_the_first_spend_only(now: datetime) -> None:
    budget(now, "0")
    assert sweep(now) == (0, 0)

    spend(now, "0.01")

    assert (sweep(now), firing()) == ((3, 0), ["0.8", "1", "overrun"])


def test_overrun__of_a_hard_limit__is_a_condition_until_the_period_ends(now: datetime) -> None:
    budget(now, "10", period="daily", alert_threshold=None)
    spend(now, "12")

    assert (sweep(now), firing()) == ((2, 0), ["1", "overrun"])
    assert sweep(now) == (0, 0)
    record = ConditionRecord.objects.get(key__endswith=":overrun")
    assert (record.severity, "2 USD went past the hard limit of 10" in record.summary) == ("high", True)
    assert (sweep(now + timedelta(days=1)), firing()) == ((0, 2), [])


def test_forecast_threshold__is_told_by_the_forecast_and_not_by_the_spend(now: datetime) -> None:
    budget(now, "30", mode="soft", forecast_threshold=Decimal(1))
    for back in range(28, 0, -1):
        spend(now, "1", occurred_at=now - timedelta(days=back))

    assert sweep(now) == (0, 0)
    # 17 spent, 13.5 to come.
    assert evaluate_thresholds(now=now, basis=ThresholdBasis.FORECAST).fired == 1
    assert evaluate_thresholds(now=now, basis=ThresholdBasis.FORECAST).fired == 0
    assert sweep(now + timedelta(seconds=30)) == (0, 0)
    record = ConditionRecord.objects.get(source="costs.budget")
    assert (record.firing, record.severity, record.labels["basis"]) == (True, "low", "forecast")
    assert "is expected to reach 100% of 30 USD with 30.5" in record.summary


def test_sweep__of_many_budgets__takes_as_many_queries_as_of_one(
    now: datetime, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        budget(now, "10", mode=("hard", "soft")[number % 2])
    spend(now, "3")

    with django_assert_max_num_queries(12):
        done = evaluate_thresholds(now=now)

    assert (done.budget_count, done.fired) == (20, 0)


@pytest.mark.django_db(transaction=True)
def test_sweep__by_many_at_once__tells_once(now: datetime) -> None:
    budget(now, "10")
    spend(now, "10")
    fired: list[int] = []

    def run() -> None:
        try:
            fired.append(evaluate_thresholds(now=now).fired)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(fired), sum(fired), firing()) == (5, 2, ["0.8", "1"])
    assert list(ConditionRecord.objects.values_list("revision", flat=True)) == [1, 1]


# --- Tasks and ports -------------------------------------------------------------------------------------------------
def test_tasks__delivered_twice__expire_and_tell_once() -> None:
    from django.utils import timezone

    at = timezone.now()
    made = budget(at, "10")
    spend(at, "9")
    reserve(ask(), client=CLIENT, key="k", now=at - timedelta(hours=1))

    for _ in range(2):
        tasks.expire_reservations()
        tasks.evaluate_thresholds()
        tasks.evaluate_forecasts()

    assert (period_of(made).reserved, Reservation.objects.get().status) == (Decimal(0), "expired")
    assert (ThresholdFiring.objects.count(), firing()) == (1, ["0.8"])


def test_tasks__without_any_budget__do_nothing() -> None:
    tasks.expire_reservations()
    tasks.evaluate_thresholds()
    tasks.evaluate_forecasts()

    assert BudgetPeriod.objects.count() == 0


def test_schedules__of_budgets__name_tasks_that_exist() -> None:
    for name in ("expire_reservations", "evaluate_thresholds", "evaluate_forecasts"):
        assert schedules.get(f"costs.{name}").task == getattr(tasks, name).name


@pytest.mark.parametrize("mode", ["hard", "soft"])
def test_metric__usage_ratio__is_spent_over_limit_of_the_budgets_asked_for(mode: str, now: datetime) -> None:
    made, other = budget(now, "8", name="A", mode=mode), budget(now, "0", name="B")
    spend(now, "2")
    read = metrics.get("costs.budget.usage_ratio").read
    window = Window(now - timedelta(hours=1), now)

    assert [(dict(s.labels), s.value) for s in read(window, None, None)] == [
        ({"budget": str(made.id), "name": "A"}, Decimal("0.25"))
    ]
    assert read(window, [{"budget": str(other.id)}], None) == []


def test_control__reserved_equals_pending__passes_fails_and_says_when_there_is_nothing(now: datetime) -> None:
    run = controls.get("costs.reserved_equals_pending").run
    assert run(now).outcome == "empty"
    made = budget(now, "10")
    hold(now, "4")
    assert (run(now).outcome, run(now).population) == ("passed", 1)

    BudgetPeriod.objects.filter(budget=made).update(reserved=Decimal("3.999999999999"))

    assert (run(now).outcome, run(now).evidence["different"]) == ("failed", [str(period_of(made).id)])
