"""What a budget's page shows above its form: how the period goes, who spends it, what was decided."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse

from core.money import ZERO, multiply
from core.ports.panels import Chart, Figure, Series, Table
from core.windows import Window
from costs import reader
from costs.admin.explorer_parts import Tone, events_link
from costs.amounts import amount, exact_percent, percent
from costs.forecast import Forecast
from costs.models import Budget, BudgetPeriod, BudgetRevision, ThresholdFiring
from costs.reader_links import Selection
from costs.reader_plan import Filters, Question
from costs.services.budgets import BudgetStatus, budget_status, standings

SPENDERS_SHOWN = 10
ROWS_SHOWN = 12
POINTS_SHOWN = 400


def budget_page(budget: Budget, now: datetime) -> dict[str, Any]:
    """Return figures, burn-down, biggest spenders, revisions, thresholds and earlier periods of a budget."""
    status = budget_status(budget, now)
    rate = standings([budget], now=now)[budget.pk].rate
    selection = Selection(status.period, filters_of(budget))
    return {
        "budget_figures": _figures(budget, status, selection),
        "budget_status": status,
        "budget_chart": _burn_down(budget, status, rate, now),
        "budget_tables": [
            _spenders(budget, status),
            _thresholds(budget, status),
            _revisions(budget, now),
            _periods(budget),
        ],
        "budget_note": _note(budget, status),
    }


def filters_of(budget: Budget) -> Filters:
    """Return the costs that a budget counts."""
    entity = budget.entity
    return Filters(
        entity=None if entity is None else (entity.entity_type, entity.entity_id),
        subtree=entity is not None,
        cost_types=(budget.cost_type,) if budget.cost_type else (),
        provider=budget.provider or None,
        model=budget.model or None,
    )


def _figures(budget: Budget, status: BudgetStatus, selection: Selection) -> list[Figure]:
    code = budget.currency
    tone: Tone = "bad" if status.is_over_budget else "warning" if status.should_alert else "good"
    found = [
        Figure("Spent", amount(status.spent, code),
               f"{percent(status.spent, status.limit)} of {amount(status.limit, code)}", events_link(selection), tone),
        Figure("Set aside", amount(status.reserved, code), "for calls under way", _reservations_link(budget)),
        Figure("Remaining", amount(status.remaining, code), f"until {_day(status.period.end, budget)}",
               tone="bad" if status.remaining < 0 else "neutral"),
        _forecast_figure(status.forecast, status.limit, code),
    ]  # fmt: skip
    if status.overrun:
        found.append(Figure("Overrun", amount(status.overrun, code), "spent past the limit unreserved", tone="bad"))
    return found


def _forecast_figure(forecast: Forecast | None, limit: Decimal, code: str) -> Figure:
    if forecast is None:
        return Figure("Forecast", "–", "nothing to go by yet")
    note = f"between {amount(forecast.low)} and {amount(forecast.high)}, from {forecast.history_days} days"
    return Figure(
        "Forecast at the end",
        amount(forecast.expected, code),
        note,
        tone="warning" if forecast.expected > limit else "neutral",
    )


def _reservations_link(budget: Budget) -> str:
    return f"{reverse('admin:costs_reservation_changelist')}?status__exact=pending&budget={budget.pk}"


def _day(at: datetime, budget: Budget) -> str:
    return f"{at.astimezone(ZoneInfo(budget.time_zone)):%Y-%m-%d %H:%M}"


def _burn_down(budget: Budget, status: BudgetStatus, rate: Decimal, now: datetime) -> Chart:
    """Return the running total against the limit, with the way to the forecast from today on."""
    zone = reader.organisation_zone()
    grain = "hour" if status.period.length <= timedelta(days=2) else "day"
    keys = reader.buckets(grain, status.period, zone)[:POINTS_SHOWN]
    so_far = Window(status.period.start, max(status.period.start, min(now, status.period.end)))
    answer = reader.ask(Question(status.period, filters_of(budget), (grain,)))
    spent = {group.keys[0].value: _in_currency(group.measures, budget.currency, rate) for group in answer.groups}
    actual, running = [], ZERO
    past = set(reader.buckets(grain, so_far, zone))
    for key in keys:
        running += spent.get(key, ZERO)
        actual.append(float(round(running, 6)) if key in past else None)
    series = [Series("Spent", actual)]  # type: ignore[arg-type]  # a gap where there is nothing yet
    if status.forecast is not None:
        series.append(Series("Forecast", _towards(actual, float(status.forecast.expected))))  # type: ignore[arg-type]
    series.append(Series("Limit", [float(status.limit)] * len(keys)))
    labels = [_label(grain, key, zone) for key in keys]
    return Chart("Spent so far against the limit", "line", labels, series, unit=budget.currency)


def _in_currency(measures: reader.Measures, currency: str, rate: Decimal) -> Decimal:
    """Return what a budget counts: its own currency as it is, all others by their base amount and the frozen rate."""
    own = measures.amounts.get(currency, ZERO)
    return own if set(measures.amounts) <= {currency} else multiply(measures.base_amount, rate)


def _label(grain: str, key: str, zone: ZoneInfo) -> str:
    return datetime.fromisoformat(key).astimezone(zone).strftime("%m-%d %H:%M") if grain == "hour" else key


def _towards(actual: list[float | None], end: float) -> list[float | None]:
    """Return a straight line from the last known point to the forecast at the end of the period."""
    known = [place for place, value in enumerate(actual) if value is not None]
    last = known[-1] if known else 0
    begin = (actual[last] or 0.0) if known else 0.0
    steps = len(actual) - 1 - last
    rise = (end - begin) / steps if steps else 0.0
    return [None] * last + [round(begin + rise * step, 6) for step in range(steps + 1)]


def _spenders(budget: Budget, status: BudgetStatus) -> Table:
    """Return who spends the budget of this period, biggest first, each with its events."""
    filters = filters_of(budget)
    answer = reader.ask(Question(status.period, filters, ("entity",), original=False))
    top, rest = answer.top(SPENDERS_SHOWN)
    whole = answer.total.base_amount
    rows = [
        (
            [
                group.keys[0].label,
                amount(group.measures.base_amount, answer.base_currency),
                percent(group.measures.base_amount, whole),
            ],
            events_link(Selection(status.period, _of_entity(filters, group.keys[0].value))),
        )
        for group in top
    ]
    if rest is not None:
        rows.append(
            (["All others", amount(rest.base_amount, answer.base_currency), percent(rest.base_amount, whole)], "")
        )
    return Table("Biggest spenders of this period", ["Entity", "Spent", "Share"], rows)


def _of_entity(filters: Filters, value: str) -> Filters:
    entity_type, _, entity_id = value.partition(":")
    return replace(filters, entity=(entity_type, entity_id), subtree=False)


def _thresholds(budget: Budget, status: BudgetStatus) -> Table:
    fired: dict[int, ThresholdFiring] = {}
    for firing in ThresholdFiring.objects.filter(period__budget=budget, period__start_at=status.period.start).order_by(
        "id"
    ):
        fired[firing.threshold_id] = firing
    rows = [
        (
            [
                f"{exact_percent(threshold.ratio)} of {threshold.get_basis_display().lower()}",
                threshold.severity.capitalize(),
                _fired(fired.get(threshold.pk), budget),
            ],
            "",
        )
        for threshold in status.thresholds
    ]
    return Table("Thresholds", ["At", "Severity", "Passed in this period"], rows)


def _fired(firing: ThresholdFiring | None, budget: Budget) -> str:
    return "–" if firing is None else f"{_day(firing.fired_at, budget)}, at {amount(firing.value, budget.currency)}"


def _revisions(budget: Budget, now: datetime) -> Table:
    rows = [
        (
            [
                _day(revision.effective_from, budget),
                amount(revision.amount, budget.currency),
                _until(revision, budget, now),
                revision.reason,
                revision.created_by or "–",
            ],
            "",
        )
        for revision in BudgetRevision.objects.filter(budget=budget)[:ROWS_SHOWN]
    ]
    return Table("What was decided", ["From", "Amount", "Until", "Reason", "By"], rows)


def _until(revision: BudgetRevision, budget: Budget, now: datetime) -> str:
    if revision.expires_at is None:
        return "for good"
    return f"{_day(revision.expires_at, budget)}{' (over)' if revision.expires_at <= now else ''}"


def _periods(budget: Budget) -> Table:
    periods = BudgetPeriod.objects.filter(budget=budget)[:ROWS_SHOWN]
    link = f"{reverse('admin:costs_budgetperiod_changelist')}?budget__id__exact={budget.pk}"
    rows = [
        (
            [
                _day(period.start_at, budget),
                amount(period.spent, budget.currency),
                amount(period.limit, budget.currency),
                percent(period.spent, period.limit),
            ],
            events_link(Selection(Window(period.start_at, period.end_at), filters_of(budget))),
        )
        for period in periods
    ]
    return Table("Periods", ["Beginning", "Spent", "Limit", "Used"], rows, link=link)


def _note(budget: Budget, status: BudgetStatus) -> str:
    begin, end = _day(status.period.start, budget), _day(status.period.end, budget)
    return (
        f"{budget.get_period_display()} period from {begin} up to, not including, {end} ({budget.time_zone})."
        f" Mode: {budget.get_mode_display()}. Costs in other currencies count by their base amount and the rate"
        " frozen when the period began."
    )
