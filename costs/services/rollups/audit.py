"""Rollups compared with the events behind them, group by group, to the last digit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max, Min, QuerySet, Sum
from django.db.models.functions import TruncHour

from core.money import CONTEXT, ZERO, MoneySum
from core.ports.conditions import Condition, clear_condition, raise_condition
from core.windows import Window, midnight
from costs.models import CostEvent, EntityDayRollup, ModelHourRollup, RollupAudit
from costs.services.partitions import retained_from
from costs.services.rollups.horizon import lock_horizon

RECENT_DAYS = 35
# Older days are audited in turn, each once in this many nights.
TURNS = 7

Group = tuple[Any, ...]
Measures = tuple[Any, ...]
_COUNTS = ("event_count", "unpriced_count", "unconverted_count")
_TOKENS = ("input_tokens", "output_tokens")


def days_due(*, now: datetime) -> list[date]:
    """Return the days to audit tonight: all of the last weeks, and a share of the older ones in turn."""
    zone: ZoneInfo = settings.ORGANISATION_ZONE
    today = now.astimezone(zone).date()
    rolled = EntityDayRollup.objects.aggregate(oldest=Min("day"), newest=Max("day"))
    oldest = rolled["oldest"]
    if oldest is None:
        return []
    oldest = max(oldest, retained_from() or oldest)
    days = (oldest + timedelta(days=offset) for offset in range((max(today, rolled["newest"]) - oldest).days + 1))
    turn = today.toordinal() % TURNS
    return [day for day in days if (today - day).days < RECENT_DAYS or day.toordinal() % TURNS == turn]


def audit_days(days: Iterable[date], *, now: datetime) -> list[RollupAudit]:
    """Audit days, and raise or clear the condition that the rollups differ from the ledger."""
    results = [audit_day(day, now=now) for day in days]
    different = [result for result in results if not result.equal]
    newest = RollupAudit.objects.values("day").annotate(last=Max("id")).values("last")
    open_days = list(
        RollupAudit.objects.filter(id__in=newest, equal=False).values_list("day", flat=True).order_by("day")
    )
    condition = Condition(
        source="costs.rollups",
        key="audit",
        severity="critical",
        summary=f"Rollups differ from the events on {', '.join(str(day) for day in open_days[:5])}"
        + (f" and {len(open_days) - 5} more days" if len(open_days) > 5 else "")
        + ": run rebuild_rollups for these days and find out who changed them",
        labels={"days": str(len(open_days))},
    )
    if different or open_days:
        raise_condition(condition, now=now)
    elif results:
        clear_condition(condition, now=now)
    return results


def audit_day(day: date, *, now: datetime) -> RollupAudit:
    """Compare every rollup row of one day with its events and keep the result.

    The fold waits while one day is compared, so both sides speak of the same events; ingest does not wait.
    """
    zone: ZoneInfo = settings.ORGANISATION_ZONE
    window = Window(midnight(day, zone), midnight(day + timedelta(days=1), zone))
    start = datetime.combine(day, time.min, tzinfo=UTC)
    hours = Window(start, start + timedelta(days=1))
    with transaction.atomic():
        if connection.vendor == "postgresql":
            lock_horizon(wait=True)
        of_events = _by_entity(_folded(window))
        of_rollup = _grouped(EntityDayRollup.objects.filter(day=day), ("entity_id", "cost_type", "currency"), _COUNTS)
        hourly = _by_hour(_folded(hours))
        rolled = _grouped(
            ModelHourRollup.objects.filter(hour__gte=hours.start, hour__lt=hours.end),
            ("hour", "cost_type", "provider", "model", "currency"),
            (*_COUNTS, *_TOKENS),
        )
        detail = _difference("entity days", of_events, of_rollup) or _difference("model hours", hourly, rolled)
        return RollupAudit.objects.create(
            day=day,
            audited_at=now,
            events_amount=_total(of_events),
            rollup_amount=_total(of_rollup),
            events_count=sum(row[2] for row in of_events.values()),
            rollup_count=sum(row[2] for row in of_rollup.values()),
            equal=not detail,
            detail=detail[:500],
        )


def _folded(window: Window) -> QuerySet[CostEvent]:
    rows: QuerySet[CostEvent] = CostEvent.objects.within(window).folded().order_by()
    return rows


def _by_entity(rows: QuerySet[CostEvent]) -> dict[Group, Measures]:
    return _grouped(rows, ("entity_id", "cost_type", "currency"), _COUNTS)


def _by_hour(rows: QuerySet[CostEvent]) -> dict[Group, Measures]:
    hourly = rows.annotate(hour=TruncHour("occurred_at", tzinfo=UTC))
    return _grouped(hourly, ("hour", "cost_type", "provider", "model", "currency"), (*_COUNTS, *_TOKENS))


def _grouped(rows: QuerySet[Any], key: Sequence[str], counts: Sequence[str]) -> dict[Group, Measures]:
    sums: dict[str, Any] = {"sum_amount": MoneySum("amount"), "sum_base": MoneySum("base_amount")}
    sums |= {f"sum_{name}": Sum(name) for name in counts}
    found: dict[Group, Measures] = defaultdict(tuple)
    for row in rows.order_by().values(*key).annotate(**sums).values_list(*key, *sums):
        measures = row[len(key) :]
        # A group that came to nothing, such as an event and its reversal, may stay as a row of zeros.
        if any(measures):
            found[row[: len(key)]] = measures
    return dict(found)


def _difference(name: str, events: dict[Group, Measures], rollup: dict[Group, Measures]) -> str:
    wrong = sorted((key for key in events.keys() | rollup.keys() if events.get(key) != rollup.get(key)), key=str)
    if not wrong:
        return ""
    first = wrong[0]
    shown = "/".join(str(part) for part in first)
    of_events, of_rollup = _shown(events.get(first)), _shown(rollup.get(first))
    return f"{len(wrong)} {name} differ, first {shown}: events {of_events}, rollup {of_rollup}"


def _shown(measures: Measures | None) -> str:
    return "nothing" if measures is None else " ".join(str(value) for value in measures)


def _total(groups: dict[Group, Measures]) -> Decimal:
    with localcontext(CONTEXT):
        return sum((row[1] for row in groups.values()), ZERO)
