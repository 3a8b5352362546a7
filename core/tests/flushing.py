"""Lets the test runner empty append-only tables between tests that commit; nothing else may, so it lives here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session", autouse=True)
def flush_past_append_only_triggers() -> Iterator[None]:
    """Wrap Django's flush: triggers are out of the way for its own transaction and back at its end."""
    from django.db import connection

    with pytest.MonkeyPatch.context() as patch:
        backend = type(connection.ops)
        patch.setattr(backend, "sql_flush", _past_triggers(backend.sql_flush))
        yield


def _past_triggers(original: Any) -> Any:
    def sql_flush(self: Any, *args: Any, **kwargs: Any) -> list[str]:
        statements = original(self, *args, **kwargs)
        if not statements:
            return []
        off, on = _postgresql(self.connection) if self.connection.vendor == "postgresql" else _sqlite(self.connection)
        return [*off, *statements, *on]

    return sql_flush


def _postgresql(database: Any) -> tuple[list[str], list[str]]:
    # What the owner of the tables may do; switching all triggers off at once takes a superuser.
    with database.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
        tables = [table for (table,) in cursor.fetchall()]
    return [f"ALTER TABLE ONLY {table} DISABLE TRIGGER USER" for table in tables], [
        f"ALTER TABLE ONLY {table} ENABLE TRIGGER USER" for table in tables
    ]


def _sqlite(database: Any) -> tuple[list[str], list[str]]:
    with database.cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        triggers = cursor.fetchall()
    return [f"DROP TRIGGER {name}" for name, _ in triggers], [sql for _, sql in triggers]
