"""The queries of the reader: one grouped SELECT per part of the window, all of them joined into one statement.

One statement sees one state of the database, so an event that is folded meanwhile is counted once, either in its
rollup or in the unfolded tail.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import (
    Case,
    DateField,
    DateTimeField,
    F,
    Func,
    QuerySet,
    Sum,
    TextField,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce, Trunc, TruncDate
from django.db.models.sql.compiler import SQLCompiler

from core.money import MoneySum
from core.windows import Window
from costs.models import CostEvent, EntityClosure, EntityDayRollup, ModelHourRollup
from costs.reader_plan import TAG, TIME_DIMENSIONS, UTC, Filters, Plan, Question, Source, offsets

Rows = QuerySet[Any, Any]
COUNTS = ("event_count", "unpriced_count", "unconverted_count")
TOKENS = ("input_tokens", "output_tokens")
_MODELS: dict[Source, Any] = {"entity_day": EntityDayRollup, "model_hour": ModelHourRollup, "events": CostEvent}
_INSTANT: dict[Source, str] = {"entity_day": "day", "model_hour": "hour", "events": "occurred_at"}
_PATHS = {
    "entity": "entity_id",
    "entity_type": "entity__entity_type",
    "cost_center": "entity__cost_center__code",
}


class _ShiftedDate(Func):
    """SQLite's own date of an instant moved by an offset: thirty times faster than a Python function per row."""

    function = "date"
    output_field = DateField()


class _SqliteHour(Func):
    """The hour of an instant as SQLite stores it: text in UTC."""

    template = "(substr(%(expressions)s, 1, 13) || ':00:00')"
    output_field = DateTimeField()


class _SqliteMinute(Func):
    template = "(substr(%(expressions)s, 1, 16) || ':00')"
    output_field = DateTimeField()


def local_day(column: str, window: Window, zone: ZoneInfo) -> Combinable:
    """Return the day in `zone` of an instant that lies in `window`."""
    if connection.vendor != "sqlite":
        return TruncDate(column, tzinfo=zone)
    changes = offsets(window, zone)
    whens = [
        When(**{f"{column}__lt": until}, then=_shifted(column, offset)) for (_, offset), (until, _) in pairwise(changes)
    ]
    return Case(*whens, default=_shifted(column, changes[-1][1])) if whens else _shifted(column, changes[-1][1])


def _shifted(column: str, offset: timedelta) -> Func:
    return _ShiftedDate(F(column), Value(f"{int(offset.total_seconds()):+d} seconds"))


def _utc_start(name: str, column: str) -> Combinable:
    if connection.vendor == "sqlite":
        return _SqliteHour(F(column)) if name == "hour" else _SqliteMinute(F(column))
    return Trunc(column, name, tzinfo=UTC)


def _expression(name: str, source: Source, window: Window, zone: ZoneInfo) -> Combinable:
    """Return the SQL of one dimension; weeks and months are read by day and put together afterwards."""
    if name.startswith(TAG):
        return _tag(name.removeprefix(TAG))
    if name in {"hour", "minute"}:
        return F("hour") if source == "model_hour" else _utc_start(name, "occurred_at")
    if name in TIME_DIMENSIONS:
        return F("day") if source == "entity_day" else local_day(_INSTANT[source], window, zone)
    return F(_PATHS.get(name, name))


def matching(rows: Rows, filters: Filters, entities: Sequence[int] | None) -> Rows:
    """Narrow the rows of any source by the filters; `entities` are the keys of the entities they name."""
    if entities is not None and filters.subtree:
        below = EntityClosure.objects.filter(ancestor_id__in=entities).values("descendant_id")
        rows = rows.filter(entity_id__in=below)
    elif entities is not None:
        rows = rows.filter(entity_id__in=entities)
    exact = {
        "entity__entity_type": filters.entity_type,
        "provider": filters.provider,
        "model": filters.model,
        "currency": filters.currency,
        "price_status": filters.price_status,
        "entity__cost_center__code": filters.cost_center or None,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value is not None})
    if filters.cost_center == "":
        rows = rows.filter(entity__cost_center__isnull=True)
    if filters.cost_types:
        rows = rows.filter(cost_type__in=filters.cost_types)
    for number, (key, value) in enumerate(sorted(filters.tags.items())):
        rows = rows.alias(**{f"tag_{number}": _tag(key)}).filter(**{f"tag_{number}": value})
    return rows


def _tag(key: str) -> Combinable:
    return Coalesce(KeyTextTransform(key, "tags"), Value(""), output_field=TextField())


class _InOrder(Func):
    """The column; in an ordered query as an expression, which keeps SQLite from using an index on it.

    A query without an order, such as the count of a list, has nothing to gain from reading in the order of the keys.
    """

    output_field = DateTimeField()

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        sign = "+" if compiler.query.order_by else ""
        return self.as_sql(compiler, connection, template=f"{sign}%(expressions)s", **context)


# SQLite knows no better than to sort all of a long window for its first rows; in the order of their keys the newest
# events come first anyway.
LONGEST_BY_TIME = timedelta(days=2)


def occurred_within(rows: QuerySet[CostEvent], window: Window) -> QuerySet[CostEvent]:
    """Narrow a list of events that is read newest first, so that its first page is cheap for any window."""
    if connection.vendor != "sqlite" or window.length <= LONGEST_BY_TIME:
        return rows.filter(occurred_at__gte=window.start, occurred_at__lt=window.end)
    rows = rows.alias(instant=_InOrder(F("occurred_at")))
    return rows.filter(instant__gte=window.start, instant__lt=window.end)


def _within(source: Source, window: Window, zone: ZoneInfo) -> Rows:
    rows: Rows = _MODELS[source].objects.order_by()
    name = _INSTANT[source]
    start, end = window.start, window.end
    if source == "entity_day":
        return rows.filter(day__gte=start.astimezone(zone).date(), day__lt=end.astimezone(zone).date())
    return rows.filter(**{f"{name}__gte": start, f"{name}__lt": end})


def _sums(question: Question) -> dict[str, Any]:
    """Return the aggregates in a fixed order; every source has the same columns, so a sum is a plain sum."""
    sums: dict[str, Any] = {"sum_base": MoneySum("base_amount")}
    if question.original:
        sums["sum_amount"] = MoneySum("amount")
    counted = COUNTS + TOKENS if question.tokens else COUNTS
    return sums | {f"sum_{name}": Sum(name) for name in counted}


def _grouped(rows: Rows, source: Source, question: Question, window: Window, zone: ZoneInfo) -> Rows:
    names = {
        f"group_{number}": _expression(name, source, window, zone) for number, name in enumerate(question.group_by)
    }
    # Grouping by currency always: a sum over different currencies would mean nothing.
    names["group_currency"] = F("currency")
    sums = _sums(question)
    grouped: Rows = rows.values(**names).annotate(**sums).values_list(*names, *sums)
    return grouped


def _parts(
    question: Question, chosen: Plan, entities: Sequence[int] | None, zone: ZoneInfo, horizon: int
) -> Iterator[Rows]:
    if chosen.source != "events":
        folded = matching(_within(chosen.source, chosen.core, zone), question.filters, entities)
        yield _grouped(folded, chosen.source, question, chosen.core, zone)
        if connection.vendor == "postgresql":
            unfolded = CostEvent.objects.unfolded(known_horizon=horizon).order_by().within(chosen.core)
            tail = matching(unfolded, question.filters, entities)
            yield _grouped(tail, "events", question, chosen.core, zone)
    for edge in chosen.edges:
        rows = matching(_within("events", edge, zone), question.filters, entities)
        yield _grouped(rows, "events", question, edge, zone)


def read(
    question: Question, chosen: Plan, entities: Sequence[int] | None, zone: ZoneInfo, horizon: int = 0
) -> list[tuple[Any, ...]]:
    """Return (dimensions…, currency, base sum, amount sum, counts…, tokens…) per group and part, in one statement.

    `horizon` is one that was read before, for the planner.
    """
    parts = list(_parts(question, chosen, entities, zone, horizon))
    if not parts:
        return []
    return list(parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0])
