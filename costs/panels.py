"""What the costs app shows on the home page: spending with its forecast, budgets that need somebody, open questions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse

from core.money import ZERO
from core.ports.panels import Chart, Figure, Panel, Series, Table
from core.windows import Window, calendar_period, midnight
from costs import explorer, reader
from costs.amounts import amount, change, count, percent
from costs.choices import BudgetMode, QueueStatus
from costs.forecast import forecast_total
from costs.models import Budget, IngestReject, UnpricedModel
from costs.reader_links import Selection
from costs.reader_plan import Answer, Filters, Question
from costs.services.budgets import BudgetStatus, budget_statuses

CHART_DAYS = 30
ENTITIES_SHOWN = 8
BUDGETS_SHOWN = 8
BUDGETS_READ = 500
EVENTS = "admin:costs_costevent_changelist"


def spending(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return this month, yesterday, the forecast, what is open, a chart of 30 days and who spends most."""
    zone = reader.organisation_zone()
    today = calendar_period("daily", now, zone)
    month = calendar_period("monthly", now, zone)
    first = midnight(today.start.astimezone(zone).date() - timedelta(days=CHART_DAYS), zone)
    window = Window(min(month.start, first), today.end)
    answer = reader.ask(Question(window, group_by=("day", "cost_type"), original=False))
    if not answer.total.event_count:
        return _open_questions()
    days = _by_day(answer)
    return [
        _month_to_date(answer, days, month, today, zone),
        _yesterday(days, today.start.astimezone(zone).date(), zone),
        _forecast(days, month, now, zone),
        *_open_questions(),
        _chart(answer, now, zone),
        _top_entities(now),
    ]


def _by_day(answer: Answer) -> dict[date, Decimal]:
    days: dict[date, Decimal] = {}
    for group in answer.groups:
        day = date.fromisoformat(group.keys[0].value)
        days[day] = days.get(day, ZERO) + group.measures.base_amount
    return days


def _month_to_date(answer: Answer, days: dict[date, Decimal], month: Window, today: Window, zone: ZoneInfo) -> Figure:
    spent = _sum_from(days, month.start.astimezone(zone).date())
    link = _events(Selection(Window(month.start, today.end), Filters()))
    since = f"since {month.start.astimezone(zone):%Y-%m-%d}"
    return Figure("Spent this month", amount(spent, answer.base_currency), since, link)


def _sum_from(days: dict[date, Decimal], first: date) -> Decimal:
    return sum((value for day, value in days.items() if day >= first), ZERO)


def _yesterday(days: dict[date, Decimal], today: date, zone: ZoneInfo) -> Figure:
    """Return yesterday beside the same weekday a week before: Mondays are not Sundays."""
    day, before = today - timedelta(days=1), today - timedelta(days=8)
    spent, compared = days.get(day, ZERO), days.get(before, ZERO)
    note = f"{change(spent, compared)} ({before:%A} before)"
    link = _events(Selection(Window(midnight(day, zone), midnight(today, zone)), Filters()))
    return Figure(f"Yesterday ({day:%A})", amount(spent, settings.BASE_CURRENCY), note, link)


def _forecast(days: dict[date, Decimal], month: Window, now: datetime, zone: ZoneInfo) -> Figure:
    today = now.astimezone(zone).date()
    complete = {day: value for day, value in days.items() if day < today}
    spent = _sum_from(days, month.start.astimezone(zone).date())
    found = forecast_total(complete, spent=spent, period=month, now=now, zone=zone)
    link = reverse("admin:costs_explorer") + "?period=month"
    if found is None:
        return Figure("Forecast for the month", "–", "nothing to go by yet", link)
    note = f"between {amount(found.low)} and {amount(found.high)}, four times out of five"
    return Figure("Forecast for the month", amount(found.expected, settings.BASE_CURRENCY), note, link)


def _open_questions() -> list[Figure]:
    unpriced = UnpricedModel.objects.filter(status=QueueStatus.OPEN).count()
    rejects = IngestReject.objects.filter(status=QueueStatus.OPEN).count()
    found = []
    if unpriced:
        link = reverse("admin:costs_unpricedmodel_changelist")
        found.append(Figure("Models without a price", count(unpriced), "their costs have no amount", link, "warning"))
    if rejects:
        link = reverse("admin:costs_ingestreject_changelist")
        found.append(Figure("Refused items", count(rejects), "wait to be mended", link, "warning"))
    return found


def _chart(answer: Answer, now: datetime, zone: ZoneInfo) -> Chart:
    """Return the explorer's own chart of the last 30 days, so that a click leads where the explorer's would."""
    asked = explorer.View(explorer.preset("30d", now, zone), Filters())
    bars = explorer.bars_of(asked, answer, zone)
    return Chart(
        title="Last 30 days by cost type",
        kind="stacked",
        labels=bars.labels,
        series=[Series(label, [round(float(value), 6) for value in values]) for label, _, values in bars.series],
        unit=settings.BASE_CURRENCY,
        drill=f"{reverse('admin:costs_explorer_rows')}?{asked.query()}&bar={{label}}&series={{series}}",
    )


def _top_entities(now: datetime) -> Table:
    window = explorer.preset("30d", now, reader.organisation_zone())
    answer = reader.ask(Question(window, group_by=("entity",), original=False))
    top, rest = answer.top(ENTITIES_SHOWN)
    whole = answer.total.base_amount
    rows = []
    for group in top:
        entity_type, _, entity_id = group.keys[0].value.partition(":")
        spent = group.measures.base_amount
        link = _events(Selection(window, replace(Filters(), entity=(entity_type, entity_id))))
        rows.append(([group.keys[0].label, amount(spent, answer.base_currency), percent(spent, whole)], link))
    if rest is not None:
        spent = rest.base_amount
        rows.append((["All others", amount(spent, answer.base_currency), percent(spent, whole)], ""))
    link = f"{reverse('admin:costs_explorer')}?{urlencode({'period': '30d', 'group': 'entity'})}"
    return Table("Biggest spenders, last 30 days", ["Entity", "Spent", "Share"], rows, link=link)


def _events(selection: Selection) -> str:
    return f"{reverse(EVENTS)}?{selection.query()}"


def budgets(now: datetime) -> Sequence[Figure | Chart | Table]:
    """Return how many budgets are over or near their limit, and those that need somebody, the fullest first."""
    rows = list(Budget.objects.filter(active=True, archived_at__isnull=True).select_related("entity")[:BUDGETS_READ])
    if not rows:
        return []
    statuses = list(budget_statuses(rows, now).values())
    over = [status for status in statuses if status.is_over_budget]
    near = [status for status in statuses if status.should_alert and not status.is_over_budget]
    link = reverse("admin:costs_budget_changelist")
    return [
        Figure("Budgets over their limit", count(len(over)), f"of {len(rows)}", link, "bad" if over else "good"),
        Figure("Budgets near their limit", count(len(near)), "past their first threshold", link,
               "warning" if near else "good"),
        _fullest(statuses),
    ]  # fmt: skip


def _fullest(statuses: list[BudgetStatus]) -> Table:
    def used(status: BudgetStatus) -> Decimal:
        return status.spent / status.limit if status.limit else Decimal(10**6 if status.spent else 0)

    ranked = sorted(statuses, key=lambda status: (-used(status), status.budget.name))[:BUDGETS_SHOWN]
    rows = [
        (
            [
                status.budget.name,
                percent(status.spent, status.limit),
                f"{amount(status.spent)} of {amount(status.limit, status.budget.currency)}",
                BudgetMode(status.budget.mode).value.capitalize(),
            ],
            reverse("admin:costs_budget_change", args=[status.budget.pk]),
        )
        for status in ranked
    ]
    link = reverse("admin:costs_budget_changelist")
    return Table("Fullest budgets", ["Budget", "Used", "Spent", "Mode"], rows, link=link)


PANELS = (
    Panel(
        key="costs.spending",
        title="Spending",
        permission="costs.view_costevent",
        build=spending,
        order=10,
        empty="Record the first cost over the API, or open the cost explorer for a command to copy.",
    ),
    Panel(
        key="costs.budgets",
        title="Budgets",
        permission="costs.view_budget",
        build=budgets,
        order=12,
        empty="No budget yet: add one under Budgets, and it counts from the beginning of its period.",
    ),
)
