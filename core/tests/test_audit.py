"""The audit log: what an entry holds, that it lives and dies with its transaction, and that nothing changes it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import QuerySet

from core import audit
from core.choices import JobStatus
from core.context import Actor, Context, acting
from core.models import AppendOnlyError, AuditEntry

pytestmark = pytest.mark.django_db
SUBJECT = ("things.thing", "42")


def _entries() -> QuerySet[AuditEntry]:
    """Return what was said of the thing; what an installation begins with is in the log as well."""
    return AuditEntry.objects.filter(subject_type=SUBJECT[0])


def test_record__in_a_context__holds_who_where_and_what(now: datetime) -> None:
    context = Context(Actor("user", "7", "ada"), channel="admin", request_id="r-1", reason="because")

    with acting(context):
        audit.record("thing.raised", SUBJECT, now=now, before={"limit": Decimal("0.10")}, after={"limit": Decimal(5)})

    entry = _entries().get()
    assert (entry.actor_kind, entry.actor_id, entry.actor_label) == ("user", "7", "ada")
    assert (entry.channel, entry.request_id, entry.reason, entry.at) == ("admin", "r-1", "because", now)
    assert (entry.action, entry.subject_type, entry.subject_id) == ("thing.raised", *SUBJECT)
    assert (entry.before, entry.after) == ({"limit": "0.1"}, {"limit": "5"})


def test_record__every_kind_of_value__is_kept_readable(now: datetime) -> None:
    values = {
        "none": None, "truth": True, "count": 3, "text": "a", "status": JobStatus.QUEUED, "money": Decimal("1E-12"),
        "at": datetime(2026, 1, 2, tzinfo=UTC), "on": date(2026, 1, 2), "id": UUID(int=1),
        "nested": {"a": [Decimal(1)]},
    }  # fmt: skip

    audit.record("thing.made", SUBJECT, now=now, after=values)

    assert _entries().get().after == {
        "none": None, "truth": True, "count": 3, "text": "a", "status": "queued", "money": "0.000000000001",
        "at": "2026-01-02T00:00:00+00:00", "on": "2026-01-02", "id": str(UUID(int=1)), "nested": {"a": ["1"]},
    }  # fmt: skip


def test_record__transaction_rolled_back__leaves_no_entry(now: datetime) -> None:
    def act() -> None:
        with transaction.atomic():
            audit.record("thing.made", SUBJECT, now=now)
            raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError):
        act()
    assert not _entries().exists()


def test_entry__changed_or_deleted_through_the_model__is_refused(now: datetime) -> None:
    audit.record("thing.made", SUBJECT, now=now)
    entry = _entries().get()
    entry.action = "thing.hidden"

    with pytest.raises(AppendOnlyError):
        entry.save()
    with pytest.raises(AppendOnlyError):
        entry.delete()
    assert _entries().get().action == "thing.made"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE core_auditentry SET action = 'thing.hidden'",
        "DELETE FROM core_auditentry",
        "INSERT OR REPLACE INTO core_auditentry SELECT * FROM core_auditentry",
        "TRUNCATE core_auditentry",
    ],
)
def test_entry__changed_by_sql__is_refused_by_the_database(now: datetime, statement: str) -> None:
    only_one = {"INSERT OR": "sqlite", "TRUNCATE": "postgresql"}
    if any(statement.startswith(start) and connection.vendor != vendor for start, vendor in only_one.items()):
        pytest.skip("the other database's statement")
    audit.record("thing.made", SUBJECT, now=now)

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert _entries().get().action == "thing.made"
