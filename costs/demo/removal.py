"""Removal of the demonstration: exactly its rows, and nothing of anybody else's changes by a digit.

The ledger refuses DELETE, so its protection is lifted inside one transaction, which holds a lock that keeps every
other writer out, and only rows of the demonstration (and what corrects them) are deleted. The act is audited.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q

from core import audit
from core.append_only import unprotected_sqlite
from core.models import ConditionRecord
from core.ports.conditions import Condition, clear_condition
from costs.demo.fleet import UNPRICED
from costs.demo.load import CENTER_PREFIX, CLIENT, SOURCE, SUBJECT
from costs.models import (
    Budget,
    BudgetPeriod,
    CostCenter,
    CostEvent,
    Entity,
    EntityDayRollup,
    EventKey,
    FxRate,
    IngestReject,
    Reservation,
    ReservationLine,
    UnpricedModel,
)
from costs.reader import organisation_zone
from costs.services import entities
from costs.services.budgets import recount
from costs.services.budgets.recount import lock_ledger
from costs.services.partitions import retained_from
from costs.services.rollups.horizon import lock_horizon
from costs.services.rollups.rebuild import rebuild_day

TABLE = "costs_costevent"
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What was removed, and what was kept because real data needs it."""

    event_count: int
    entity_count: int
    budget_count: int
    kept_entities: tuple[str, ...]
    kept_rates: int


def remove_demo(*, now: datetime) -> RemovalReport:
    """Remove every row of the demonstration in one transaction; doing it twice changes nothing.

    An entity, cost centre or exchange rate that real data has come to use stays and is not marked any more. Budgets
    of your own that counted the demonstration are counted anew.
    """
    with transaction.atomic():
        lock_ledger(writes=True)
        budgets = _remove_budgets(now)
        events = _demo_events()
        days = _days_of(events)
        with _unprotected_ledger():
            _delete_events(events)
        _rebuild(days)
        _recount_others(now)
        IngestReject.objects.filter(source=SOURCE).delete()
        UnpricedModel.objects.filter(provider=UNPRICED[0], model=UNPRICED[1]).delete()
        kept_rates = _remove_rates()
        removed, kept = _remove_entities()
        report = RemovalReport(len(events), removed, budgets, kept, kept_rates)
        if report.event_count or report.entity_count or report.budget_count:
            after = {"events": len(events), "entities": removed, "budgets": budgets, "kept": list(kept)}
            audit.record("demo.removed", SUBJECT, now=now, before=after)
    entities.forget()
    return report


def _demo_events() -> list[UUID]:
    """Return the demonstration's events, and whatever adjusts or replaces one of them."""
    found: list[UUID] = []
    level = list(CostEvent.objects.filter(source=SOURCE).order_by().values_list("id", flat=True))
    while level:
        found += level
        following: list[UUID] = []
        for start in range(0, len(level), AT_ONCE):
            among = CostEvent.objects.filter(adjusts__in=level[start : start + AT_ONCE]).exclude(source=SOURCE)
            following += among.order_by().values_list("id", flat=True)
        level = following
    return found


def _days_of(events: list[UUID]) -> set[date]:
    zone = organisation_zone()
    instants: list[datetime] = []
    for start in range(0, len(events), AT_ONCE):
        rows = CostEvent.objects.filter(id__in=events[start : start + AT_ONCE]).order_by()
        instants += rows.values_list("occurred_at", flat=True)
    return {at.astimezone(zone).date() for at in instants}


@contextmanager
def _unprotected_ledger() -> Iterator[None]:
    """Lift the protection of the ledger inside the caller's transaction, and put it back before that ends."""
    if connection.vendor == "sqlite":
        with unprotected_sqlite(connection, TABLE):
            yield
        return
    with connection.cursor() as cursor:
        # The lock this takes keeps every other writer out until the transaction has ended.
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER {TABLE}_append_only")
        yield
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER {TABLE}_append_only")


def _delete_events(events: list[UUID]) -> None:
    for start in range(0, len(events), AT_ONCE):
        among = events[start : start + AT_ONCE]
        EventKey.objects.filter(event__in=among).delete()
        # The model refuses to delete; this statement goes past it and names every row.
        CostEvent.objects.filter(id__in=among)._raw_delete(connection.alias)


def _rebuild(days: set[date]) -> None:
    """Build the rollups of the days anew from the events that stay; days that retention has passed have none left."""
    horizon = lock_horizon(wait=True) if connection.vendor == "postgresql" else None
    retained = retained_from() or date.min
    for day in sorted(day for day in days if day >= retained):
        rebuild_day(day, horizon)


def _recount_others(now: datetime) -> None:
    """Count the budgets that stay anew, as far as they counted the demonstration."""
    demo = Entity.objects.filter(demo=True)
    counted = Q(budget__entity__isnull=True) | Q(budget__entity__descendant_links__descendant__in=demo)
    periods = BudgetPeriod.objects.filter(counted, budget__demo=False).select_related("budget").distinct()
    for period in sorted(periods, key=lambda period: period.pk):
        spent = recount(period.budget, period)
        if spent != period.spent:
            before = {"spent": period.spent}
            BudgetPeriod.objects.filter(pk=period.pk).update(spent=spent)
            audit.record("budget.recounted", period.budget, now=now, before=before, after={"spent": spent})


def _remove_budgets(now: datetime) -> int:
    budgets = Budget.objects.filter(demo=True)
    keys = [str(key) for key in budgets.values_list("id", flat=True)]
    ReservationLine.objects.filter(Q(reservation__client=CLIENT) | Q(period__budget__in=budgets)).delete()
    Reservation.objects.filter(client=CLIENT).delete()
    for record in ConditionRecord.objects.filter(source__startswith="costs.", firing=True):
        if any(key in record.key for key in keys):
            clear_condition(Condition(record.source, record.key, "info", record.summary), now=now)
    budgets.delete()
    return len(keys)


def _remove_rates() -> int:
    rates = FxRate.objects.filter(source=SOURCE)
    used = set(CostEvent.objects.filter(fx_rate__in=rates).order_by().values_list("fx_rate_id", flat=True).distinct())
    rates.exclude(pk__in=used).delete()
    return len(used)


def _remove_entities() -> tuple[int, tuple[str, ...]]:
    """Remove the demonstration's entities, the lowest first; those that real data uses stay, unmarked."""
    removed, kept = 0, []
    rows = list(Entity.objects.filter(demo=True).exclude(entity_type="team"))
    rows += list(Entity.objects.filter(demo=True, entity_type="team"))
    for entity in rows:
        if _in_use(entity):
            Entity.objects.filter(pk=entity.pk).update(demo=False)
            kept.append(f"{entity.entity_type}:{entity.entity_id}")
        else:
            Entity.objects.filter(pk=entity.pk).delete()
            removed += 1
    CostCenter.objects.filter(code__startswith=CENTER_PREFIX, entities__isnull=True).delete()
    return removed, tuple(kept)


def _in_use(entity: Entity) -> bool:
    return (
        CostEvent.objects.filter(entity=entity).exists()
        or EntityDayRollup.objects.filter(entity=entity).exists()
        or entity.budgets.exists()
        or entity.reservations.exists()
        or entity.children.exists()
    )
