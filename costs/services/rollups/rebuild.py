"""Rollups built again from the events, while events keep coming in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Min

from core import audit
from core.windows import midnight
from costs.models import CostEvent, EntityDayRollup, ModelHourRollup
from costs.services.partitions import retained_from
from costs.services.rollups.horizon import lock_horizon

_COUNTS = "event_count, unpriced_count, unconverted_count"
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class RebuildReport:
    """Which days were built again (both included) and from how many events; no days when there are no events."""

    first: date | None
    last: date | None
    event_count: int


def rebuild_rollups(*, first: date | None = None, last: date | None = None, now: datetime) -> RebuildReport:
    """Build the rollups of these days of the organisation (all by default) from the events, to the last digit.

    Ingest goes on meanwhile: only what the fold has passed is counted, and the fold waits. Days whose events retention
    has removed are left as they are. Soft budgets keep their own count and are not touched.
    """
    bounds = _bounds(first, last)
    if bounds is None:
        return RebuildReport(None, None, 0)
    begin, end = bounds
    with transaction.atomic():
        horizon = lock_horizon(wait=True) if connection.vendor == "postgresql" else None
        count = _rebuild_days(begin, end, horizon)
        after = {"first": begin, "last": end, "events": count}
        audit.record("rollups.rebuilt", ("costs.entitydayrollup", "*"), now=now, after=after)
    return RebuildReport(begin, end, count)


def rebuild_all(horizon: int) -> int:
    """Build all retained days from the events below the horizon; the caller holds the locks that make it exact."""
    bounds = _bounds(None, None)
    return 0 if bounds is None else _rebuild_days(*bounds, horizon)


def _rebuild_days(first: date, last: date, horizon: int | None) -> int:
    days = (first + timedelta(days=offset) for offset in range((last - first).days + 1))
    return sum(rebuild_day(day, horizon) for day in days)


def rebuild_day(day: date, horizon: int | None) -> int:
    """Build one day of the organisation and the hours that begin in it; the caller holds the fold state's lock."""
    zone: ZoneInfo = settings.ORGANISATION_ZONE
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    EntityDayRollup.objects.filter(day=day).delete()
    tail = "" if horizon is None else " AND txid < %(horizon)s::xid8"
    values = {"day": _date(day), "start": _at(start), "end": _at(end), "horizon": str(horizon)}
    with connection.cursor() as cursor:
        cursor.execute(_sql(_ENTITY_DAYS, tail), values)
        # Where the day does not begin on a full hour of UTC, the hours it shares with its neighbours are built whole.
        first, last = _hour(start), _hour(end - timedelta(microseconds=1))
        ModelHourRollup.objects.filter(hour__gte=first, hour__lte=last).delete()
        cursor.execute(_sql(_MODEL_HOURS, tail), {**values, "start": _at(first), "end": _at(last + _HOUR)})
        cursor.execute(
            f"SELECT count(*) FROM costs_costevent WHERE occurred_at >= %(start)s AND occurred_at < %(end)s{tail}",  # noqa: S608
            values,
        )
        return int(cursor.fetchone()[0])


_WITHIN = "FROM costs_costevent WHERE occurred_at >= %(start)s AND occurred_at < %(end)s"
_ENTITY_DAYS = f"""
INSERT INTO costs_entitydayrollup (entity_id, day, cost_type, currency, amount, base_amount, {_COUNTS})
SELECT entity_id, {{day}}, cost_type, currency, {{sums}} {_WITHIN}{{tail}} GROUP BY entity_id, cost_type, currency
"""  # fixed text
_MODEL_HOURS = f"""
INSERT INTO costs_modelhourrollup (hour, cost_type, provider, model, currency, amount, base_amount, {_COUNTS},
    input_tokens, output_tokens)
SELECT {{hour}}, cost_type, provider, model, currency, {{sums}}, sum(input_tokens), sum(output_tokens)
{_WITHIN}{{tail}} GROUP BY 1, cost_type, provider, model, currency
"""  # fixed text


def _sql(template: str, tail: str) -> str:
    if connection.vendor == "postgresql":
        words = {
            "day": "%(day)s::date",
            "hour": "date_bin('1 hour', occurred_at, TIMESTAMPTZ '2000-01-01 00:00:00+00')",
            "money": "COALESCE(sum({name}), 0)",
        }
    else:
        words = {
            "day": "%(day)s",
            "hour": "substr(occurred_at, 1, 13) || ':00:00'",
            "money": "COALESCE(money_sum({name}), '0.000000000000')",
        }
    money = ", ".join(words["money"].format(name=name) for name in ("amount", "base_amount"))
    counts = ", ".join(f"sum({name})" for name in _COUNTS.split(", "))
    return template.format(day=words["day"], hour=words["hour"], sums=f"{money}, {counts}", tail=tail)


def _bounds(first: date | None, last: date | None) -> tuple[date, date] | None:
    zone: ZoneInfo = settings.ORGANISATION_ZONE
    found: dict[str, datetime | None] = CostEvent.objects.aggregate(
        oldest=Min("occurred_at"), newest=Max("occurred_at")
    )
    rolled = EntityDayRollup.objects.aggregate(newest=Max("day"))["newest"]
    oldest, newest = found["oldest"], found["newest"]
    if oldest is None or newest is None:
        return None
    earliest = max(retained_from() or date.min, oldest.astimezone(zone).date()) if first is None else first
    begin = max(earliest, retained_from() or earliest)
    end = last or max(newest.astimezone(zone).date(), rolled or date.min)
    return (begin, end) if begin <= end else None


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _at(value: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(value)


def _date(value: date) -> Any:
    return str(value)
