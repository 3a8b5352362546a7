"""Which budgets count an event: those of its entity's ancestors and those of everything, where their filters match."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, QuerySet

from core.windows import Window, calendar_period
from costs.models import Budget

Calendar = tuple[str, int, str]


Filters = tuple[str, str, str]


class Scope(NamedTuple):
    """A budget as far as counting needs it; blank filters match everything. `number` names it within a batch."""

    number: int
    id: UUID
    filters: Filters
    currency: str
    hard: bool
    calendar: Calendar
    created_at: datetime


class Scopes:
    """The budgets that may count a batch: by entity (its own and its ancestors'), and those of everything."""

    def __init__(self) -> None:
        self._found: dict[tuple[int | None, Filters], list[Scope]] = defaultdict(list)
        # Which filters are in use together: mostly one or two of the eight ways.
        self._shapes: set[tuple[bool, bool, bool]] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, entity: int | None, scope: Scope) -> None:
        """Note that a budget covers an entity (None: every entity)."""
        cost_type, provider, model = scope.filters
        self._shapes.add((cost_type != "", provider != "", model != ""))
        self._found[entity, scope.filters].append(scope)

    def of(self, entity: int, cost_type: str, provider: str, model: str) -> list[Scope]:
        """Return the budgets that count an event of this kind, by a look-up for each way of filtering in use."""
        matching: list[Scope] = []
        for by_type, by_provider, by_model in self._shapes:
            # An event without a model passes no budget that names one.
            if (by_type and not cost_type) or (by_provider and not provider) or (by_model and not model):
                continue
            filters = (cost_type if by_type else "", provider if by_provider else "", model if by_model else "")
            matching += self._found.get((entity, filters), ())
            matching += self._found.get((None, filters), ())
        return matching


class Windows:
    """The calendar periods of instants, worked out once for each calendar and period."""

    def __init__(self) -> None:
        self._known: dict[Calendar, list[Window]] = {}

    def at(self, calendar: Calendar, instant: datetime) -> Window:
        """Return the period of this calendar that holds the instant."""
        known = self._known.setdefault(calendar, [])
        for window in reversed(known):
            if instant in window:
                return window
        window = window_of(calendar, instant)
        known.append(window)
        return window


def calendar_of(budget: Budget) -> Calendar:
    """Return what decides where a budget's periods begin."""
    return (budget.period, budget.anchor, budget.time_zone)


def window_of(calendar: Calendar, instant: datetime) -> Window:
    """Return the period of this calendar that holds the instant, in the budget's own time zone."""
    kind, anchor, zone = calendar
    return calendar_period(kind, instant, ZoneInfo(zone), anchor=anchor)  # type: ignore[arg-type]  # checked on creation


_COLUMNS = "b.id, b.cost_type, b.provider, b.model, b.currency, b.mode, b.period, b.anchor, b.time_zone, b.created_at"


def counting_scopes(entities: Collection[int], *, hard_only: bool) -> Scopes:
    """Look up, by one query, every budget that is not archived and may count events of these entities."""
    postgresql = connection.vendor == "postgresql"
    among = "= ANY(%s)" if postgresql else "IN (SELECT value FROM json_each(%s))"
    kept = "b.archived_at IS NULL" + (" AND b.mode = 'hard'" if hard_only else "")
    ids = sorted(set(entities))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT c.descendant_id, {_COLUMNS} FROM costs_entityclosure c"  # noqa: S608  # fixed text
            f" JOIN costs_budget b ON b.entity_id = c.ancestor_id WHERE c.descendant_id {among} AND {kept}"
            f" UNION ALL SELECT NULL, {_COLUMNS} FROM costs_budget b WHERE b.entity_id IS NULL AND {kept}",
            # One text on both: the driver takes ten times as long to adapt a list.
            [f"{{{str(ids)[1:-1]}}}" if postgresql else str(ids)],
        )
        rows = cursor.fetchall()
    scopes = Scopes()
    known: dict[Any, Scope] = {}
    for entity, *columns in rows:
        scope = known.get(columns[0])
        if scope is None:
            scope = known[columns[0]] = _scope(len(known), columns)
        scopes.add(entity, scope)
    return scopes


def _scope(number: int, columns: list[Any]) -> Scope:
    key, cost_type, provider, model, currency, mode, period, anchor, zone, created_at = columns
    return Scope(
        number=number,
        id=key if isinstance(key, UUID) else UUID(key),
        filters=(cost_type, provider, model),
        currency=currency,
        hard=mode == "hard",
        calendar=(period, anchor, zone),
        # SQLite keeps UTC without saying so.
        created_at=created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC),
    )


def enforced_budgets(entity: int | None, cost_type: str, provider: str, model: str) -> QuerySet[Budget]:
    """Return the budgets that a spend of this entity has to pass; an entity not seen yet passes the general ones."""
    mine = Q(entity__isnull=True)
    if entity is not None:
        mine |= Q(entity__descendant_links__descendant_id=entity)
    return Budget.objects.filter(
        mine,
        active=True,
        archived_at__isnull=True,
        cost_type__in=["", cost_type],
        provider__in=["", provider],
        model__in=["", model],
    ).order_by("id")
