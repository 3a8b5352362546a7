"""Slices that several indicators share: a slice of the whole is bad when it is bad for any part."""

# ruff: noqa: S608  # the statements are fixed texts, every value is a parameter

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from django.db import connection

from slas.buckets.store import TABLE

Union = tuple[Sequence[tuple[UUID, bool]], Sequence[tuple[int, int]]]
"""The parts, each with whether a slice it has no data for is bad, and the windows in UNIX seconds."""

_COUNTED = f"""
, slices AS (
    SELECT p.n, w.w, b.start, sum(p.strict) AS strict,
        max(CASE WHEN b.good - b.excluded_good < b.total - b.excluded_total THEN 1 ELSE 0 END) AS bad
    FROM p JOIN w ON w.n = p.n JOIN {TABLE} AS b ON b.sli_id = p.sli AND b.series = 1 AND b.resolution = 60
        AND b.start >= w.since AND b.start < w.until
    WHERE b.total > b.excluded_total GROUP BY p.n, w.w, b.start
), wanted AS (SELECT n, sum(strict) AS strict FROM p GROUP BY n)
SELECT slices.n, slices.w, count(*), sum(CASE WHEN slices.bad = 1 OR slices.strict < wanted.strict THEN 1 ELSE 0 END)
FROM slices JOIN wanted ON wanted.n = slices.n GROUP BY slices.n, slices.w
"""
_QUERY = {
    "postgresql": f"""
WITH p AS (SELECT * FROM json_to_recordset(%s) AS p(n integer, sli uuid, strict integer)),
w AS (SELECT * FROM json_to_recordset(%s) AS w(n integer, w integer, since bigint, until bigint))
{_COUNTED}
""",
    "sqlite": f"""
WITH p AS MATERIALIZED (SELECT value ->> 'n' AS n, value ->> 'sli' AS sli, value ->> 'strict' AS strict
    FROM json_each(%s)),
w AS MATERIALIZED (SELECT value ->> 'n' AS n, value ->> 'w' AS w, value ->> 'since' AS since, value ->> 'until' AS until
    FROM json_each(%s))
{_COUNTED}
""",
}


def unions(asked: Sequence[Union]) -> list[list[tuple[int, int]]]:
    """Return (good, all) slices for each union and each of its windows; one query for all of them."""
    found = [[(0, 0)] * len(windows) for _, windows in asked]
    if not asked:
        return found
    parts = [
        {"n": n, "sli": sli.hex, "strict": int(strict)}
        for n, (members, _) in enumerate(asked)
        for sli, strict in members
    ]
    windows = [
        {"n": n, "w": w, "since": since, "until": until}
        for n, (_, spans) in enumerate(asked)
        for w, (since, until) in enumerate(spans)
    ]
    with connection.cursor() as cursor:
        cursor.execute(_QUERY[connection.vendor], [json.dumps(parts), json.dumps(windows)])
        for n, w, total, bad in cursor.fetchall():
            found[n][w] = (int(total) - int(bad), int(total))
    return found
