"""The database from its address, with what each engine needs to be safe here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.environment import Environment

SQLITE_ENGINE = "core.fair_sqlite3"
SQLITE_OPTIONS: dict[str, Any] = {
    # Deferred transactions fail with "database is locked" when they come to write; these wait their turn.
    "transaction_mode": "IMMEDIATE",
    "timeout": 30,
    # Recursive triggers make INSERT OR REPLACE fire the triggers that keep facts from being deleted.
    "init_command": (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA recursive_triggers=ON;"
    ),
}
# A forgotten transaction would hold back the folding of rollups for everybody.
POSTGRESQL_OPTIONS: dict[str, Any] = {"options": "-c idle_in_transaction_session_timeout=60000"}


def database(env: Environment, url: str, *, password: str, embedded: Path, pool: Mapping[str, float]) -> dict[str, Any]:
    """Return one Django database from its URL, or SQLite in the file `embedded` when there is none.

    A URL that leads to no database this platform runs on is noted as a problem, and counts as none until then.
    """
    options = {
        "django.db.backends.sqlite3": SQLITE_OPTIONS,
        "django.db.backends.postgresql": {**POSTGRESQL_OPTIONS, "pool": dict(pool)},
    }
    default = {"ENGINE": SQLITE_ENGINE, "NAME": embedded, "OPTIONS": SQLITE_OPTIONS}
    if not url:
        return default
    found: dict[str, Any] = {}
    if url.startswith(("sqlite:", "postgres:", "postgresql:")):
        found = env.db_url_config(url)
    ours = options.get(found.get("ENGINE", ""))
    if ours is None:
        # The value is not repeated: it holds a password.
        env.note(
            "core.E001",
            "DATABASE_URL is not the address of a database this platform runs on.",
            "Use postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:////absolute/path, or leave it out for SQLite.",
        )
        return default
    if password:
        found["PASSWORD"] = password
    if ours is SQLITE_OPTIONS:
        found["ENGINE"] = SQLITE_ENGINE
    return {**found, "OPTIONS": {**found.get("OPTIONS", {}), **ours}}
