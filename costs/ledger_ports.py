"""What the ledger offers to the other apps: schedules, health, a control, personal data; and what it keeps in place."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.apps import AppConfig
from django.db import connections, transaction
from django.db.models.signals import post_migrate
from django.utils import timezone

from core.ports.controls import Control, ControlResult, controls
from core.ports.health import HealthCheck, HealthResult, health_checks
from core.ports.privacy import PersonalData, Subject, personal_data
from core.ports.schedules import Schedule, schedules

LAG_WARNING_SECONDS = 30.0
LAG_FAILED_SECONDS = 300.0
PERSON = "user"


def register_ledger(app: AppConfig) -> None:
    """Fill the ports; called once, from the app's ready()."""
    for schedule in _SCHEDULES:
        schedules.register(schedule)
    health_checks.register(HealthCheck("rollups", "Rollups keep up with what is recorded.", check_fold))
    health_checks.register(HealthCheck("partitions", "The ledger has a partition for this month.", check_partitions))
    controls.register(_AUDIT)
    personal_data.register(_PERSONAL_DATA)
    post_migrate.connect(keep_in_place, sender=app, dispatch_uid="costs.keep_in_place")


def keep_in_place(*, using: str, **_: Any) -> None:
    """After every migration and flush: currencies, partitions and triggers are there, and no process memory lies."""
    from core.append_only import protect
    from costs import pricebook
    from costs.services import currencies, entities, partitions
    from costs.services.ingest import postgresql

    for memory in (currencies, entities, partitions, pricebook, postgresql):
        memory.forget()
    connection = connections[using]
    if partitions.TABLE not in connection.introspection.table_names():
        return
    currencies.ensure_currencies()
    if connection.vendor == "sqlite":
        # A migration that changes the table makes a new one, without the triggers and the index by time, which on
        # PostgreSQL is one over blocks of rows and no index of the model.
        protect(connection, partitions.TABLE)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE INDEX IF NOT EXISTS cost_event_by_time ON {partitions.TABLE} (occurred_at)")
    partitions.maintain_partitions(now=timezone.now())


def check_fold() -> HealthResult:
    """Say how old the oldest event is that no rollup holds."""
    from costs.services.rollups import fold_lag_seconds

    lag = fold_lag_seconds(now=timezone.now())
    cure = "See that a worker and the scheduler run; then look for a transaction that does not end."
    if lag > LAG_FAILED_SECONDS:
        return HealthResult("failed", f"{lag:.0f} seconds behind", cure)
    if lag > LAG_WARNING_SECONDS:
        return HealthResult("warning", f"{lag:.0f} seconds behind", cure)
    return HealthResult("ok", f"{lag:.0f} seconds behind")


def check_partitions() -> HealthResult:
    """Say whether the months from now on have partitions."""
    from costs.services import partitions

    if connections["default"].vendor != "postgresql":
        return HealthResult("ok", "this database needs none")
    missing = partitions.missing_months(timezone.now())
    if missing:
        cure = "Run the task costs.maintain_partitions."
        return HealthResult("warning", f"no partition for {', '.join(missing)}", cure)
    return HealthResult("ok", "every month has its partition")


def audited_lately(now: datetime) -> ControlResult:
    """Judge the audits of the last 36 hours; no audit is no pass."""
    from costs.models import RollupAudit

    rows = list(RollupAudit.objects.filter(audited_at__gt=now - timedelta(hours=36), audited_at__lte=now))
    latest = {row.day: row for row in sorted(rows, key=lambda row: row.pk)}
    different = sorted(str(day) for day, row in latest.items() if not row.equal)
    evidence = {"days": len(latest), "different": different, "events": sum(row.events_count for row in latest.values())}
    if not latest:
        return ControlResult("empty", "No day was audited in the last 36 hours.", 0, evidence)
    if different:
        return ControlResult("failed", f"Rollups differ from the events on {different[0]}.", len(latest), evidence)
    return ControlResult("passed", f"{len(latest)} days equal to the last digit.", len(latest), evidence)


def export_person(subject: Subject) -> Iterable[dict[str, object]]:
    """Yield the entity of a person and every event of it."""
    from core.money import to_text
    from costs.models import CostEvent, Entity

    for entity in Entity.objects.filter(entity_type=PERSON, entity_id=subject.identifier):
        yield {"entity_id": entity.entity_id, "name": entity.name, "first_seen_at": entity.first_seen_at.isoformat()}
        for event in CostEvent.objects.filter(entity=entity).order_by("occurred_at", "id").iterator(2000):
            yield {
                "event": str(event.id),
                "occurred_at": event.occurred_at.isoformat(),
                "cost_type": event.cost_type,
                "provider": event.provider,
                "model": event.model,
                "amount": None if event.amount is None else to_text(event.amount),
                "currency": event.currency,
                "tags": event.tags,
                "metadata": event.metadata,
                "session_id": event.session_id,
            }


def pseudonymise_person(subject: Subject) -> int:
    """Replace a person's name by a random one; the amounts stay, so totals do not change. Rejected items go."""
    from core import audit
    from costs.models import Entity, IngestReject
    from costs.services import entities

    now = timezone.now()
    changed = 0
    with transaction.atomic():
        for entity in Entity.objects.filter(entity_type=PERSON, entity_id=subject.identifier):
            changed += Entity.objects.filter(pk=entity.pk).update(entity_id=f"erased-{uuid4().hex}", name="")
            audit.record("entity.pseudonymised", entity, now=now)
        kept = IngestReject.objects.filter(payload__entity_type=PERSON, payload__entity_id=subject.identifier)
        changed += kept.delete()[0]
    entities.forget()
    return changed


_SCHEDULES = (
    Schedule(
        "costs.fold_rollups",
        "costs.tasks.fold_rollups",
        "Brings recorded costs into the rollups and soft budgets.",
        every=timedelta(seconds=2),
    ),
    Schedule(
        "costs.audit_rollups",
        "costs.tasks.audit_rollups",
        "Compares the rollups with the events, to the last digit.",
        crontab="40 2 * * *",
    ),
    Schedule(
        "costs.convert_pending",
        "costs.tasks.convert_pending",
        "Converts costs whose exchange rate came late.",
        every=timedelta(minutes=5),
    ),
    Schedule(
        "costs.maintain_partitions",
        "costs.tasks.maintain_partitions",
        "Makes the coming months of the ledger.",
        crontab="20 1 * * *",
    ),
)

_AUDIT = Control(
    key="costs.rollups_equal_events",
    title="Cost totals equal the ledger",
    passes_when="Every day audited in the last 36 hours has rollups equal to its events to the last digit.",
    every=timedelta(days=1),
    criteria=("SOC2:PI1.4", "SOC2:CC4.1"),
    run=audited_lately,
)

_PERSONAL_DATA = PersonalData(
    name="costs.entities",
    description="Costs of entities of type user, and rejected items that name them.",
    columns=(
        "costs_entity.entity_id",
        "costs_entity.name",
        "costs_ingestreject.payload",
        "costs_costevent.tags",
        "costs_costevent.metadata",
    ),
    export=export_person,
    erase=pseudonymise_person,
)
