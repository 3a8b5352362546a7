"""One row per objective and day, which follows late events until it is frozen and never changes afterwards."""

# ruff: noqa: S608  # the statements are fixed texts, every value is a parameter

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import connection, transaction
from django.db.models import Max

from core.windows import Window, midnight
from slas.models import Slo, SloRevision, SloSnapshot
from slas.services.statuses import ratio, share
from slas.standing import Standing, standings, terms_of
from slas.terms import Terms, from_values

MOST_DAYS = 40
TYPES = {
    "slo_id": "uuid", "day": "date", "good": "bigint", "total": "bigint", "raw_good": "bigint", "raw_total": "bigint",
    "sli": "numeric", "window_sli": "numeric", "consumed": "numeric", "state": "text", "target": "numeric",
    "revision": "integer", "taken_at": "timestamptz", "frozen_at": "timestamptz",
}  # fmt: skip
_COLUMNS = ", ".join(TYPES)
_SET = ", ".join(f"{name} = excluded.{name}" for name in TYPES if name not in {"slo_id", "day"})
_RECORD = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
_SELECT = {
    "postgresql": f"SELECT {_COLUMNS} FROM json_to_recordset(%s) AS r({_RECORD})",
    "sqlite": f"SELECT {', '.join(f'''value ->> '{name}' ''' for name in TYPES)} FROM json_each(%s) WHERE true",
}
_CONFLICT = f"ON CONFLICT (slo_id, day) DO UPDATE SET {_SET} WHERE slas_slosnapshot.frozen_at IS NULL"


def take_snapshots(*, now: datetime) -> int:
    """Write every day that is over and not frozen, of every objective; freeze those no event can reach any more.

    Safe to run twice and twice at once: a frozen row is left alone by the statement that writes. Each pass goes at most
    40 days further than the last one. Returns how many rows it wrote.
    """
    slos = list(Slo.objects.filter(enabled=True).select_related("sli", "service").order_by("pk"))
    frozen = _frozen_until(slos)
    due = {slo: days for slo in slos if (days := list(_due(slo, frozen.get(slo.pk), now)))}
    written = 0
    for number in range(max(map(len, due.values()), default=0)):
        written += _take([(slo, days[number]) for slo, days in due.items() if number < len(days)], now)
    return written


def _frozen_until(slos: Sequence[Slo]) -> dict[UUID, date]:
    rows = SloSnapshot.objects.filter(slo__in=slos).exclude(frozen_at=None)
    return dict(rows.values("slo").annotate(last=Max("day")).values_list("slo", "last"))


def _due(slo: Slo, last: date | None, now: datetime) -> Iterator[date]:
    """Yield the days that are over and not frozen, oldest first."""
    zone = ZoneInfo(slo.time_zone)
    day = last + timedelta(days=1) if last else slo.created_at.astimezone(zone).date()
    for _ in range(MOST_DAYS):
        if midnight(day + timedelta(days=1), zone) > now:
            return
        yield day
        day += timedelta(days=1)


def _take(wanted: Sequence[tuple[Slo, date]], now: datetime) -> int:
    """Write one day of each of these objectives, whose days end at different instants in different zones."""
    revisions = _revisions([slo.pk for slo, _ in wanted])
    by_end: dict[datetime, list[tuple[Slo, date]]] = {}
    for slo, day in wanted:
        by_end.setdefault(_day(slo, day).end, []).append((slo, day))
    rows = []
    for end, members in by_end.items():
        slos = [slo for slo, _ in members]
        terms = {slo.pk: _terms_at(slo, revisions.get(slo.pk, []), end) for slo in slos}
        whole = standings(slos, end, terms={key: found for key, (found, _) in terms.items()})
        days = standings(slos, end, terms={key: _of_the_day(found) for key, (found, _) in terms.items()})
        for (slo, day), item, of_day in zip(members, whole, days, strict=True):
            rows.append(_row(day, item, of_day, terms[slo.pk][1], now))
    return _write(rows)


def _of_the_day(terms: Terms) -> Terms:
    """Return the same promise over the calendar day."""
    return Terms(
        terms.target, "calendar", None, "day", terms.time_zone, terms.budgeting, terms.composite, (), terms.caution
    )


def _revisions(slos: Iterable[UUID]) -> dict[UUID, list[SloRevision]]:
    found: dict[UUID, list[SloRevision]] = {}
    for row in SloRevision.objects.filter(slo__in=list(slos)).order_by("effective_from", "number"):
        found.setdefault(row.slo_id, []).append(row)
    return found


def _terms_at(slo: Slo, revisions: Sequence[SloRevision], end: datetime) -> tuple[Terms, int]:
    """Return the terms in force at the end of a day, or the first ones there were, with their number."""
    if not revisions:
        return terms_of(slo), slo.revision
    before = [row for row in revisions if row.effective_from < end] or [revisions[0]]
    return from_values(before[-1].terms), before[-1].number


def _row(day: date, item: Standing, of_day: Standing, revision: int, now: datetime) -> dict[str, Any]:
    slo, numbers = item.slo, of_day.numbers
    lateness = timedelta(seconds=slo.sli.lateness_seconds if slo.sli else 31 * 86_400)
    over = now > item.as_of + lateness
    return {
        "slo_id": str(slo.pk) if connection.vendor == "postgresql" else slo.pk.hex,
        "day": day.isoformat(),
        "good": None if numbers is None else numbers.good - numbers.excluded_good,
        "total": None if numbers is None else numbers.total - numbers.excluded_total,
        "raw_good": None if numbers is None else numbers.good,
        "raw_total": None if numbers is None else numbers.total,
        "sli": _text(ratio(of_day)),
        "window_sli": _text(ratio(item)),
        "consumed": _text(share(item.consumed)),
        "state": str(item.state),
        "target": str(item.terms.target),
        "revision": revision,
        "taken_at": _instant(now),
        "frozen_at": _instant(now) if over else None,
    }


@transaction.atomic
def _write(rows: Sequence[dict[str, Any]]) -> int:
    with connection.cursor() as cursor:
        ordered = sorted(rows, key=lambda row: (row["slo_id"], row["day"]))
        statement = f"INSERT INTO slas_slosnapshot ({_COLUMNS}) {_SELECT[connection.vendor]} {_CONFLICT}"
        cursor.execute(statement, [json.dumps(ordered)])
        return int(cursor.rowcount)


def _day(slo: Slo, day: date) -> Window:
    zone = ZoneInfo(slo.time_zone)
    return Window(midnight(day, zone).astimezone(UTC), midnight(day + timedelta(days=1), zone).astimezone(UTC))


def _instant(value: datetime) -> str:
    return str(connection.ops.adapt_datetimefield_value(value))


def _text(value: Any) -> str | None:
    return None if value is None else format(value, "f")
