"""What a resource's page shows above its form: where it stands, when it runs out and how sure that is."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any, Literal

from django.conf import settings
from django.urls import reverse

from core.ports.metrics import metrics
from core.ports.panels import Chart, Figure, Series, Table
from slas.models import CapacityForecast, CapacityResource
from slas.services.capacity import daily_values

DAYS_SHOWN = 90
METHODS = {"seasonal_naive": "as last week", "seasonal_trend": "weekday shares with a trend"}


def capacity_page(resource: CapacityResource, now: datetime) -> dict[str, Any]:
    """Return figures, chart, tables and the sentence of a resource."""
    today = now.astimezone(settings.ORGANISATION_ZONE).date()
    daily = daily_values(resource, today)
    forecast = resource.forecasts.first()
    return {
        "capacity_says": _says(resource, forecast, len(daily)),
        "capacity_figures": _figures(resource, forecast) if forecast else [],
        "capacity_chart": _chart(resource, daily, forecast, today) if daily else None,
        "capacity_tables": _tables(forecast) if forecast else [],
        "capacity_error": resource.last_error,
    }


def in_days(day: date, days: float | None) -> str:
    """Return when something is reached in words; `days` are counted from `day`, None is not in sight."""
    if days is None:
        return "not in sight"
    return "now" if not days else f"{day + timedelta(days=int(days)):%Y-%m-%d} (in {days:.0f} days)"


def _says(resource: CapacityResource, forecast: CapacityForecast | None, days: int) -> str:
    if forecast is None:
        return f"{days} complete days were measured; a forecast takes seven."
    usable = f"{resource.limit.normalize():f} less {resource.headroom_ratio:.0%} headroom"
    if forecast.days_expected is None:
        return f"At the present pace {usable} is not reached within ten years."
    if not forecast.days_expected:
        return f"{usable} is used up."
    return f"At the present pace {usable} is reached on {in_days(forecast.day, forecast.days_expected)}."


def _figures(resource: CapacityResource, forecast: CapacityForecast) -> list[Figure]:
    unit = metrics.get(resource.metric).unit if resource.metric in metrics else ""
    expected = forecast.days_expected
    tone: Literal["good", "warning", "bad"] = "good"
    if expected is not None and expected <= resource.lead_days:
        tone = "bad"
    elif forecast.days_earliest is not None and forecast.days_earliest <= resource.lead_days:
        tone = "warning"
    samples = f"{reverse('admin:slas_capacitysample_changelist')}?resource__id__exact={resource.pk}"
    between = (
        f"between {in_days(forecast.day, forecast.days_earliest)} and {in_days(forecast.day, forecast.days_latest)}"
    )
    return [
        Figure("Used", f"{forecast.level / float(resource.limit):.1%}", f"{forecast.level:,.6g} {unit}", samples),
        Figure("Growth per day", f"{forecast.slope:+,.4g}", f"from {forecast.history_days} days", samples),
        Figure("Runs out", in_days(forecast.day, expected), between, tone=tone),
    ]


def _chart(
    resource: CapacityResource, daily: dict[date, float], forecast: CapacityForecast | None, today: date
) -> Chart:
    """Return the measured days, the trend line through the coming two weeks, and the limit."""
    first = max(min(daily), today - timedelta(days=DAYS_SHOWN))
    days = [first + timedelta(days=step) for step in range((today - first).days + 14)]
    measured = [daily.get(day) for day in days]
    series = [Series("Measured", measured)]  # type: ignore[arg-type]  # a gap where there is nothing
    if forecast is not None:
        line = [
            forecast.level + forecast.slope * (day - forecast.day).days if day >= forecast.day else None for day in days
        ]
        series.append(Series("Trend", line))  # type: ignore[arg-type]
    series.append(Series("Limit", [float(resource.limit)] * len(days)))
    return Chart("Measured, trend and limit", "line", [day.isoformat() for day in days], series)


def _tables(forecast: CapacityForecast) -> list[Table]:
    if not forecast.demand:
        return []
    rows = [
        ((day["day"], f"{day['expected']:,.6g}", f"{day['low']:,.6g} to {day['high']:,.6g}"), "")
        for day in forecast.demand["days"]
    ]
    tests = [
        (
            (
                METHODS[test["method"]],
                "–" if test["mase"] is None else f"{test['mase']:.2f}",
                f"{test['mean_absolute_error']:,.4g}",
                str(test["origins"]),
            ),
            "",
        )
        for test in forecast.demand["back_tests"]
    ]
    shown = METHODS[forecast.demand["method"]]
    return [
        Table(f"The coming two weeks, {shown}", ("Day", "Expected", "Four of five"), rows),
        Table("How the methods did on the past", ("Method", "Scaled error", "Mean error", "Origins"), tests),
    ]
