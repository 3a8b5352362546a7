"""Database connections over a fork: the child leaves the parent's alone and opens its own."""

from __future__ import annotations

import os
from collections.abc import Callable

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

# Kept for ever on purpose: closing an inherited connection, or letting it be collected, would speak over the parent's
# socket, and closing an inherited pool would wait for threads that do not exist in this process.
_inherited: list[object] = []


def install() -> None:
    """Make every child of this process forget the connections and pools it inherits."""
    os.register_at_fork(after_in_child=forget_inherited)


def forget_inherited() -> None:
    """Put aside, without closing them, all database connections and pools made before the fork."""
    for connection in connections.all(initialized_only=True):
        _inherited.append(connection.connection)
        connection.connection = None
        connection.in_atomic_block = False
        connection.savepoint_ids = []
        connection.run_on_commit = []
        pools = _pools(connection)
        _inherited.append(dict(pools))
        pools.clear()


def close_connections() -> None:
    """Close this process's connections and pools, so that a fork that follows inherits none."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        close_pool: Callable[[], None] | None = getattr(connection, "close_pool", None)
        if _pools(connection) and close_pool is not None:
            close_pool()
        _pools(connection).clear()


def drop_pools() -> None:
    """Have every thread of this process open plain connections: right where one task runs at a time."""
    for alias in connections:
        connections.settings[alias].get("OPTIONS", {}).pop("pool", None)


def _pools(connection: BaseDatabaseWrapper) -> dict[str, object]:
    """Return the pools of a backend, which Django keeps on the class; SQLite has none."""
    pools: dict[str, object] = getattr(connection, "_connection_pools", {})
    return pools
