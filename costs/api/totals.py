"""What an entity spent: in total, by a dimension, and over time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Any, Literal

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


class EntityQuery(Selection, kw_only=True):
    """Which costs of an entity are meant."""

    subtree: SubtreeToo = False


class TotalQuery(EntityQuery, kw_only=True):
    """What of an entity's costs is summed, and by what else it is broken down."""

    group_by: GroupBy = None


class BreakdownQuery(EntityQuery, kw_only=True):
    """What of an entity's costs is broken down, and by what."""

    by: Annotated[str, Meta(description="model, type, provider, day, hour, week, month, currency or tag:<key>")]
    limit: Annotated[int, Meta(ge=1, le=1000, description="How many groups; the rest is summed.")] = 100


class SeriesQuery(EntityQuery, kw_only=True):
    """What of an entity's costs is shown over time, and how fine."""

    grain: Literal["hour", "day", "week", "month"] = "day"


class GroupTotal(msgspec.Struct, kw_only=True):
    """The costs of one value of a dimension; the empty key holds those without one."""

    key: str
    total_cost: str
    event_count: int
    unpriced_count: int


class EntityAnswer(msgspec.Struct, kw_only=True):
    """Whose costs these are, in which window and currency, and what they come to."""

    entity_type: str
    entity_id: str
    currency: str
    start_date: datetime
    end_date: datetime
    total_cost: str


class EntityTotal(EntityAnswer, kw_only=True):
    """What an entity spent in a window, in the organisation's currency.

    Costs without a price or an exchange rate are in no sum; they are counted in `unpriced_count` and
    `unconverted_count`.
    """

    breakdown: dict[str, str]
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


class EntityBreakdown(EntityAnswer, kw_only=True):
    """What an entity spent, the dearest first; `rest` is the sum of all groups beyond the limit."""

    by: str
    groups: list[Share]
    rest: str


class Point(msgspec.Struct, kw_only=True):
    """The costs of one hour (its start in UTC), day, week (its Monday) or month of the organisation's zone."""

    at: str
    total_cost: str
    event_count: int


class EntitySeries(EntityAnswer, kw_only=True):
    """What an entity spent over time, with every bucket of the window, also the empty ones."""

    grain: str
    points: list[Point]


@dataclass(frozen=True, slots=True)
class _EntityCosts:
    """The costs of one entity at one moment, for a caller who may see them."""

    entity_type: str
    entity_id: str
    now: datetime

    @classmethod
    def allowed(cls, request: Request, entity_type: str, entity_id: str) -> _EntityCosts:
        caller(request).require_entity(entity_type, entity_id)
        return cls(entity_type, entity_id, timezone.now())

    def ask(self, wanted: EntityQuery, group_by: tuple[str, ...], *, tokens: bool = False) -> reader.Answer:
        window = wanted.window(self.now)
        filters = wanted.filters((self.entity_type, self.entity_id), subtree=wanted.subtree)
        return reader.ask(Question(window=window, filters=filters, group_by=group_by, tokens=tokens, original=False))

    def head(self, found: reader.Answer) -> dict[str, Any]:
        """Return the members that every answer begins with."""
        window = found.question.window
        return {
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "currency": found.base_currency,
            "start_date": window.start.astimezone(UTC),
            "end_date": window.end.astimezone(UTC),
            "total_cost": to_text(found.total.base_amount),
        }


class EntityCosts(ApiView):
    """The costs of one entity."""

    required_scopes = {"GET": "costs:read"}

    @operation("get_entity_costs", "Total of an entity", query=TotalQuery, answers={200: EntityTotal}, tag="costs")
    def get(self, request: Request, entity_type: str, entity_id: str) -> HttpResponse:
        """The exact total of the window and its breakdown by cost type, and by `group_by` when asked.

        The start is included, the end is not. Without a window: the current month. An entity that nobody has reported
        costs for has spent nothing.
        """
        costs = _EntityCosts.allowed(request, entity_type, entity_id)
        wanted = query(request, TotalQuery)
        further = dimension(wanted.group_by, "/group_by") if wanted.group_by else None
        dimensions = ("cost_type",) if further in {None, "cost_type"} else ("cost_type", str(further))
        asked = costs.ask(wanted, dimensions)
        found, by_type = asked.total, _folded(asked.groups, 0)
        return answer(
            EntityTotal(
                **costs.head(asked),
                breakdown={key: to_text(measures.base_amount) for key, measures in by_type.items()},
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
        costs = _EntityCosts.allowed(request, entity_type, entity_id)
        wanted = query(request, BreakdownQuery)
        asked = costs.ask(wanted, (dimension(wanted.by, "/by"),), tokens=True)
        top, rest = asked.top(wanted.limit)
        return answer(
            EntityBreakdown(
                **costs.head(asked),
                by=wanted.by,
                groups=[_share(group, asked.total.base_amount) for group in top],
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
        costs = _EntityCosts.allowed(request, entity_type, entity_id)
        wanted = query(request, SeriesQuery)
        _refuse_too_long(wanted.grain, wanted.window(costs.now))
        asked = costs.ask(wanted, (wanted.grain,))
        found = {group.keys[0].value: group.measures for group in asked.groups}
        return answer(
            EntitySeries(
                **costs.head(asked),
                grain=wanted.grain,
                points=[
                    _point(key, found.get(key, Measures()))
                    for key in reader.buckets(wanted.grain, asked.question.window, reader.organisation_zone())
                ],
            )
        )


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


_SECONDS = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 28 * 86_400}


def _refuse_too_long(grain: str, window: Window) -> None:
    if window.length.total_seconds() / _SECONDS[grain] > MOST_POINTS:
        detail = f"more than {MOST_POINTS} points: choose a shorter window or a coarser grain"
        raise Invalid(detail, errors=[FieldError("/grain", "too_fine", detail)])
