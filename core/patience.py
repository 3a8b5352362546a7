"""How long a write may wait for another one on SQLite, which has one writer at a time."""

from __future__ import annotations

from django.db import connection


class without_waiting:  # noqa: N801  # reads as a phrase in the with statement
    """On SQLite, give up at once when another connection is writing, instead of after the usual thirty seconds."""

    def __enter__(self) -> None:
        self.usual: int | None = None
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            with connection.cursor() as cursor:
                self.usual = int(cursor.execute("PRAGMA busy_timeout").fetchone()[0])
                cursor.execute("PRAGMA busy_timeout = 0")

    def __exit__(self, *_: object) -> None:
        if self.usual is not None:
            with connection.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {self.usual:d}")
