"""Entities: made when they are first seen, arranged in a tree, remembered per process for the ingest path."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F

from core import audit
from core.errors import FieldError, Invalid
from costs.models import CostCenter, Entity, EntityClosure

Name = tuple[str, str]

# Keys of entities that are committed. They never change, so what is remembered is right until the tables are emptied
# or restored under a running process; the age bounds how long that would matter.
_known: dict[Name, int] = {}
_since = time.monotonic()
MOST_KNOWN = 200_000
LONGEST_SECONDS = 300.0


def forget() -> None:
    """Remember nothing: after a migration, a flush or a restore."""
    global _since  # noqa: PLW0603  # one memory per process is the point
    _known.clear()
    _since = time.monotonic()


def known(names: Collection[Name]) -> dict[Name, int] | None:
    """Return the primary key of every named entity when this process knows them all; asks no database."""
    _forget_in_time()
    try:
        return {name: _known[name] for name in names}
    except KeyError:
        return None


def resolve(names: Collection[Name], *, now: datetime) -> dict[Name, int]:
    """Return the primary key of every named entity; those not seen yet are made, each once however many try.

    Runs in a transaction of its own unless the caller has one. Costs no query for entities this process knows.
    """
    _forget_in_time()
    found = {name: _known[name] for name in names if name in _known}
    wanted = sorted(set(names) - found.keys())
    if not wanted:
        return found
    # Inside somebody else's transaction the rows may still be rolled back: then they are not remembered.
    committed = not connection.in_atomic_block
    fresh = _select(wanted)
    missing = [name for name in wanted if name not in fresh]
    if missing:
        with transaction.atomic():
            _insert(missing, now)
            fresh |= _select(missing)
            _link_to_themselves([fresh[name] for name in missing])
    if committed:
        _known.update(fresh)
    return found | fresh


def _forget_in_time() -> None:
    if len(_known) > MOST_KNOWN or time.monotonic() - _since > LONGEST_SECONDS:
        forget()


def set_parent(entity: Entity, parent: Entity | None, *, now: datetime, reason: str = "") -> None:
    """Put an entity, with everything below it, under another one or at the top.

    Raises Invalid when that would make a circle. The closure is rebuilt in the same transaction, so a budget on the
    new parent counts from this instant on.
    """
    with transaction.atomic():
        # The tree changes rarely and every change touches many rows: one at a time.
        _lock_tree()
        entity.refresh_from_db(fields=["parent"])
        before = entity.parent
        if parent is not None and _is_below(parent.pk, entity.pk):
            detail = f"{parent} is below {entity} or is the same: that would make a circle"
            raise Invalid(detail, errors=[FieldError("/parent", "cycle", detail)])
        Entity.objects.filter(pk=entity.pk).update(parent=parent)
        _move_closure(entity.pk, None if parent is None else parent.pk)
        entity.parent = parent
        audit.record(
            "entity.moved",
            entity,
            now=now,
            before={"parent": str(before) if before else None},
            after={"parent": str(parent) if parent else None},
            reason=reason,
        )


def rename(entity: Entity, name: str, *, now: datetime) -> None:
    """Give an entity a name for people; what it is called by senders stays."""
    with transaction.atomic():
        before = Entity.objects.filter(pk=entity.pk).values_list("name", flat=True).get()
        Entity.objects.filter(pk=entity.pk).update(name=name)
        entity.name = name
        audit.record("entity.renamed", entity, now=now, before={"name": before}, after={"name": name})


def set_cost_center(entity: Entity, cost_center: CostCenter | None, *, now: datetime) -> None:
    """Book an entity on a cost centre, or on none."""
    with transaction.atomic():
        before = Entity.objects.select_related("cost_center").get(pk=entity.pk).cost_center
        Entity.objects.filter(pk=entity.pk).update(cost_center=cost_center)
        entity.cost_center = cost_center
        audit.record(
            "entity.cost_center_set",
            entity,
            now=now,
            before={"cost_center": before.code if before else None},
            after={"cost_center": cost_center.code if cost_center else None},
        )


def _select(names: Iterable[Name]) -> dict[Name, int]:
    types, ids = zip(*names, strict=True)
    if connection.vendor == "postgresql":
        wanted = "unnest(%s::text[], %s::text[]) AS wanted(entity_type, entity_id)"
        parameters: list[Any] = [list(types), list(ids)]
    else:
        wanted = (
            "(SELECT json_extract(value, '$[0]') AS entity_type, json_extract(value, '$[1]') AS entity_id"
            " FROM json_each(%s)) AS wanted"
        )
        parameters = [json.dumps(list(zip(types, ids, strict=True)))]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT e.id, e.entity_type, e.entity_id FROM costs_entity e JOIN "  # noqa: S608  # fixed text
            f"{wanted} ON e.entity_type = wanted.entity_type AND e.entity_id = wanted.entity_id",
            parameters,
        )
        return {(entity_type, entity_id): key for key, entity_type, entity_id in cursor.fetchall()}


def _insert(names: Iterable[Name], now: datetime) -> None:
    # In the order of their names, as everybody does: two batches with the same new entities wait, and never deadlock.
    rows = [Entity(entity_type=kind, entity_id=key, first_seen_at=now) for kind, key in sorted(names)]
    Entity.objects.bulk_create(rows, ignore_conflicts=True)


def _link_to_themselves(keys: Iterable[int]) -> None:
    links = [EntityClosure(ancestor_id=key, descendant_id=key, depth=0) for key in sorted(keys)]
    EntityClosure.objects.bulk_create(links, ignore_conflicts=True)


def _lock_tree() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('costs_entity.tree'))")


def _is_below(candidate: int, ancestor: int) -> bool:
    return EntityClosure.objects.filter(ancestor_id=ancestor, descendant_id=candidate).exists()


def _move_closure(moved: int, parent: int | None) -> None:
    below = list(EntityClosure.objects.filter(ancestor_id=moved).values_list("descendant_id", "depth"))
    inside = [key for key, _ in below]
    # What leads into the moved branch from outside goes; what is inside stays.
    EntityClosure.objects.filter(descendant_id__in=inside).exclude(ancestor_id__in=inside).delete()
    if parent is None:
        return
    above = EntityClosure.objects.filter(descendant_id=parent).values_list("ancestor_id", F("depth") + 1)
    EntityClosure.objects.bulk_create(
        EntityClosure(ancestor_id=ancestor, descendant_id=descendant, depth=up + down)
        for ancestor, up in above
        for descendant, down in below
    )
