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
FROM unnest(%s::uuid[], %s::integer[]) WITH ORDINALITY AS s(sli, shape, n)
JOIN json_to_recordset(%s) AS p(n integer, shape integer, resolution integer, since bigint, before bigint)
ON p.shape = s.shape
CROSS JOIN LATERAL ({_LAST}) AS b
""",
    "sqlite": f"""
WITH s AS MATERIALIZED (SELECT key + 1 AS n, value ->> 0 AS sli, value ->> 1 AS shape FROM json_each(%s)),
p AS MATERIALIZED (SELECT value ->> 'n' AS n, value ->> 'shape' AS shape, value ->> 'resolution' AS resolution,
    value ->> 'since' AS since, value ->> 'before' AS before FROM json_each(%s))
SELECT s.n, p.n, {_CUMULATIVE} FROM s CROSS JOIN p ON p.shape = s.shape CROSS JOIN {TABLE} AS b
ON b.sli_id = s.sli AND b.series = %s AND b.resolution = p.resolution AND b.start = (
    SELECT max(start) FROM {TABLE} WHERE sli_id = s.sli AND series = %s AND resolution = p.resolution
    AND start >= p.since AND start < p.before)
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
    found = sums(dict.fromkeys(ids, pairs), series=series)
    return {
        (sli, window): Counts(*numbers)
        for sli in ids
        for window, numbers in zip(wanted, found[sli], strict=True)
    }  # fmt: skip


def sums(
    asked: Mapping[UUID, Sequence[tuple[int, int]]], *, series: Series = Series.EVENTS
) -> dict[UUID, list[Numbers]]:
    """Return the numbers of every indicator for each of its windows of UNIX seconds, in their order; one query.

    A second query is made only for edges inside an hour that are more than a week older than the latest edge.
    """
    plans: dict[tuple[tuple[int, int], ...], _Plan] = {}
    plan_of = {}
    for sli, windows in asked.items():
        spans = tuple(windows)
        if spans not in plans:
            plans[spans] = _Plan(len(plans), [(_minute(start), _minute(end)) for start, end in spans])
        plan_of[sli] = plans[spans]
    read = _read(plan_of, plans.values(), series)
    kept_from = _minutes_from([sli for sli, plan in plan_of.items() if plan.old])
    return {sli: plan.numbers(read.get(sli, {}), kept_from.get(sli, 0)) for sli, plan in plan_of.items()}


def rows(sli: Sli | UUID, window: Window, resolution: int, *, series: Series = Series.EVENTS) -> list[Row]:
    """Return the buckets of one resolution that begin in a window, in order; those without events do not exist."""
    return store.between(
        _key(sli), series, resolution, int(window.start.timestamp()), int(window.end.timestamp())
    )  # fmt: skip


class _Plan:
    """Which look-ups give the running sums up to some instants."""

    def __init__(self, number: int, windows: Sequence[tuple[int, int]]) -> None:
        self.number, self.windows = number, windows
        self.instants = sorted({edge for window in windows for edge in window})
        self.old = {t for t in self.instants if t % HOUR and t < self.instants[-1] - RECENT}
        self._days: dict[int, Point] = {t: (DAY, 0, t // DAY * DAY) for t in self.instants}
        self._inside: dict[int, Point | None] = {t: _inside(t) for t in self.instants}
        self._hours = {t: _inside(t // HOUR * HOUR) for t in self.old}
        asked = {*self._days.values(), *self._inside.values(), *self._hours.values()}
        self.points = sorted(point for point in asked if point is not None)

    def numbers(self, read: Mapping[Point, Numbers], kept_from: int) -> list[Numbers]:
        """Return what one indicator counted in each window."""
        if not read:
            return [NOTHING] * len(self.windows)
        upto = {t: self._upto(t, read, kept_from) for t in self.instants}
        return [upto[end].minus(upto[start]) for start, end in self.windows]

    def _upto(self, t: int, read: Mapping[Point, Numbers], kept_from: int) -> Numbers:
        inside = self._inside[t]
        if t in self.old and t < kept_from:
            inside = self._hours[t]
        days = read.get(self._days[t], NOTHING)
        return days if inside is None else days.plus(read.get(inside, NOTHING))


def _inside(t: int) -> Point | None:
    """Return where the running sum within the UTC day is found, or None at its midnight."""
    day = t // DAY * DAY
    if t == day:
        return None
    return (MINUTE if t % HOUR else HOUR), day, t


def _read(plan_of: Mapping[UUID, _Plan], plans: Iterable[_Plan], series: Series) -> dict[UUID, dict[Point, Numbers]]:
    points = [(plan.number, point) for plan in plans for point in plan.points]
    if not points:
        return {}
    asked = json.dumps(
        [
            {"n": n, "shape": shape, "resolution": point[0], "since": point[1], "before": point[2]}
            for n, (shape, point) in enumerate(points)
        ]
    )
    slis = list(plan_of)
    found: dict[UUID, dict[Point, Numbers]] = {sli: {} for sli in slis}
    for sli, n, *numbers in _rows(plan_of, asked, series):
        found[slis[sli - 1]][points[n][1]] = Numbers(*numbers)
    return found


def _rows(plan_of: Mapping[UUID, _Plan], points: str, series: Series) -> Iterator[tuple[int, ...]]:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            shapes = "{" + ",".join(str(plan.number) for plan in plan_of.values()) + "}"
            cursor.execute(_LOOKUP["postgresql"], [_array(plan_of), shapes, points, int(series)])
        else:
            asked = json.dumps([(sli.hex, plan.number) for sli, plan in plan_of.items()])
            cursor.execute(_LOOKUP["sqlite"], [asked, points, int(series), int(series)])
        yield from cursor.fetchall()


def _minutes_from(slis: Sequence[UUID]) -> dict[UUID, int]:
    return dict(Sli.objects.filter(pk__in=slis).values_list("pk", "minutes_from")) if slis else {}


def _array(slis: Iterable[UUID]) -> str:
    return "{" + ",".join(sli.hex for sli in slis) + "}"


def _minute(second: int) -> int:
    return second // MINUTE * MINUTE


def _key(sli: Sli | UUID) -> UUID:
    return sli.pk if isinstance(sli, Sli) else sli
