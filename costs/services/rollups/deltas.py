"""SQLite: what written events add to the rollups, summed here and added in the transaction that writes them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection

from core.money import CONTEXT, ZERO


class Addend(NamedTuple):
    """One event as the rollups see it; the counts are what it adds to each of them."""

    entity: int
    cost_type: str
    provider: str
    model: str
    occurred_at: datetime
    currency: str
    amount: Decimal | None
    base_amount: Decimal | None
    event_count: int
    unpriced_count: int
    unconverted_count: int
    input_tokens: int
    output_tokens: int


class _Sums:
    __slots__ = ("amount", "base", "events", "input", "output", "unconverted", "unpriced")

    def __init__(self) -> None:
        self.amount = self.base = ZERO
        self.events = self.unpriced = self.unconverted = self.input = self.output = 0

    def add(self, row: Addend) -> None:
        """Add one event."""
        if row.amount is not None:
            self.amount += row.amount
        if row.base_amount is not None:
            self.base += row.base_amount
        self.events += row.event_count
        self.unpriced += row.unpriced_count
        self.unconverted += row.unconverted_count
        self.input += row.input_tokens
        self.output += row.output_tokens


_MEASURES = ("event_count", "unpriced_count", "unconverted_count")


def _upsert(table: str, key: str, measures: tuple[str, ...]) -> str:
    columns = f"{key}, amount, base_amount, {', '.join(measures)}"
    marks = ", ".join(["%s"] * len(columns.split(",")))
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in measures)
    return (
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET "  # noqa: S608  # fixed text
        "amount = money_add(amount, excluded.amount), base_amount = money_add(base_amount, excluded.base_amount), "
        f"{sums}"
    )


_ENTITY_DAY = _upsert("costs_entitydayrollup", "entity_id, day, cost_type, currency", _MEASURES)
_MODEL_HOUR = _upsert(
    "costs_modelhourrollup",
    "hour, cost_type, provider, model, currency",
    (*_MEASURES, "input_tokens", "output_tokens"),
)


def add_to_rollups(rows: Iterable[Addend]) -> None:
    """Add events to both rollups, exactly, in the caller's transaction."""
    days: dict[tuple[int, str, str, str], _Sums] = {}
    hours: dict[tuple[str, str, str, str, str], _Sums] = {}
    calendar = _Days()
    # The usual context of 28 digits would round large sums.
    with localcontext(CONTEXT):
        for row in rows:
            hour, day = calendar.of(row.occurred_at)
            day_key = (row.entity, day, row.cost_type, row.currency)
            hour_key = (hour, row.cost_type, row.provider, row.model, row.currency)
            day_sums = days.get(day_key)
            if day_sums is None:
                day_sums = days[day_key] = _Sums()
            hour_sums = hours.get(hour_key)
            if hour_sums is None:
                hour_sums = hours[hour_key] = _Sums()
            day_sums.add(row)
            hour_sums.add(row)
    with connection.cursor() as cursor:
        cursor.executemany(
            _ENTITY_DAY,
            [
                (*key, *_totals(sums), sums.events, sums.unpriced, sums.unconverted)
                for key, sums in sorted(days.items(), key=_key)
            ],
        )
        cursor.executemany(
            _MODEL_HOUR,
            [
                (*key, *_totals(sums), sums.events, sums.unpriced, sums.unconverted, sums.input, sums.output)
                for key, sums in sorted(hours.items(), key=_key)
            ],
        )


def _key(group: tuple[Any, _Sums]) -> Any:
    return group[0]


def _totals(sums: _Sums) -> tuple[str, str]:
    return format(sums.amount, "f"), format(sums.base, "f")


class _Days:
    """The hour (UTC) and the day (of the organisation) of instants, as SQLite stores them; once a quarter."""

    def __init__(self) -> None:
        self._zone = settings.ORGANISATION_ZONE
        self._known: dict[int, tuple[str, str]] = {}

    def of(self, at: datetime) -> tuple[str, str]:
        """Return (hour, day) of an instant in UTC."""
        # Offsets from UTC are whole quarters of an hour: within one, the day does not change.
        quarter = at.toordinal() * 96 + at.hour * 4 + at.minute // 15
        known = self._known.get(quarter)
        if known is None:
            known = (f"{at:%Y-%m-%d %H}:00:00", str(at.astimezone(self._zone).date()))
            self._known[quarter] = known
        return known
