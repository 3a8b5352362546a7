"""What `manage.py up` does before it serves: tables, roles, schedules, prices; each skipped when nothing is to do."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management import call_command, get_commands
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

# Two servers that start at once on one database wait for each other here. Any number that nobody else uses will do.
ADVISORY_LOCK = 7_203_144_501


def prepare() -> None:
    """Bring database, schedules and price book up to this version. Safe to run twice, and twice at once."""
    with _alone():
        waiting = _waiting_migrations()
        if waiting:
            say(f"Preparing the database ({waiting} migrations) …")
            call_command("migrate", interactive=False, verbosity=0)
        call_command("sync_schedules", verbosity=0)
        run_if_offered("load_prices", quiet=True)


def run_if_offered(command: str, *arguments: str, quiet: bool = False) -> bool:
    """Run a management command that another app may bring; False when none does."""
    if command not in get_commands():
        return False
    call_command(command, *arguments, **({"stdout": io.StringIO()} if quiet else {}))
    return True


def say(text: str) -> None:
    """Tell the person at the terminal, at once and apart from the log."""
    print(text, file=sys.stdout, flush=True)


def _waiting_migrations() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


@contextmanager
def _alone() -> Iterator[None]:
    if connection.vendor != "postgresql":
        # One DATA_DIR has one `up`: its lock file sees to it.
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [ADVISORY_LOCK])
