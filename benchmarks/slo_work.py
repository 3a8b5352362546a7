"""Works on objectives in a process of its own: `window SIZE`, `sweep COUNT FEW` or `indicator`.

Prints JSON. What it measures is checked first: the buckets say what the events say.
"""

# the statements are fixed texts

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import django

DAYS, ROUNDS, REPEATS, ASKED = 90, 5, 50, 60
END = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FILL = {
    "postgresql": "INSERT INTO bench_event SELECT {start} + n::bigint * {span} / {size}, n %% 1000 > 0"
    " FROM generate_series(0, {size} - 1) AS n",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {size})"
    " INSERT INTO bench_event SELECT {start} + n * {span} / {size}, n %% 1000 > 0 FROM s",
}
BY_MINUTE = "SELECT at / 60 * 60, count(*), count(*) FILTER (WHERE good) FROM bench_event GROUP BY 1 ORDER BY 1"
COUNTED = "SELECT count(*), count(*) FILTER (WHERE good) FROM bench_event WHERE at >= %s AND at < %s"


def main(arguments: Sequence[str]) -> None:
    """Do what is asked."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    kind, *numbers = arguments
    if kind == "window":
        found: object = _window(int(numbers[0]))
    elif kind == "sweep":
        found = _sweep(int(numbers[0]), int(numbers[1]))
    else:
        found = str(_indicator(0, "bench").pk)
    print(json.dumps(found))


def _window(size: int) -> dict[str, list[float]]:
    from core.windows import Window
    from slas import buckets

    sli, window = _indicator(0, "bench"), Window(END - timedelta(days=DAYS), END)
    _fill(size)
    _record(sli)
    bounds = [int(window.start.timestamp()), int(window.end.timestamp())]
    counted = buckets.counts([sli], [window])[sli.pk, window]
    total, good = _asked(bounds)
    if (counted.total, counted.good) != (total, good):
        raise SystemExit(f"the buckets say {counted}, the events {good} of {total}")
    ours = [_seconds(lambda: buckets.counts([sli], [window]), REPEATS) for _ in range(ROUNDS)]
    raw = [_seconds(lambda: _asked(bounds), 1) for _ in range(ROUNDS)]
    return {"ours": ours, "raw": raw}


def _fill(size: int) -> None:
    from django.db import connection

    start = int((END - timedelta(days=DAYS)).timestamp())
    kinds = "at bigint NOT NULL, good boolean NOT NULL"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE bench_event ({kinds})")
        cursor.execute(FILL[connection.vendor].format(start=start, span=DAYS * 86_400, size=size).replace("%%", "%"))
        cursor.execute("CREATE INDEX bench_event_at ON bench_event (at, good)")
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE bench_event")


def _record(sli: Any) -> None:
    """Give the indicator what the events say, day by day, by its own way in."""
    from django.db import connection

    from slas import buckets
    from slas.buckets import Aggregate

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT at / 60 * 60, count(*), count(*) FILTER (WHERE good) FROM bench_event GROUP BY 1 ORDER BY 1"
        )
        minutes = cursor.fetchall()
    for n in range(0, len(minutes), 1_440):
        items = [
            Aggregate(datetime.fromtimestamp(at, tz=UTC), good, total) for at, total, good in minutes[n : n + 1_440]
        ]
        buckets.record_events(sli, items, now=END)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE slas_slibucket")


def _sweep(count: int, few: int) -> dict[str, object]:
    from slas.standing import standings

    # Those that are asked one by one have every minute of three days, as a busy indicator has.
    slos = [_objective(number, minutes=3 * 1440 if number < ASKED else 360) for number in range(count)]
    _settle()
    standings(slos, END)
    queries = [_queries(lambda: standings(slos[:few], END)), _queries(lambda: standings(slos, END))]
    sweeps, one_by_one = [], []
    for _ in range(ROUNDS):
        one_by_one.append(_timed(lambda: [_one(slo) for slo in slos[:ASKED]]))
        sweeps.append(_timed(lambda: standings(slos, END)))
    return {"sweeps": sweeps, "one_by_one": one_by_one, "asked": ASKED, "queries": queries}


def _one(slo: Any) -> dict[str, Any]:
    """Ask for all windows of one objective in one query over its minutes."""
    from django.db.models import Q, Sum

    from slas.models import SliBucket
    from slas.terms import default_pairs

    lengths = {length for pair in default_pairs(slo.target, timedelta(days=30)) for length in (pair.long, pair.short)}
    starts = [int((END - length).timestamp()) for length in (*lengths, timedelta(days=30))]
    wanted = {
        f"{name}_{n}": Sum(name, filter=Q(start__gte=start))
        for n, start in enumerate(starts)
        for name in ("good", "total")
    }
    rows = SliBucket.objects.filter(sli=slo.sli_id, series=0, resolution=60, start__gte=min(starts))
    return rows.filter(start__lt=int(END.timestamp())).aggregate(**wanted)


def _objective(number: int, minutes: int) -> Any:
    """Make an objective with so many minutes, a week by the hour and a month by the day."""
    from slas import buckets
    from slas.buckets import Aggregate
    from slas.models import Slo

    sli = _indicator(number, f"bench-{number}")
    backs = {*range(1, minutes + 1), *range(360, 7 * 1440, 60), *range(7 * 1440, 30 * 1440, 1440)}
    items = [Aggregate(END - back * MINUTE, 9_990 + back % 10, 10_000) for back in backs]
    buckets.record_events(sli, items, now=END)
    return Slo.objects.create(
        service=sli.service,
        sli=sli,
        slug="bench",
        name="Bench",
        target=Decimal("0.999"),
        time_zone="UTC",
        created_at=END,
    )


def _indicator(number: int, slug: str) -> Any:
    from slas.models import Service, Sli

    service = Service.objects.create(slug=slug, name=f"Service {number}", created_at=END)
    return Sli.objects.create(
        service=service, slug="bench", name="Bench", kind="ratio", lateness_seconds=400 * 86_400, created_at=END
    )


def _asked(bounds: Sequence[int]) -> tuple[int, int]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(COUNTED, bounds)
        total, good = cursor.fetchone()
    return total, good


def _settle() -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE slas_slibucket" if connection.vendor == "postgresql" else "ANALYZE")


def _queries(work: Callable[[], object]) -> int:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as queries:
        work()
    return len(queries)


def _seconds(work: Callable[[], object], repeats: int) -> float:
    begun = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - begun) / repeats


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main(sys.argv[1:])
