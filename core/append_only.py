"""Triggers that make a table append-only: the database itself refuses UPDATE, DELETE and TRUNCATE, whoever asks.

Old rows leave in one way only: on PostgreSQL by dropping a whole partition, on SQLite by dropping the triggers and
making them again in one transaction. Both are changes of the schema, done by a service on purpose, never by accident.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

FUNCTION = """
CREATE OR REPLACE FUNCTION append_only_refusal() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END
$body$
"""
_OPERATIONS = ("UPDATE", "DELETE")


def protect_from_updates(connection: BaseDatabaseWrapper, table: str) -> None:
    """Refuse changes of the table's rows, and let retention delete old ones; doing it twice changes nothing."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(_sqlite_trigger(table, "UPDATE"))
            return
        cursor.execute(FUNCTION)
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION append_only_refusal()"
        )


def protect(connection: BaseDatabaseWrapper, table: str) -> None:
    """Refuse every change of the table's rows from now on; doing it twice changes nothing.

    On a partitioned table the row triggers reach every partition, present and future; TRUNCATE of one partition is
    refused only after `protect_from_truncate` on it.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for operation in _OPERATIONS:
                cursor.execute(_sqlite_trigger(table, operation))
            return
        cursor.execute(FUNCTION)
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION append_only_refusal()"
        )
    protect_from_truncate(connection, table)


def freeze_columns(connection: BaseDatabaseWrapper, table: str, columns: tuple[str, ...]) -> None:
    """Refuse changes of these columns; the others may change. Doing it twice changes nothing."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            differs = " OR ".join(f"OLD.{column} IS NOT NEW.{column}" for column in columns)
            cursor.execute(
                f"CREATE TRIGGER IF NOT EXISTS {table}_frozen BEFORE UPDATE ON {table} WHEN {differs} "
                f"BEGIN SELECT RAISE(ABORT, '{table}: {', '.join(columns)} never change'); END"
            )
            return
        differs = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in columns)
        cursor.execute(FUNCTION)
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {table}_frozen BEFORE UPDATE ON {table} "
            f"FOR EACH ROW WHEN ({differs}) EXECUTE FUNCTION append_only_refusal()"
        )


def protect_from_truncate(connection: BaseDatabaseWrapper, table: str) -> None:
    """Refuse TRUNCATE of this one PostgreSQL table or partition."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION append_only_refusal()"
        )


@contextmanager
def unprotected_sqlite(connection: BaseDatabaseWrapper, table: str) -> Iterator[None]:
    """Let the block delete rows of an SQLite table: the one way for retention there, in one transaction."""
    with transaction.atomic(using=connection.alias):
        with connection.cursor() as cursor:
            for operation in _OPERATIONS:
                cursor.execute(f"DROP TRIGGER IF EXISTS {_name(table, operation)}")
        yield
        protect(connection, table)


def _name(table: str, operation: str) -> str:
    return f"{table}_no_{operation.lower()}"


def _sqlite_trigger(table: str, operation: str) -> str:
    return (
        f"CREATE TRIGGER IF NOT EXISTS {_name(table, operation)} BEFORE {operation} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only: {operation} refused'); END"
    )
