"""Entities: made once, arranged in a tree without circles, and forgotten as persons without losing amounts."""

from __future__ import annotations

import random
from datetime import datetime
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from core.errors import Invalid
from core.models import AuditEntry
from core.ports.privacy import Subject, personal_data
from costs.models import CostCenter, CostEvent, Entity, EntityClosure, IngestReject
from costs.services import entities
from costs.services.ingest import record_cost, record_costs
from costs.tests.ledger_case import SENDER, item

pytestmark = pytest.mark.django_db


def test_resolve__new_and_known_names__makes_each_once(now: datetime) -> None:
    first = entities.resolve([("agent", "a"), ("team", "a")], now=now)

    second = entities.resolve([("team", "a"), ("agent", "b"), ("agent", "a")], now=now)

    assert first.items() <= second.items()
    assert len(set(second.values())) == 3
    assert EntityClosure.objects.filter(depth=0).count() == 3


def test_resolve__inside_a_transaction__remembers_nothing_that_may_be_rolled_back(now: datetime) -> None:
    entities.forget()
    entities.resolve([("agent", "a")], now=now)

    with CaptureQueriesContext(connection) as captured:
        entities.resolve([("agent", "a")], now=now)
    assert len(captured) == 1


@pytest.mark.django_db(transaction=True)
def test_resolve__committed_names__cost_no_query(now: datetime) -> None:
    entities.forget()
    entities.resolve([("agent", "a")], now=now)

    with CaptureQueriesContext(connection) as captured:
        entities.resolve([("agent", "a")], now=now)
    assert len(captured) == 0


def test_set_parent__moves_the_branch_with_everything_below(now: datetime) -> None:
    company, team, agent, tool = _chain(now, "company", "team", "agent", "tool")
    other = Entity.objects.get(pk=entities.resolve([("team", "other")], now=now)["team", "other"])

    entities.set_parent(agent, other, now=now, reason="reorganised")

    assert _above(tool) == {tool.pk: 0, agent.pk: 1, other.pk: 2}
    assert _above(team) == {team.pk: 0, company.pk: 1}
    entry = AuditEntry.objects.filter(action="entity.moved", subject_id=str(agent.pk)).latest("id")
    assert (entry.before, entry.after, entry.reason) == (
        {"parent": "team:team"},
        {"parent": "team:other"},
        "reorganised",
    )


def test_set_parent__to_the_top__leaves_what_is_inside(now: datetime) -> None:
    _, team, agent, _ = _chain(now, "company", "team", "agent", "tool")

    entities.set_parent(team, None, now=now)

    assert _above(agent) == {agent.pk: 0, team.pk: 1}


@pytest.mark.parametrize("below", [0, 1, 3])
def test_set_parent__under_itself__is_refused(below: int, now: datetime) -> None:
    chain = _chain(now, "company", "team", "agent", "tool")
    before = sorted(EntityClosure.objects.values_list("ancestor_id", "descendant_id", "depth"))

    with pytest.raises(Invalid) as refusal:
        entities.set_parent(chain[0], chain[below], now=now)

    assert refusal.value.errors[0].code == "cycle"
    assert sorted(EntityClosure.objects.values_list("ancestor_id", "descendant_id", "depth")) == before
    assert Entity.objects.get(pk=chain[0].pk).parent is None


def test_set_parent__random_moves__closure_is_what_the_parents_say(now: datetime) -> None:
    chance = random.Random(3)  # sample data
    keys = sorted(entities.resolve([("agent", str(n)) for n in range(12)], now=now).values())
    for _ in range(60):
        child, parent = (Entity.objects.get(pk=chance.choice(keys)) for _ in range(2))
        try:
            entities.set_parent(child, chance.choice([parent, parent, None]), now=now)
        except Invalid:
            assert parent.pk in _ancestors_reversed(child.pk) | {child.pk}

    for entity in Entity.objects.all():
        assert _above(entity) == _walk(entity)


def test_rename_and_cost_center__are_audited(now: datetime) -> None:
    [agent] = _chain(now, "agent")
    center = CostCenter.objects.create(code="4711", name="Research")

    entities.rename(agent, "Reader", now=now)
    entities.set_cost_center(agent, center, now=now)

    agent.refresh_from_db()
    assert (agent.name, agent.cost_center) == ("Reader", center)
    said = AuditEntry.objects.filter(subject_type="costs.entity", subject_id=str(agent.pk))
    actions = said.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["entity.renamed", "entity.cost_center_set"]


def test_erase__person__keeps_amounts_and_loses_the_name(now: datetime) -> None:
    # given costs of two users and a rejected item of one of them
    of_maria = {"entity_type": "user", "entity_id": "maria@example.org"}
    bad = item(3, amount=Decimal(-1), **of_maria)
    record_costs([item(1, **of_maria), item(2, entity_type="user", entity_id="joe"), bad], sender=SENDER, now=now)
    store = personal_data.get("costs.entities")
    before = CostEvent.objects.total()

    # when one is erased
    assert store.erase(Subject("subject", "maria@example.org")) == 2

    # then nothing names her and every total is what it was
    assert CostEvent.objects.total() == before
    assert not Entity.objects.filter(entity_id__contains="maria").exists()
    assert not IngestReject.objects.exists()
    assert Entity.objects.filter(entity_id="joe").exists()
    assert list(store.export(Subject("subject", "maria@example.org"))) == []


def test_export__person__names_every_event(now: datetime) -> None:
    record_cost(item(1, entity_type="user", entity_id="maria", tags={"a": "b"}), sender=SENDER, now=now)

    rows = list(personal_data.get("costs.entities").export(Subject("user", "maria")))

    assert rows[0]["entity_id"] == "maria"
    assert (rows[1]["amount"], rows[1]["tags"]) == ("0.02", {"a": "b"})


def _chain(now: datetime, *kinds: str) -> list[Entity]:
    """Make entities named as their types, each below the one before."""
    found: list[Entity] = []
    for kind in kinds:
        entity = Entity.objects.get(pk=entities.resolve([(kind, kind)], now=now)[kind, kind])
        if found:
            entities.set_parent(entity, found[-1], now=now)
        found.append(entity)
    return found


def _above(entity: Entity) -> dict[int, int]:
    return dict(EntityClosure.objects.filter(descendant=entity).values_list("ancestor_id", "depth"))


def _walk(entity: Entity) -> dict[int, int]:
    found, at, depth = {}, Entity.objects.get(pk=entity.pk), 0
    while True:
        found[at.pk] = depth
        if at.parent is None:
            return found
        at, depth = at.parent, depth + 1


def _ancestors_reversed(key: int) -> set[int]:
    return set(EntityClosure.objects.filter(ancestor_id=key).values_list("descendant_id", flat=True))
