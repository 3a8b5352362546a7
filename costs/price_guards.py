"""Triggers that hold what is approved: a price version and its components never change, whoever asks the database.

An approved or retired version can do two things: end earlier than it said, and be retired. On PostgreSQL an exclusion
constraint also refuses two approved prices of the same thing at the same time, where btree_gist can be had.
A migration that rebuilds one of the tables on SQLite has to `unguard` before and `guard` after it.
"""

from __future__ import annotations

import logging

from django.db import DatabaseError, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)

# What an approved or retired version may still do: end earlier than it said, and be retired.
_FIXED = (
    "id, book_id, sku_id, service_tier, region, valid_from, source, source_ref, content_hash, note, created_at, "
    "created_by_id, approved_at, approved_by_id"
)

_POSTGRESQL = f"""
CREATE OR REPLACE FUNCTION price_version_guard() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF OLD.status = 'draft' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    IF TG_OP = 'UPDATE' AND ROW({", ".join("NEW." + name for name in _FIXED.split(", "))})
            IS NOT DISTINCT FROM ROW({", ".join("OLD." + name for name in _FIXED.split(", "))})
        AND (NEW.status = OLD.status OR (OLD.status = 'approved' AND NEW.status = 'retired'))
        AND (NEW.valid_to IS NOT DISTINCT FROM OLD.valid_to
             OR (NEW.valid_to IS NOT NULL AND (OLD.valid_to IS NULL OR NEW.valid_to < OLD.valid_to)))
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an approved price never changes: % of % refused', TG_OP, OLD.id
        USING ERRCODE = 'restrict_violation';
END
$body$;
CREATE OR REPLACE TRIGGER costs_priceversion_guard BEFORE UPDATE OR DELETE ON costs_priceversion
    FOR EACH ROW EXECUTE FUNCTION price_version_guard();
-- Per statement, not per row: a price list comes with twenty thousand components at once.
CREATE OR REPLACE FUNCTION price_component_guard() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF EXISTS (SELECT 1 FROM changed JOIN costs_priceversion v ON v.id = changed.version_id
               WHERE v.status <> 'draft') THEN
        RAISE EXCEPTION 'an approved price never changes: % of a component refused', TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END
$body$;
CREATE OR REPLACE TRIGGER costs_pricecomponent_no_more AFTER INSERT ON costs_pricecomponent
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION price_component_guard();
CREATE OR REPLACE TRIGGER costs_pricecomponent_no_other AFTER UPDATE ON costs_pricecomponent
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION price_component_guard();
CREATE OR REPLACE TRIGGER costs_pricecomponent_no_less AFTER DELETE ON costs_pricecomponent
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION price_component_guard();
"""  # noqa: S608  # fixed names

_EXCLUSION = """
ALTER TABLE costs_priceversion ADD CONSTRAINT price_version_one_at_a_time EXCLUDE USING gist (
    book_id WITH =, sku_id WITH =, service_tier WITH =, region WITH =, tstzrange(valid_from, valid_to) WITH &&
) WHERE (status = 'approved')
"""

_SQLITE = [
    f"""
    CREATE TRIGGER IF NOT EXISTS costs_priceversion_guard BEFORE UPDATE ON costs_priceversion
    WHEN OLD.status <> 'draft' AND NOT (
        {" AND ".join(f"NEW.{name} IS OLD.{name}" for name in _FIXED.split(", "))}
        AND (NEW.status = OLD.status OR (OLD.status = 'approved' AND NEW.status = 'retired'))
        AND (NEW.valid_to IS OLD.valid_to
             OR (NEW.valid_to IS NOT NULL AND (OLD.valid_to IS NULL OR NEW.valid_to < OLD.valid_to)))
    )
    BEGIN SELECT RAISE(ABORT, 'an approved price never changes'); END
    """,
    """
    CREATE TRIGGER IF NOT EXISTS costs_priceversion_keep BEFORE DELETE ON costs_priceversion WHEN OLD.status <> 'draft'
    BEGIN SELECT RAISE(ABORT, 'an approved price never changes'); END
    """,
    *(
        f"""
        CREATE TRIGGER IF NOT EXISTS costs_pricecomponent_{operation.lower()} BEFORE {operation} ON costs_pricecomponent
        WHEN EXISTS (SELECT 1 FROM costs_priceversion
                     WHERE id = {"NEW" if operation == "INSERT" else "OLD"}.version_id AND status <> 'draft')
        BEGIN SELECT RAISE(ABORT, 'an approved price never changes'); END
        """  # noqa: S608  # fixed names
        for operation in ("INSERT", "UPDATE", "DELETE")
    ),
]


def guard(connection: BaseDatabaseWrapper) -> None:
    """Refuse changes of approved prices from now on; doing it twice changes nothing."""
    statements = _SQLITE if connection.vendor == "sqlite" else [_POSTGRESQL]
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def unguard(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away, for a migration that has to rebuild the tables."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            names = ["priceversion_guard", "priceversion_keep"]
            names += [f"pricecomponent_{operation}" for operation in ("insert", "update", "delete")]
            for name in names:
                cursor.execute(f"DROP TRIGGER IF EXISTS costs_{name}")
            return
        cursor.execute("DROP FUNCTION IF EXISTS price_version_guard CASCADE")
        cursor.execute("DROP FUNCTION IF EXISTS price_component_guard CASCADE")


def exclude_overlaps(connection: BaseDatabaseWrapper) -> None:
    """Let PostgreSQL refuse overlapping prices; where the extension cannot be made, say what to do and go on."""
    if connection.vendor != "postgresql":
        return
    try:
        with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
            cursor.execute("CREATE EXTENSION IF NOT EXISTS btree_gist")
            cursor.execute(_EXCLUSION)
    except DatabaseError as error:
        # The service refuses overlaps as well, under a lock; the constraint is a second pair of eyes.
        logger.warning(
            "btree_gist could not be created (%s): overlapping prices are refused by the service alone. "
            "To have the database refuse them too, run CREATE EXTENSION btree_gist as its owner and then: %s",
            str(error).strip(),
            " ".join(_EXCLUSION.split()),
        )


def allow_overlaps(connection: BaseDatabaseWrapper) -> None:
    """Take the exclusion constraint away."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE costs_priceversion DROP CONSTRAINT IF EXISTS price_version_one_at_a_time")
