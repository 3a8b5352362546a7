"""What an entity spent: in total, by a dimension, and over time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal

import msgspec
from django.http import HttpResponse
from django.utils import timezone
from msgspec import Meta
from rest_framework.request import Request

from core.api.authentication import caller
from core.api.parameters import query
from core.api.rendering import answer
from core.api.schema import operation
from core.api.views import ApiView
from core.errors import FieldError, Invalid
from core.money import to_text
from core.windows import Window
from costs import reader
from costs.api.selection import Selection, SubtreeToo, dimension
from costs.reader import Group, Measures, Question

MOST_POINTS = 5000
GroupBy = Annotated[
    str | None, Meta(description="model, type, provider, day, hour, week, month, currency or tag:<key>")
]


class TotalQuery(Selection, kw_only=True):
    """What of an entity's costs is summed, and by what else it is broken down."""

    group_by: GroupBy = None
    subtree: SubtreeToo = False


class BreakdownQuery(Selection, kw_only=True):
    """What of an entity's costs is broken down, and by what."""

    by: Annotated[str, Meta(description="model, type, provider, day, hour, week, month, currency or tag:<key>")]
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many groups; the rest is summed.")] = 100
    subtree: SubtreeToo = False


class SeriesQuery(Selection, kw_only=True):
    """What of an entity's costs is shown over time, and how fine."""

    grain: Literal["hour", "day", "week", "month"] = "day"
    subtree: SubtreeToo = False


class GroupTotal(msgspec.Struct, kw_only=True):
    """The costs of one value of a dimension; the empty key holds those without one."""

    key: str
    total_cost: str
    event_count: int
    unpriced_count: int


class EntityTotal(msgspec.Struct, kw_only=True):
    """What an entity spent in a window, in the organisation's currency.

    Costs without a price or an exchange rate are in no sum; they are counted in `unpriced_count` and
    `unconverted_count`.
    """

    entity_type: str
    entity_id: str
    currency: str
    total_cost: str
    breakdown: dict[str, str]
    start_date: datetime
    end_date: datetime
    event_count: int
    unpriced_count: int
    unconverted_count: int
    group_by: str | None
    groups: list[GroupTotal]


class Share(GroupTotal, kw_only=True):
    """One part of a breakdown, with its share of the whole and its tokens."""

    share_percent: str | None
    input_tokens: int
    output_tokens: int


class EntityBreakdown(msgspec.Struct, kw_only=True):
    """What an entity spent, the dearest first; `rest` is the sum of all groups beyond the limit."""

    entity_type: str
    entity_id: str
    currency: str
    by: str
    start_date: datetime
    end_date: datetime
    total_cost: str
    groups: list[Share]
    rest: str


class Point(msgspec.Struct, kw_only=True):
    """The costs of one hour (its start in UTC), day, week (its Monday) or month of the organisation's zone."""

    at: str
    total_cost: str
    event_count: int


class EntitySeries(msgspec.Struct, kw_only=True):
    """What an entity spent over time, with every bucket of the window, also the empty ones."""

    entity_type: str
    entity_id: str
    currency: str
    grain: str
    start_date: datetime
    end_date: datetime
    total_cost: str
    points: list[Point]


class EntityCosts(ApiView):
    """The costs of one entity."""

    required_scopes = {"GET": "costs:read"}

    @operation("get_entity_costs", "Total of an entity", query=TotalQuery, answers={200: EntityTotal}, tag="costs")
    def get(self, request: Request, entity_type: str, entity_id: str) -> HttpResponse:
        """The exact total of the window and its breakdown by cost type, and by `group_by` when asked.

        The start is included, the end is not. Without a window: the current month. An entity that nobody has reported
        costs for has spent nothing.
        """
        caller(request).require_entity(entity_type, entity_id)
        wanted = query(request, TotalQuery)
        further = dimension(wanted.group_by, "/group_by") if wanted.group_by else None
        window = wanted.window(timezone.now())
        dimensions = ("cost_type",) if further in {None, "cost_type"} else ("cost_type", str(further))
        asked = _ask(wanted, window, (entity_type, entity_id), dimensions, subtree=wanted.subtree)
        found, by_type = asked.total, _folded(asked.groups, 0)
        return answer(
            EntityTotal(
                entity_type=entity_type,
                entity_id=entity_id,
                currency=asked.base_currency,
                total_cost=to_text(found.base_amount),
                breakdown={key: to_text(measures.base_amount) for key, measures in by_type.items()},
                start_date=_utc(window.start),
                end_date=_utc(window.end),
                event_count=found.event_count,
                unpriced_count=found.unpriced_count,
                unconverted_count=found.unconverted_count,
                group_by=wanted.group_by,
                groups=[_group(*pair) for pair in _folded(asked.groups, -1).items()] if further else [],
            )
        )


class EntityCostBreakdown(ApiView):
    """The costs of one entity by a dimension."""

    required_scopes = {"GET": "costs:read"}

    @operation(
        "get_entity_breakdown",
        "Breakdown of an entity's costs",
        query=BreakdownQuery,
        answers={200: EntityBreakdown},
        tag="costs",
    )
    def get(self, request: Request, entity_type: str, entity_id: str) -> HttpResponse:
        """What the total consists of, with shares and tokens."""
        caller(request).require_entity(entity_type, entity_id)
        wanted = query(request, BreakdownQuery)
        by = dimension(wanted.by, "/by")
        window = wanted.window(timezone.now())
        asked = _ask(wanted, window, (entity_type, entity_id), (by,), subtree=wanted.subtree, tokens=True)
        top, rest = asked.top(wanted.limit)
        total = asked.total.base_amount
        return answer(
            EntityBreakdown(
                entity_type=entity_type,
                entity_id=entity_id,
                currency=asked.base_currency,
                by=wanted.by,
                start_date=_utc(window.start),
                end_date=_utc(window.end),
                total_cost=to_text(total),
                groups=[_share(group, total) for group in top],
                rest=to_text(rest.base_amount) if rest else "0",
            )
        )


class EntityCostSeries(ApiView):
    """The costs of one entity over time."""

    required_scopes = {"GET": "costs:read"}

    @operation(
        "get_entity_timeseries",
        "An entity's costs over time",
        query=SeriesQuery,
        answers={200: EntitySeries},
        tag="costs",
    )
    def get(self, request: Request, entity_type: str, entity_id: str) -> HttpResponse:
        """One point for each hour, day, week or month that the window touches; their sum is the total."""
        caller(request).require_entity(entity_type, entity_id)
        wanted = query(request, SeriesQuery)
        window = wanted.window(timezone.now())
        _refuse_too_long(wanted.grain, window)
        asked = _ask(wanted, window, (entity_type, entity_id), (wanted.grain,), subtree=wanted.subtree)
        found = {group.keys[0].value: group.measures for group in asked.groups}
        return answer(
            EntitySeries(
                entity_type=entity_type,
                entity_id=entity_id,
                currency=asked.base_currency,
                grain=wanted.grain,
                start_date=_utc(window.start),
                end_date=_utc(window.end),
                total_cost=to_text(asked.total.base_amount),
                points=[
                    _point(key, found.get(key, Measures()))
                    for key in reader.buckets(wanted.grain, window, reader.organisation_zone())
                ],
            )
        )


def _ask(
    wanted: Selection,
    window: Window,
    entity: tuple[str, str],
    group_by: tuple[str, ...],
    *,
    subtree: bool,
    tokens: bool = False,
) -> reader.Answer:
    filters = wanted.filters(entity, subtree=subtree)
    return reader.ask(Question(window=window, filters=filters, group_by=group_by, tokens=tokens, original=False))


def _folded(groups: Iterable[Group], place: int) -> dict[str, Measures]:
    """Return the sums by one of the dimensions of the groups."""
    sums: dict[str, Measures] = {}
    for group in groups:
        key = group.keys[place].value
        sums[key] = sums[key] + group.measures if key in sums else group.measures
    return dict(sorted(sums.items()))


def _group(key: str, measures: Measures) -> GroupTotal:
    return GroupTotal(
        key=key,
        total_cost=to_text(measures.base_amount),
        event_count=measures.event_count,
        unpriced_count=measures.unpriced_count,
    )


def _share(group: Group, total: Decimal) -> Share:
    measures = group.measures
    share = (measures.base_amount * 100 / total).quantize(Decimal("0.01"), ROUND_HALF_EVEN) if total else None
    return Share(
        key=group.keys[0].value,
        total_cost=to_text(measures.base_amount),
        event_count=measures.event_count,
        unpriced_count=measures.unpriced_count,
        share_percent=None if share is None else to_text(share),
        input_tokens=measures.input_tokens or 0,
        output_tokens=measures.output_tokens or 0,
    )


def _point(key: str, measures: Measures) -> Point:
    return Point(at=key, total_cost=to_text(measures.base_amount), event_count=measures.event_count)


def _utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)


_SECONDS = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 28 * 86_400}


def _refuse_too_long(grain: str, window: Window) -> None:
    if window.length.total_seconds() / _SECONDS[grain] > MOST_POINTS:
        detail = f"more than {MOST_POINTS} points: choose a shorter window or a coarser grain"
        raise Invalid(detail, errors=[FieldError("/grain", "too_fine", detail)])
