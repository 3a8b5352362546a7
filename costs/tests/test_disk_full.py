"""No room left on the database's disk: refused as a whole and in words, pages stay open, and the same is taken later.

SQLite is kept from growing; on PostgreSQL the table answers as it does when its file cannot be extended.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from core.tests.people import administrator, signed_in
from costs.models import CostEvent, EventKey
from costs.tests.api_client import Answer, Caller

pytestmark = pytest.mark.django_db(transaction=True)
NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$
"""


@contextmanager
def full_disk() -> Iterator[None]:
    """Let the tables of the ledger grow no more while the block runs."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            # What earlier tests have left free would be used first.
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA page_count")
            cursor.execute(f"PRAGMA max_page_count = {cursor.fetchone()[0]}")
        else:
            cursor.execute(NO_ROOM)
            cursor.execute("CREATE TRIGGER no_room BEFORE INSERT ON costs_eventkey EXECUTE FUNCTION no_room()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("PRAGMA max_page_count = 4294967294")
            else:
                cursor.execute("DROP TRIGGER no_room ON costs_eventkey")
                cursor.execute("DROP FUNCTION no_room()")


def batch(caller: Caller) -> Answer:
    # Too much for what is free within the pages there are.
    usual: dict[str, Any] = {"entity_type": "agent", "entity_id": "a", "cost_type": "compute", "amount": "1"}
    items = [usual | {"idempotency_key": f"k{number}", "metadata": {"note": "x" * 1000}} for number in range(400)]
    return caller.send("costs:batch", {"items": items})


def test_batch__disk_full__is_refused_whole_and_taken_when_there_is_room() -> None:
    caller = Caller()

    with full_disk():
        refused = batch(caller)
        kept = (CostEvent.objects.count(), EventKey.objects.count())

    assert (refused.status, refused.body["type"]) == (503, "urn:agent-factory:problem:database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert kept == (0, 0)
    assert batch(caller).status in {200, 201}
    assert CostEvent.objects.count() == 400


def test_pages__disk_full__stay_open_for_reading() -> None:
    client = signed_in(administrator())
    batch(Caller())

    with full_disk():
        assert client.get("/admin/costs/costevent/").status_code == 200
        assert client.get("/admin/costs/explorer/").status_code == 200
