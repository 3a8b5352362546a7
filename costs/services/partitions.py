"""The monthly partitions of the ledger on PostgreSQL: made ahead of time, mended when rows came without one.

The maintenance keeps this month and a few months ahead. An older month is made when its first event comes, by whoever
records it, before his transaction. Recording neither waits nor fails for any of this: what cannot be had at once is
left to the maintenance, and the events go to the default partition until it moves them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import structlog
from django.db import DatabaseError, OperationalError, connection, transaction

from core import audit
from core.append_only import protect_from_truncate, unprotected_sqlite
from core.ports.conditions import Condition, clear_condition, raise_condition
from costs.models import FoldState

TABLE = "costs_costevent"
DEFAULT = f"{TABLE}_default"
MONTHS_AHEAD = 3
# Whoever waits longer than this for a lock gives up and leaves the work to the next run: ingest goes first.
LOCK_TIMEOUT = "3s"
# A batch waits this long at most for the partition of a month that is new; then its events go to the default one.
PATIENCE = "200ms"
_EXISTING = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass"

log = structlog.get_logger(__name__)

# Months that this process has seen a partition of, or could not make one for, as "2026-11".
_seen: set[str] = set()


@dataclass(frozen=True, slots=True)
class PartitionReport:
    """What one run of the maintenance did; `busy` when a lock could not be had in time."""

    created: tuple[str, ...] = ()
    moved_count: int = 0
    busy: bool = False


def maintain_partitions(*, now: datetime) -> PartitionReport:
    """Make the months that are missing and empty the default partition; nothing to do on SQLite.

    Raises a condition while rows are waiting in the default partition, and clears it when they are moved.
    """
    if connection.vendor != "postgresql":
        return PartitionReport()
    moved = 0
    created: list[str] = []
    busy = False
    try:
        moved = _rescue_default()
        known = _partitions()
        created = [_name(month) for month in _months(now) if _name(month) not in known and create_partition(month)]
    except OperationalError:
        busy = True
    _tell(busy=busy, now=now)
    return PartitionReport(tuple(created), moved, busy)


def prepare_months(months: Collection[str]) -> None:
    """Make the partitions of months ("2026-11") that are about to be written to; costs nothing for known ones.

    Call it outside a transaction on PostgreSQL. Never fails: without a partition the default one takes the events.
    """
    unseen = sorted(set(months) - _seen)
    if not unseen:
        return
    known = _partitions()
    for month in unseen:
        first = date.fromisoformat(f"{month}-01")
        try:
            if _name(first) not in known:
                create_partition(first, lock_timeout=PATIENCE)
        except DatabaseError as error:
            # Busy, no right to make tables, or rows of that month wait in the default partition already.
            log.warning("partition_left_to_maintenance", month=month, reason=str(error))
        _seen.add(month)


def are_prepared(first: datetime, last: datetime) -> bool:
    """Say whether this process has seen to the months of two instants and to all between them."""
    begin, end = (_index(instant.astimezone(UTC).date()) for instant in (first, last))
    return all(f"{_month(index):%Y-%m}" in _seen for index in range(begin, end + 1))


def forget() -> None:
    """Look at the database again before the next month that is written to."""
    _seen.clear()


def create_partition(month: date, *, lock_timeout: str = LOCK_TIMEOUT) -> bool:
    """Make the partition of one month unless it exists; True when it was made.

    The table is built apart and attached: that locks out neither readers nor writers of the other months.
    """
    name, (start, end) = _name(month), _bounds(month)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{lock_timeout}'")
        # One maintenance at a time; the number is only a name for this lock.
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])
        if name in _partitions():
            return False
        cursor.execute(
            f"CREATE TABLE {name} (LIKE {TABLE} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, "
            f"CONSTRAINT {name}_month CHECK (occurred_at >= '{start}' AND occurred_at < '{end}'))"
        )
        cursor.execute(f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES FROM ('{start}') TO ('{end}')")
        cursor.execute(f"ALTER TABLE {name} DROP CONSTRAINT {name}_month")
        protect_from_truncate(connection, name)
    return True


def drop_events_before(before: date, *, now: datetime, reason: str) -> list[str]:
    """Retention: remove the events of whole months before `before`, and say so in the audit log.

    Rollups stay, so totals of the past do not change. Returns the months as "2026-11".
    """
    first = before.replace(day=1)
    with transaction.atomic():
        months = _drop_partitions(first) if connection.vendor == "postgresql" else _delete_months(first)
        if months:
            FoldState.objects.get_or_create(id=1)
            FoldState.objects.filter(id=1).update(retained_from=first)
            audit.record("ledger.retired", ("costs.costevent", "*"), now=now, after={"months": months}, reason=reason)
    return months


def retained_from() -> date | None:
    """Return the first day whose events are all still there, or None when none were ever removed."""
    return FoldState.objects.filter(id=1).values_list("retained_from", flat=True).first()


def default_row_count() -> int:
    """Return how many events wait in the default partition, counted no further than a thousand."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM (SELECT 1 FROM {DEFAULT} LIMIT 1000) AS waiting")  # noqa: S608
        return int(cursor.fetchone()[0])


def missing_months(now: datetime) -> list[str]:
    """Return the months from now on that have no partition although they should."""
    known = _partitions()
    return [f"{month:%Y-%m}" for month in _months(now) if _name(month) not in known]


def _rescue_default() -> int:
    """Put the default partition's rows into months of their own, without deleting one: the table is replaced.

    Writers wait while this runs; it copies only what came in while a month was missing. Rows keep their transaction
    number, so folding neither misses nor repeats them.
    """
    if not default_row_count():
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [TABLE])
        cursor.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        cursor.execute(
            f"SELECT DISTINCT date_trunc('month', occurred_at AT TIME ZONE 'UTC')::date FROM {DEFAULT} ORDER BY 1"  # noqa: S608
        )
        months = [row[0] for row in cursor.fetchall()]
        cursor.execute(f"ALTER TABLE {TABLE} DETACH PARTITION {DEFAULT}")
        cursor.execute(f"ALTER TABLE {DEFAULT} RENAME TO {DEFAULT}_old")
        for month in months:
            create_partition(month)
        cursor.execute(f"INSERT INTO {TABLE} SELECT * FROM {DEFAULT}_old")  # noqa: S608
        moved = int(cursor.rowcount)
        cursor.execute(f"DROP TABLE {DEFAULT}_old")
        cursor.execute(f"CREATE TABLE {DEFAULT} PARTITION OF {TABLE} DEFAULT")
        protect_from_truncate(connection, DEFAULT)
    return moved


def _tell(*, busy: bool, now: datetime) -> None:
    waiting = default_row_count()
    condition = Condition(
        source="costs.partitions",
        key="default",
        severity="medium",
        summary=f"{waiting} or more cost events are in no month's partition"
        + ("; another process held a lock, the next run tries again" if busy else ""),
    )
    if waiting:
        raise_condition(condition, now=now)
    else:
        clear_condition(condition, now=now)


def _drop_partitions(first: date) -> list[str]:
    gone = sorted(name for name in _partitions() if name != DEFAULT and name < _name(first))
    with connection.cursor() as cursor:
        for name in gone:
            cursor.execute(f"DROP TABLE {name}")
    return [name.removeprefix(f"{TABLE}_").replace("_", "-") for name in gone]


def _delete_months(first: date) -> list[str]:
    with unprotected_sqlite(connection, TABLE), connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT substr(occurred_at, 1, 7) FROM {TABLE} WHERE occurred_at < %s ORDER BY 1",  # noqa: S608
            [str(first)],
        )
        months = [str(row[0]) for row in cursor.fetchall()]
        cursor.execute(f"DELETE FROM {TABLE} WHERE occurred_at < %s", [str(first)])  # noqa: S608
    return months


def _partitions() -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(_EXISTING, [TABLE])
        return {row[0] for row in cursor.fetchall()}


def _months(now: datetime) -> Iterator[date]:
    current = _index(now.astimezone(UTC).date())
    return (_month(index) for index in range(current, current + MONTHS_AHEAD + 1))


def _index(day: date) -> int:
    return day.year * 12 + day.month - 1


def _month(index: int) -> date:
    return date(index // 12, index % 12 + 1, 1)


def _name(month: date) -> str:
    return f"{TABLE}_{month:%Y_%m}"


def _bounds(month: date) -> tuple[str, str]:
    return f"{month} 00:00:00+00", f"{_month(_index(month) + 1)} 00:00:00+00"
