"""The statements that read and write buckets, on PostgreSQL and on SQLite: the only place that knows the table.

Sets of rows travel as one JSON parameter; a driver takes longer to adapt lists than a database to read JSON. All times
are UNIX seconds.
"""

# ruff: noqa: S608  # the statements are fixed texts, every value is a parameter

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from core.money import money

DAY = 86_400
FOREVER = 1 << 60
TABLE = "slas_slibucket"
_NUMBERS = (
    "good", "total", "excluded_good", "excluded_total", "cum_good", "cum_total", "cum_excluded_good",
    "cum_excluded_total",
)  # fmt: skip
_VALUES = ("value_sum", "value_max", "histogram")
_KEY = ("sli_id", "series", "resolution", "start")
_COLUMNS = (*_KEY, *_NUMBERS, *_VALUES)
_PG_TYPES = {
    "sli_id": "uuid", "series": "smallint", "resolution": "integer", "value_sum": "numeric", "value_max": "numeric",
    "histogram": "text",
}  # fmt: skip


class Key(NamedTuple):
    """Which bucket: of which indicator and series, how long, from when."""

    sli: UUID
    series: int
    resolution: int
    start: int

    @property
    def group(self) -> tuple[int, int]:
        """The stretch over which `cum_*` runs: the UTC day, or everything for buckets of a day."""
        if self.resolution == DAY:
            return 0, FOREVER
        begin = self.start // DAY * DAY
        return begin, begin + DAY


class Numbers(NamedTuple):
    """What is counted: raw, and the part of it that is excluded."""

    good: int = 0
    total: int = 0
    excluded_good: int = 0
    excluded_total: int = 0

    def plus(self, other: Numbers) -> Numbers:
        """Return the sum."""
        return Numbers(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])

    def minus(self, other: Numbers) -> Numbers:
        """Return the difference."""
        return Numbers(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3])


NOTHING = Numbers()


@dataclass(slots=True)
class Row:
    """One bucket with its running sums."""

    start: int
    numbers: Numbers = NOTHING
    cumulative: Numbers = NOTHING
    value_sum: Decimal | None = None
    value_max: Decimal | None = None
    histogram: str = ""


_WANTED = "start, " + ", ".join((*_NUMBERS, *_VALUES))
_ROW = "b.start, " + ", ".join(f"b.{name}" for name in (*_NUMBERS, *_VALUES))
_AT_OR_BEFORE = {
    "postgresql": f"""
SELECT k.n, {_ROW}
FROM json_to_recordset(%s) AS k(n integer, sli uuid, series smallint, resolution integer, since bigint, at bigint)
CROSS JOIN LATERAL (
    SELECT {_WANTED} FROM {TABLE} WHERE sli_id = k.sli AND series = k.series AND resolution = k.resolution
    AND start >= k.since AND start <= k.at ORDER BY start DESC LIMIT 1
) AS b
""",
    "sqlite": f"""
WITH k AS MATERIALIZED (SELECT value ->> 'n' AS n, value ->> 'sli' AS sli, value ->> 'series' AS series,
    value ->> 'resolution' AS resolution, value ->> 'since' AS since, value ->> 'at' AS at FROM json_each(%s))
SELECT k.n, {_ROW}
FROM k CROSS JOIN {TABLE} AS b ON b.sli_id = k.sli AND b.series = k.series AND b.resolution = k.resolution
    AND b.start = (SELECT max(start) FROM {TABLE} WHERE sli_id = k.sli AND series = k.series
    AND resolution = k.resolution AND start >= k.since AND start <= k.at)
""",
}
_SET = ", ".join(f"{name} = excluded.{name}" for name in (*_NUMBERS, *_VALUES))
_CONFLICT = f"ON CONFLICT (sli_id, series, resolution, start) DO UPDATE SET {_SET}"
_RECORD = ", ".join(f"{name} {_PG_TYPES.get(name, 'bigint')}" for name in _COLUMNS)
_UPSERT = {
    "postgresql": f"""
INSERT INTO {TABLE} ({", ".join(_COLUMNS)}) SELECT {", ".join(_COLUMNS)} FROM json_to_recordset(%s) AS r({_RECORD})
{_CONFLICT}
""",
    "sqlite": f"""
INSERT INTO {TABLE} ({", ".join(_COLUMNS)})
SELECT {", ".join(f"value ->> '{name}'" for name in _COLUMNS)} FROM json_each(%s) WHERE true
{_CONFLICT}
""",
}
_ADD = ", ".join(f"cum_{name} = cum_{name} + t.{name}" for name in _NUMBERS[:4])
_TAIL = f"""
UPDATE {TABLE} AS b SET {_ADD} FROM t
WHERE b.sli_id = t.sli AND b.series = t.series AND b.resolution = t.resolution
AND b.start > t.after AND b.start < t.before
"""
_TAILS = {
    "postgresql": f"""
WITH t AS (SELECT * FROM json_to_recordset(%s) AS t(sli uuid, series smallint, resolution integer, after bigint,
    before bigint, {", ".join(f"{name} bigint" for name in _NUMBERS[:4])}))
{_TAIL}
""",
    "sqlite": f"""
WITH t AS MATERIALIZED (SELECT value ->> 'sli' AS sli, value ->> 'series' AS series,
    value ->> 'resolution' AS resolution, value ->> 'after' AS after, value ->> 'before' AS before,
    {", ".join(f"value ->> '{name}' AS {name}" for name in _NUMBERS[:4])} FROM json_each(%s))
{_TAIL}
""",
}
_BETWEEN = f"""
SELECT {_WANTED} FROM {TABLE}
WHERE sli_id = %s AND series = %s AND resolution = %s AND start >= %s AND start < %s ORDER BY start
"""


def at_or_before(keys: Sequence[Key]) -> list[Row | None]:
    """Return for each key the bucket itself, or else the last one before it in its group, or None."""
    wanted = [
        {"n": n, "sli": key.sli.hex, "series": key.series, "resolution": key.resolution, "since": key.group[0],
         "at": key.start}
        for n, key in enumerate(keys)
    ]  # fmt: skip
    found: list[Row | None] = [None] * len(keys)
    with connection.cursor() as cursor:
        cursor.execute(_AT_OR_BEFORE[connection.vendor], [json.dumps(wanted)])
        for n, *row in cursor.fetchall():
            found[n] = _row(row)
    return found


def between(sli: UUID, series: int, resolution: int, start: int, end: int) -> list[Row]:
    """Return the buckets of a stretch in order."""
    parameters = [_id(sli), series, resolution, start, end]
    with connection.cursor() as cursor:
        cursor.execute(_BETWEEN, parameters)
        return [_row(row) for row in cursor.fetchall()]


def upsert(rows: Iterable[tuple[Key, Row]]) -> None:
    """Write buckets as they are given, new and known ones, in the order of their keys."""
    values = [
        {**dict(zip(_KEY, (key.sli.hex, *key[1:]), strict=True)),
         **dict(zip(_NUMBERS, (*row.numbers, *row.cumulative), strict=True)),
         "value_sum": _text(row.value_sum), "value_max": _text(row.value_max), "histogram": row.histogram}
        for key, row in sorted(rows, key=lambda pair: pair[0])
    ]  # fmt: skip
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_UPSERT[connection.vendor], [json.dumps(values)])


def raise_tails(tails: Iterable[tuple[Key, int, Numbers]]) -> None:
    """Add numbers to the running sums of the buckets after a key and before an instant."""
    values = [
        {"sli": key.sli.hex, "series": key.series, "resolution": key.resolution, "after": key.start, "before": before,
         **dict(zip(_NUMBERS[:4], numbers, strict=True))}
        for key, before, numbers in tails
    ]  # fmt: skip
    if values:
        with connection.cursor() as cursor:
            cursor.execute(_TAILS[connection.vendor], [json.dumps(values)])


def _id(sli: UUID) -> Any:
    return sli if connection.vendor == "postgresql" else sli.hex


def _row(row: Sequence[Any]) -> Row:
    return Row(row[0], Numbers(*row[1:5]), Numbers(*row[5:9]), _amount(row[9]), _amount(row[10]), row[11])


def _amount(value: Any) -> Decimal | None:
    return None if value is None else money(value)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else format(money(value), "f")
