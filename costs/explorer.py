"""What the cost explorer shows: a period, a grouping and a measure, read from an address and answered by the reader.

The chart is over time, stacked by group; the table has one row per group (and per second dimension). Every row and
every bar is the selection of exactly its events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.http import QueryDict

from core.money import ZERO
from core.windows import Window, calendar_period, midnight
from costs import reader
from costs.reader_links import Selection, SelectionError, filters, instant, narrowed
from costs.reader_plan import TAG, Answer, Filters, Group, Key, Measures, Question, buckets, sum_of

PERIODS = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "Last 7 days",
    "30d": "Last 30 days",
    "90d": "Last 90 days",
    "month": "This month",
    "last_month": "Last month",
    "quarter": "This quarter",
    "year": "This year",
    "custom": "From … to …",
}
GROUPS = {
    "cost_type": "Cost type",
    "entity": "Entity",
    "entity_type": "Entity type",
    "cost_center": "Cost centre",
    "provider": "Provider",
    "model": "Model",
    "currency": "Currency",
    "": "Nothing: one total",
}
GRAINS = {"auto": "Automatic", "hour": "Hour", "day": "Day", "week": "Week", "month": "Month"}
MEASURES = {
    "base": "Cost in the base currency",
    "original": "Cost in original currencies",
    "events": "Number of events",
    "tokens": "Tokens",
}
# Dimensions with so many values that a chart of all of them would mean reading far more than it shows.
WIDE = ("entity",)
CHART_SERIES = 8
OTHERS = "All others"
LONGEST = timedelta(days=5 * 366)
LONGEST_BY_HOUR = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class View:
    """What is asked of the explorer; it has an address that asks the same again."""

    window: Window
    filters: Filters
    period: str = "30d"
    group: str = "cost_type"
    split: str = ""
    grain: str = "day"
    measure: str = "base"
    asked_grain: str = "auto"

    @property
    def selection(self) -> Selection:
        """The costs that are looked at, without how."""
        return Selection(self.window, self.filters)

    @property
    def table_dimensions(self) -> tuple[str, ...]:
        """The dimensions of a row of the table."""
        return tuple(name for name in (self.group, self.split) if name)

    def query(self, **changes: str) -> str:
        """Return the address's query, with some of it changed."""
        own = {
            "period": self.period,
            "group": self.group,
            "split": self.split,
            "grain": self.asked_grain,
            "measure": self.measure,
        }
        fixed = [pair for pair in self.selection.pairs() if self.period == "custom" or pair[0] not in {"from", "to"}]
        return urlencode([*(own | changes).items(), *fixed])


def view(parameters: QueryDict, now: datetime, zone: ZoneInfo) -> View:
    """Read what is asked from an address; raises SelectionError with what is wrong."""
    period = _one_of(parameters, "period", PERIODS, "30d")
    window = custom_window(parameters, zone) if period == "custom" else preset(period, now, zone)
    asked = _one_of(parameters, "grain", GRAINS, "auto")
    group, split = _dimension(parameters, "group", "cost_type"), _dimension(parameters, "split", "")
    return View(
        window=window,
        filters=filters(parameters),
        period=period,
        group=group,
        split="" if split == group else split,
        grain=_grain(asked, window),
        measure=_one_of(parameters, "measure", MEASURES, "base"),
        asked_grain=asked,
    )


def _one_of(parameters: QueryDict, name: str, allowed: dict[str, str], default: str) -> str:
    value = parameters.get(name) or default
    if value not in allowed:
        raise SelectionError(f"{name} is one of {', '.join(allowed)}, not {value!r}")
    return value


def _dimension(parameters: QueryDict, name: str, default: str) -> str:
    given = parameters.getlist(name)
    value = (given[-1] if given else default).strip()
    if value not in GROUPS and not (value.startswith(TAG) and len(value) > len(TAG)):
        raise SelectionError(f"costs are not grouped by {value!r}")
    return value


def preset(period: str, now: datetime, zone: ZoneInfo) -> Window:
    """Return the window of a preset: whole days of the organisation, today included to its end."""
    today = calendar_period("daily", now, zone)
    if period in {"7d", "30d", "90d"}:
        first = today.start.astimezone(zone).date() - timedelta(days=int(period[:-1]) - 1)
        return Window(midnight(first, zone), today.end)
    if period == "yesterday":
        return calendar_period("daily", today.start - timedelta(hours=1), zone)
    if period == "last_month":
        return calendar_period("monthly", calendar_period("monthly", now, zone).start - timedelta(hours=12), zone)
    kinds = {"month": "monthly", "quarter": "quarterly", "year": "yearly"}
    if period in kinds:
        return Window(calendar_period(kinds[period], now, zone).start, today.end)  # type: ignore[arg-type]  # its words
    return today


def custom_window(parameters: QueryDict, zone: ZoneInfo) -> Window:
    """Return the window between two days or instants; both days of a form are included in full."""
    first, last = parameters.get("from") or "", parameters.get("to") or ""
    if not first or not last:
        raise SelectionError("choose the first and the last day")
    start, end = instant(first, zone), instant(last, zone)
    if len(last) == 10:
        end = midnight(end.astimezone(zone).date() + timedelta(days=1), zone)
    if end <= start:
        raise SelectionError("the period ends before it starts")
    if end - start > LONGEST:
        raise SelectionError("the longest period is five years")
    return Window(start, end)


def _grain(asked: str, window: Window) -> str:
    if asked == "hour" and window.length > LONGEST_BY_HOUR:
        return "day"
    if asked != "auto":
        return asked
    if window.length <= timedelta(days=2):
        return "hour"
    return (
        "day" if window.length <= timedelta(days=100) else "week" if window.length <= timedelta(days=400) else "month"
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: its keys, its sums, its share of the measure's total, and the selection of its events."""

    keys: tuple[Key, ...]
    measures: Measures
    share: Decimal | None
    selection: Selection


@dataclass(frozen=True, slots=True)
class Bars:
    """The chart: buckets of time and one list of values per series."""

    buckets: tuple[str, ...]
    labels: tuple[str, ...]
    series: tuple[tuple[str, Key | None, tuple[Decimal, ...]], ...]


@dataclass(frozen=True, slots=True)
class Exploration:
    """Everything the explorer's page and export show."""

    view: View
    rows: tuple[Row, ...]
    total: Measures
    bars: Bars
    currencies: tuple[str, ...]
    chart_currency: str
    answer: Answer
    previous: Measures = field(default_factory=Measures)

    def value(self, measures: Measures) -> Decimal:
        """Return the chosen measure of some sums."""
        return value_of(self.view.measure, self.chart_currency)(measures)


def value_of(measure: str, currency: str) -> Callable[[Measures], Decimal]:
    """Return the function that takes the chosen measure out of some sums."""
    if measure == "events":
        return lambda sums: Decimal(sums.event_count)
    if measure == "tokens":
        return lambda sums: Decimal((sums.input_tokens or 0) + (sums.output_tokens or 0))
    if measure == "original":
        return lambda sums: sums.amounts.get(currency, ZERO)
    return lambda sums: sums.base_amount


def explore(asked: View, zone: ZoneInfo) -> Exploration:
    """Answer what is asked with a number of reads that does not depend on how much there is."""
    tokens, original = asked.measure == "tokens", asked.measure == "original"
    question = Question(asked.window, asked.filters, (), tokens=tokens, original=original)
    if asked.group in WIDE or asked.split:
        answer = reader.ask(replace(question, group_by=asked.table_dimensions))
        over_time = None
    else:
        # One read gives both: the rows of the table are the sums of the bars.
        over_time = reader.ask(replace(question, group_by=(asked.grain, *asked.table_dimensions)))
        answer = replace(over_time, groups=_without_time(over_time))
    currencies = tuple(sorted(answer.total.amounts, key=lambda code: (-answer.total.amounts[code], code)))
    shown = asked.filters.currency or (currencies[0] if currencies else answer.base_currency)
    value = value_of(asked.measure, shown)
    return Exploration(
        view=asked,
        rows=_rows(asked, answer, value, zone),
        total=answer.total,
        bars=_bars(asked, answer, over_time, value, zone),
        currencies=currencies,
        chart_currency=shown,
        answer=answer,
        previous=reader.ask(replace(question, window=_before(asked.window, zone))).total,
    )


def bars_of(asked: View, over_time: Answer, zone: ZoneInfo) -> Bars:
    """Return the chart alone, from an answer by grain and group that covers at least the asked window."""
    answer = replace(over_time, groups=_without_time(over_time))
    return _bars(asked, answer, over_time, value_of(asked.measure, over_time.base_currency), zone)


def _before(window: Window, zone: ZoneInfo) -> Window:
    """Return the window of as many local days (or as much time) just before this one."""
    first, last = window.start.astimezone(zone), window.end.astimezone(zone)
    if midnight(first.date(), zone) == window.start and midnight(last.date(), zone) == window.end:
        return Window(midnight(first.date() - (last.date() - first.date()), zone), window.start)
    return Window(window.start - window.length, window.start)


def _without_time(answer: Answer) -> tuple[Group, ...]:
    merged: dict[tuple[Key, ...], list[Measures]] = {}
    for group in answer.groups:
        merged.setdefault(group.keys[1:], []).append(group.measures)
    return tuple(Group(keys, sum_of(parts)) for keys, parts in merged.items())


def _rows(asked: View, answer: Answer, value: Callable[[Measures], Decimal], zone: ZoneInfo) -> tuple[Row, ...]:
    whole = value(answer.total)
    ranked = sorted(answer.groups, key=lambda group: (-value(group.measures), tuple(key.value for key in group.keys)))
    return tuple(
        Row(
            keys=group.keys,
            measures=group.measures,
            share=value(group.measures) / whole if whole else None,
            selection=narrowed(asked.selection, asked.table_dimensions, group.keys, zone),
        )
        for group in ranked
    )


def _bars(
    asked: View, answer: Answer, over_time: Answer | None, value: Callable[[Measures], Decimal], zone: ZoneInfo
) -> Bars:
    keys = buckets(asked.grain, asked.window, zone)
    top = _top_keys(asked, answer, value)
    cells = _cells(asked, over_time, top, value)
    series = [(key.label, key, tuple(cells.get((bucket, key.value), ZERO) for bucket in keys)) for key in top]
    others = tuple(
        cells.get((bucket, None), ZERO) - sum((values[place] for _, _, values in series), ZERO)
        for place, bucket in enumerate(keys)
    )
    found: list[Any] = [*series]
    if any(others):
        found.append((OTHERS if series else "Total", None, others))
    return Bars(tuple(keys), tuple(bucket_label(asked.grain, key, zone) for key in keys), tuple(found))


def _top_keys(asked: View, answer: Answer, value: Callable[[Measures], Decimal]) -> list[Key]:
    if not asked.group:
        return []
    sums: dict[Key, Decimal] = {}
    for group in answer.groups:
        sums[group.keys[0]] = sums.get(group.keys[0], ZERO) + value(group.measures)
    ranked = sorted(sums, key=lambda key: (-sums[key], key.value))
    return _distinct(ranked[: CHART_SERIES if len(ranked) > CHART_SERIES + 1 else CHART_SERIES + 1])


def _distinct(keys: list[Key]) -> list[Key]:
    """Give every series a label of its own: two agents may have the same name."""
    labels = [key.label or "(none)" for key in keys]
    return [
        replace(key, label=f"{label} ({key.value})" if labels.count(label) > 1 else label)
        for key, label in zip(keys, labels, strict=True)
    ]


def _cells(
    asked: View, over_time: Answer | None, top: list[Key], value: Callable[[Measures], Decimal]
) -> dict[tuple[str, str | None], Decimal]:
    """Return the value of each bucket and series; the bucket's total stands under None."""
    tokens, original = asked.measure == "tokens", asked.measure == "original"
    cells: dict[tuple[str, str | None], Decimal] = {}
    if over_time is not None:
        answers = [over_time]
    else:
        question = Question(asked.window, asked.filters, (asked.grain,), tokens=tokens, original=original)
        answers = [reader.ask(question)]
        if asked.group and top:
            narrow = _only(asked, top)
            answers.append(reader.ask(replace(question, filters=narrow, group_by=(asked.grain, asked.group))))
    for answer in answers:
        for group in answer.groups:
            names: list[str | None] = [None] if len(group.keys) == 1 else [group.keys[1].value]
            names += [None] if over_time is not None and len(group.keys) > 1 else []
            for name in names:
                place = (group.keys[0].value, name)
                cells[place] = cells.get(place, ZERO) + value(group.measures)
    return cells


def _only(asked: View, top: list[Key]) -> Filters:
    """Narrow to the entities that the chart shows, unless the selection names one already."""
    if asked.group != "entity" or asked.filters.entity is not None:
        return asked.filters
    return replace(asked.filters, entities=tuple(key.value for key in top))


def bucket_label(grain: str, key: str, zone: ZoneInfo) -> str:
    """Return the words under a bar."""
    if grain == "hour":
        return datetime.fromisoformat(key).astimezone(zone).strftime("%m-%d %H:%M")
    return f"week of {key}" if grain == "week" else key


def bar_selection(found: Exploration, label: str, series: str, zone: ZoneInfo) -> Selection | None:
    """Return the costs behind one bar; for all others together, those of its bucket; None when there is no such bar."""
    places = dict(zip(found.bars.labels, found.bars.buckets, strict=True))
    if label not in places:
        return None
    bucket = Key(places[label], label)
    for name, key, _ in found.bars.series:
        if name == series and key is not None:
            return narrowed(found.view.selection, (found.view.grain, found.view.group), (bucket, key), zone)
    return narrowed(found.view.selection, (found.view.grain,), (bucket,), zone)
