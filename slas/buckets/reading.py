"""Sums over windows: of many indicators and windows in one query, whatever the windows' length.

With running sums a window costs the difference of two instants, and an instant two look-ups in an index: the last
bucket before it in its UTC day, and the last day before that one.
"""

# ruff: noqa: S608  # the statements are fixed texts, every value is a parameter

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import connection

from core.windows import Window
from slas.buckets import store
from slas.buckets.store import DAY, NOTHING, TABLE, Numbers, Row
from slas.choices import Series
from slas.models import Sli

HOUR, MINUTE = 3_600, 60
RECENT = 7 * DAY


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted in a window: raw, and the part that exclusions take out of it."""

    good: int = 0
    total: int = 0
    excluded_good: int = 0
    excluded_total: int = 0

    @property
    def adjusted_good(self) -> int:
        """Good events after exclusions."""
        return self.good - self.excluded_good

    @property
    def adjusted_total(self) -> int:
        """Events after exclusions."""
        return self.total - self.excluded_total

    @property
    def adjusted_bad(self) -> int:
        """Bad events after exclusions."""
        return self.adjusted_total - self.adjusted_good


EMPTY = Counts()
_CUMULATIVE = "cum_good, cum_total, cum_excluded_good, cum_excluded_total"
_LAST = f"""
SELECT {_CUMULATIVE} FROM {TABLE} WHERE sli_id = s.sli AND series = %s AND resolution = p.resolution
AND start >= p.since AND start < p.before ORDER BY start DESC LIMIT 1
"""
_LOOKUP = {
    "postgresql": f"""
SELECT s.n, p.n, b.cum_good, b.cum_total, b.cum_excluded_good, b.cum_excluded_total
FROM unnest(%s::uuid[]) WITH ORDINALITY AS s(sli, n)
CROSS JOIN json_to_recordset(%s) AS p(n integer, resolution integer, since bigint, before bigint)
CROSS JOIN LATERAL ({_LAST}) AS b
""",
    "sqlite": f"""
WITH s AS MATERIALIZED (SELECT key + 1 AS n, value AS sli FROM json_each(%s)),
p AS MATERIALIZED (SELECT value ->> 'n' AS n, value ->> 'resolution' AS resolution, value ->> 'since' AS since,
    value ->> 'before' AS before FROM json_each(%s))
SELECT s.n, p.n, {_CUMULATIVE} FROM s CROSS JOIN p CROSS JOIN {TABLE} AS b
ON b.sli_id = s.sli AND b.series = %s AND b.resolution = p.resolution AND b.start = (
    SELECT max(start) FROM {TABLE} WHERE sli_id = s.sli AND series = %s AND resolution = p.resolution
    AND start >= p.since AND start < p.before)
""",
}
_OLDEST = {
    "postgresql": f"""
SELECT s.sli, b.start FROM unnest(%s::uuid[]) AS s(sli) CROSS JOIN LATERAL (
    SELECT start FROM {TABLE} WHERE sli_id = s.sli AND series = %s AND resolution = 60 ORDER BY start LIMIT 1) AS b
""",
    "sqlite": f"""
SELECT s.value, (SELECT min(start) FROM {TABLE} WHERE sli_id = s.value AND series = %s AND resolution = 60)
FROM json_each(%s) AS s
""",
}

Point = tuple[int, int, int]
"""Of which resolution, from when, before when the last bucket is looked for."""


def counts(
    slis: Iterable[Sli | UUID], windows: Iterable[Window], *, series: Series = Series.EVENTS
) -> dict[tuple[UUID, Window], Counts]:
    """Return what was counted for every indicator in every window; a constant number of queries.

    Windows are taken to whole minutes. An edge inside an hour whose minutes are no longer kept is taken back to the
    whole hour. A window without any event counts nothing, which is not the same as being good.
    """
    ids, wanted = [_key(sli) for sli in slis], list(windows)
    pairs = [(int(window.start.timestamp()), int(window.end.timestamp())) for window in wanted]
    found = sums(ids, pairs, series=series)
    return {
        (sli, window): Counts(*numbers)
        for sli in ids
        for window, numbers in zip(wanted, found[sli], strict=True)
    }  # fmt: skip


def sums(
    slis: Sequence[UUID], windows: Sequence[tuple[int, int]], *, series: Series = Series.EVENTS
) -> dict[UUID, list[Numbers]]:
    """Return the numbers of every indicator for each window of UNIX seconds, in the order of the windows."""
    instants = sorted({_minute(edge) for window in windows for edge in window})
    if not slis or not instants:
        return {sli: [] for sli in slis}
    plan = _Plan(instants)
    read = _read(slis, plan.points, series)
    oldest = _oldest(slis, series) if plan.old else {}
    edges = [(_minute(start), _minute(end)) for start, end in windows]
    found = {}
    for sli in slis:
        upto = plan.running(read.get(sli, {}), oldest.get(sli))
        found[sli] = [upto[end].minus(upto[start]) for start, end in edges]
    return found


def rows(sli: Sli | UUID, window: Window, resolution: int, *, series: Series = Series.EVENTS) -> list[Row]:
    """Return the buckets of one resolution that begin in a window, in order; those without events do not exist."""
    return store.between(
        _key(sli), series, resolution, int(window.start.timestamp()), int(window.end.timestamp())
    )  # fmt: skip


class _Plan:
    """Which look-ups give the running sums up to some instants."""

    def __init__(self, instants: Sequence[int]) -> None:
        self.instants = instants
        self.old = {t for t in instants if t % HOUR and t < instants[-1] - RECENT}
        self._days = {t: (DAY, 0, t // DAY * DAY) for t in instants}
        self._inside: dict[int, Point | None] = {t: _inside(t) for t in instants}
        self._hours = {t: _inside(t // HOUR * HOUR) for t in self.old}
        asked = {*self._days.values(), *self._inside.values(), *self._hours.values()}
        self.points = sorted(point for point in asked if point is not None)

    def running(self, read: Mapping[Point, Numbers], oldest: int | None) -> dict[int, Numbers]:
        """Return the sum of everything before each instant, for one indicator."""
        return {t: self._upto(t, read, oldest) for t in self.instants}

    def _upto(self, t: int, read: Mapping[Point, Numbers], oldest: int | None) -> Numbers:
        inside = self._inside[t]
        if t in self.old and (oldest is None or oldest // DAY > t // DAY):
            inside = self._hours[t]
        days = read.get(self._days[t], NOTHING)
        return days if inside is None else days.plus(read.get(inside, NOTHING))


def _inside(t: int) -> Point | None:
    """Return where the running sum within the UTC day is found, or None at its midnight."""
    day = t // DAY * DAY
    if t == day:
        return None
    return (MINUTE if t % HOUR else HOUR), day, t


def _read(slis: Sequence[UUID], points: Sequence[Point], series: Series) -> dict[UUID, dict[Point, Numbers]]:
    asked = json.dumps(
        [{"n": n, "resolution": p[0], "since": p[1], "before": p[2]} for n, p in enumerate(points)]
    )  # fmt: skip
    found: dict[UUID, dict[Point, Numbers]] = {sli: {} for sli in slis}
    for sli, point, *numbers in _rows(slis, asked, series):
        found[slis[sli - 1]][points[point]] = Numbers(*numbers)
    return found


def _rows(slis: Sequence[UUID], points: str, series: Series) -> Iterator[tuple[int, ...]]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_LOOKUP["postgresql"], [_array(slis), points, int(series)])
        else:
            cursor.execute(
                _LOOKUP["sqlite"], [json.dumps([sli.hex for sli in slis]), points, int(series), int(series)]
            )  # fmt: skip
        yield from cursor.fetchall()


def _oldest(slis: Sequence[UUID], series: Series) -> dict[UUID, int | None]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_OLDEST["postgresql"], [_array(slis), int(series)])
            return dict(cursor.fetchall())
        cursor.execute(_OLDEST["sqlite"], [int(series), json.dumps([sli.hex for sli in slis])])
        return {UUID(sli): start for sli, start in cursor.fetchall()}


def _array(slis: Sequence[UUID]) -> str:
    return "{" + ",".join(sli.hex for sli in slis) + "}"


def _minute(second: int) -> int:
    return second // MINUTE * MINUTE


def _key(sli: Sli | UUID) -> UUID:
    return sli.pk if isinstance(sli, Sli) else sli
