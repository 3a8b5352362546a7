"""The database backend of the embedded mode.

SQLite lets one transaction write at a time, and who waits asks again after pauses that grow to a tenth of a second.
A process that writes in a loop leaves gaps of a millisecond between its transactions, which such a waiter hardly ever
hits: with two writers one was measured to wait for four seconds. Here a transaction that cannot begin asks again about
every millisecond, so it begins in one of the next gaps; it gives up after the same timeout.
"""

from __future__ import annotations

import random
import sqlite3
import time
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

PAUSE_SECONDS = 0.001


class DatabaseWrapper(base.DatabaseWrapper):
    """Begins transactions fairly; everything else is Django's."""

    def _start_transaction_under_autocommit(self) -> None:
        link: Any = self.connection
        # What the connection is set to now: who does not want to wait at all has set it to 0.
        milliseconds = int(link.execute("PRAGMA busy_timeout").fetchone()[0])
        link.execute("PRAGMA busy_timeout = 0")
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]  # the stubs leave it out
        except OperationalError as error:
            if not _is_locked(error) or not milliseconds:
                raise
            self._wait_for_turn(link, time.monotonic() + milliseconds / 1000)
        finally:
            link.execute(f"PRAGMA busy_timeout = {milliseconds}")

    def _wait_for_turn(self, link: Any, deadline: float) -> None:
        begin = f"BEGIN {self.transaction_mode or ''}"  # type: ignore[attr-defined]  # the stubs leave it out
        while True:
            # Uneven pauses: two that wait do not ask in step.
            time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
            try:
                link.execute(begin)
            except sqlite3.OperationalError as error:
                if not _is_locked(error) or time.monotonic() >= deadline:
                    raise OperationalError(*error.args) from error
            else:
                return


def _is_locked(error: Exception) -> bool:
    return "locked" in str(error)
