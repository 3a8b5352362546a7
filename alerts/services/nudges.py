"""Waking a pass as soon as there is work for it: a hint that may be lost, for every pass also runs by the clock."""

from __future__ import annotations

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as KombuError

# A hint that waited for longer is worth nothing: the schedule has come by.
EXPIRES_SECONDS = 5
log = structlog.get_logger(__name__)


def wake(sweep: str) -> None:
    """Run a pass once the transaction has been committed; asked for several times in it, once."""
    connection = transaction.get_connection()
    if not any(getattr(call, "sweep", "") == sweep for _, call, *_ in connection.run_on_commit):
        transaction.on_commit(_Call(sweep))


class _Call:
    def __init__(self, sweep: str) -> None:
        self.sweep = sweep

    def __call__(self) -> None:
        try:
            current_app.send_task(f"alerts.tasks.{self.sweep}", expires=EXPIRES_SECONDS, retry=False)
        except (KombuError, OSError) as error:
            log.warning("pass_not_woken", sweep=self.sweep, reason=str(error))
