"""The one reader of the ledger: totals, series and breakdowns over a window, exact and cheap.

Pages, panels, metrics, forecasts and the API ask here and nowhere else, so the same question has one answer
everywhere. A question costs at most three statements, however much it covers: the entity that it names, the sums, and
the names of the groups (plus one when the fold's age is asked for).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import QuerySet

from core.money import ZERO
from core.windows import Window, midnight
from costs import reader_rows
from costs.choices import CostType
from costs.models import CostCenter, CostEvent, Entity, FoldState
from costs.reader_plan import (
    TIME_DIMENSIONS,
    Answer,
    Filters,
    Group,
    Key,
    Measures,
    Question,
    QuestionError,
    bucket,
    buckets,
    plan,
    sum_of,
)

__all__ = [
    "Answer",
    "Filters",
    "Group",
    "Key",
    "Measures",
    "Question",
    "QuestionError",
    "ask",
    "buckets",
    "events",
    "midnight",
    "narrow",
    "organisation_zone",
    "sum_of",
    "total",
]

Cells = tuple[Any, ...]


def organisation_zone() -> ZoneInfo:
    """Return the time zone that days, weeks and months of the organisation are counted in."""
    zone: ZoneInfo = settings.ORGANISATION_ZONE
    return zone


def ask(question: Question) -> Answer:
    """Answer from the smallest source that is exact; an entity nobody has seen has no costs."""
    zone = organisation_zone()
    chosen = plan(question, zone)
    entities = _entities(question.filters)
    # Read before the sums, so that it never promises more than they hold.
    folded_at, horizon = (None, 0) if chosen.source == "events" else _fold_state()
    rows = [] if entities == [] else reader_rows.read(question, chosen, entities, zone, horizon)
    groups = _label(question, _merge(question, rows))
    return Answer(
        question=question,
        groups=groups,
        total=sum_of(group.measures for group in groups),
        base_currency=settings.BASE_CURRENCY,
        source=chosen.source,
        folded_at=folded_at,
    )


def total(window: Window, filters: Filters | None = None) -> Measures:
    """Return the sums of everything in the window that passes the filters."""
    return ask(Question(window=window, filters=filters or Filters())).total


def events(filters: Filters, window: Window) -> QuerySet[CostEvent]:
    """Return exactly the events behind a question with these filters, to list, page and export."""
    return narrow(CostEvent.objects.all(), filters, window)


def narrow(queryset: QuerySet[CostEvent], filters: Filters, window: Window | None) -> QuerySet[CostEvent]:
    """Keep of these events what passes the filters, in the window when there is one."""
    entities = _entities(filters)
    if entities == []:
        return queryset.none()
    if window is not None:
        queryset = reader_rows.occurred_within(queryset, window)
    return reader_rows.matching(queryset, filters, entities)


def _entities(filters: Filters) -> list[int] | None:
    """Return the keys of the entities that the filters name, or None when they name none."""
    wanted = {tuple(value.partition(":")[::2]) for value in filters.entities}
    wanted |= {filters.entity} if filters.entity else set()
    if not wanted:
        return None
    types, ids = {entity_type for entity_type, _ in wanted}, {entity_id for _, entity_id in wanted}
    rows = Entity.objects.filter(entity_type__in=types, entity_id__in=ids)
    found = rows.values_list("pk", "entity_type", "entity_id")
    return [pk for pk, entity_type, entity_id in found if (entity_type, entity_id) in wanted]


def _fold_state() -> tuple[datetime | None, int]:
    return FoldState.objects.values_list("folded_at", "horizon").first() or (None, 0)


def _merge(question: Question, rows: Iterable[Cells]) -> dict[Cells, Measures]:
    """Put the parts of the window, the currencies and the days of a week or month together, exactly."""
    width = len(question.group_by)
    merged: dict[Cells, Measures] = {}
    for row in rows:
        key = tuple(_plain(name, value) for name, value in zip(question.group_by, row[:width], strict=True))
        measures = _measures(question, row[width], row[width + 1 :])
        merged[key] = merged[key] + measures if key in merged else measures
    return merged


def _plain(name: str, value: Any) -> Any:
    if name in TIME_DIMENSIONS:
        return bucket(name, value)
    return "" if value is None else value


def _measures(question: Question, currency: str, sums: Cells) -> Measures:
    cells = iter(sums)
    base = next(cells)
    amounts = {currency: next(cells)} if question.original else {}
    counts = [next(cells) or 0 for _ in range(3)]
    tokens = [next(cells) or 0 for _ in range(2)] if question.tokens else [None, None]
    return Measures(base or ZERO, amounts, *counts, *tokens)


def _label(question: Question, merged: dict[Cells, Measures]) -> tuple[Group, ...]:
    names = [_names(name, {key[place] for key in merged}) for place, name in enumerate(question.group_by)]
    groups = (
        Group(tuple(known[value] for known, value in zip(names, key, strict=True)), measures)
        for key, measures in merged.items()
    )
    return tuple(sorted(groups, key=lambda group: tuple(key.value for key in group.keys)))


def _names(dimension: str, values: set[Any]) -> dict[Any, Key]:
    if dimension == "entity":
        rows = Entity.objects.filter(pk__in=values) if len(values) <= 500 else Entity.objects.all()
        return {
            pk: Key(f"{entity_type}:{entity_id}", name or f"{entity_type}:{entity_id}")
            for pk, entity_type, entity_id, name in rows.values_list("pk", "entity_type", "entity_id", "name")
        }
    if dimension == "cost_center":
        titles = {center.code: str(center) for center in CostCenter.objects.filter(code__in=values)}
        return {value: Key(value, titles.get(value, value)) for value in values}
    labels = dict(CostType.choices) if dimension == "cost_type" else {}
    return {value: Key(str(value), str(labels.get(value, value))) for value in values}
