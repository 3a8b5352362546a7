"""The core app."""

import sqlite3

from django.apps import AppConfig
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created


class CoreConfig(AppConfig):
    """Teaches every SQLite connection exact money and registers what core itself offers."""

    name = "core"
    verbose_name = "Platform"

    def ready(self) -> None:
        """Register the checks, and what every connection and every forked process needs."""
        from core import automation_actions, checks, exportjobs, forks, keyguard, liveness, panels, signins  # noqa: F401  # the checks register themselves
        from core.approvals.ports import register as register_approvals
        from core.health import register_core_checks

        forks.install()
        register_core_checks()
        liveness.register()
        exportjobs.register()
        keyguard.register()
        register_approvals()
        panels.register()
        signins.register()
        automation_actions.register()
        connection_created.connect(teach_sqlite, dispatch_uid="core.teach_sqlite")


def teach_sqlite(*, connection: BaseDatabaseWrapper, **_: object) -> None:
    """Register the exact money functions on a fresh SQLite connection."""
    from core.money import register_sqlite_functions

    if isinstance(connection.connection, sqlite3.Connection):
        register_sqlite_functions(connection.connection)
