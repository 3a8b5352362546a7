"""Is this process alive, and is it ready for work: the checks of core, and the answer of all checks together."""

from __future__ import annotations

import functools
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from core.ids import uuid7
from core.ports.health import HealthCheck, HealthResult, Status, health_checks

SECONDS_PER_CHECK = 3.0
WORKERS = 8
FREE_DISK_WARNING = 1024**3
FREE_DISK_FAILED = 100 * 1024**2

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and how long it took."""

    name: str
    status: Status
    critical: bool
    detail: str
    cure: str
    seconds: float


class _Runner:
    """Runs checks in threads with a limit of time; a check that hangs is waited for, never started twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="health")
        self._running: dict[str, Future[Finding]] = {}

    def run(self, checks: Iterable[HealthCheck], seconds: float) -> list[Finding]:
        futures = [(check, self._start(check)) for check in checks]
        wait([future for _, future in futures], timeout=seconds)
        return [future.result() if future.done() else _hanging(check, seconds) for check, future in futures]

    def _start(self, check: HealthCheck) -> Future[Finding]:
        with self._lock:
            running = self._running.get(check.name)
            if running is None or running.done():
                running = self._running[check.name] = self._pool.submit(_in_thread, check)
            return running


_runner = _Runner()


def findings(checks: Iterable[HealthCheck] | None = None, *, seconds: float = SECONDS_PER_CHECK) -> list[Finding]:
    """Run the checks (all registered ones unless given) at once, each for at most `seconds`, in their order."""
    return _runner.run(health_checks if checks is None else checks, seconds)


def is_ready(found: Iterable[Finding]) -> bool:
    """Return whether this process should get work: no critical check failed."""
    return not any(finding.critical and finding.status == "failed" for finding in found)


def run_check(check: HealthCheck) -> Finding:
    """Run one check in this thread; an exception counts as failed."""
    begun = time.monotonic()
    try:
        result = check.run()
    except Exception as error:  # noqa: BLE001  # whatever a check raises is its finding
        log.warning("health_check_failed", check=check.name, reason=str(error))
        result = HealthResult("failed", f"{type(error).__name__}: {error}")
    spent = time.monotonic() - begun
    return Finding(check.name, result.status, check.critical, result.detail, result.cure, spent)


def _in_thread(check: HealthCheck) -> Finding:
    try:
        return run_check(check)
    finally:
        connections.close_all()


def _hanging(check: HealthCheck, seconds: float) -> Finding:
    return Finding(check.name, "failed", check.critical, f"no answer within {seconds:g} seconds", "", seconds)


def _database() -> HealthResult:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return HealthResult("ok", f"{connection.vendor} answers")


def _migrations() -> HealthResult:
    applied = MigrationRecorder(connection).applied_migrations().keys()
    waiting = sorted(
        f"{app}.{name}"
        for (app, name), replaced in _shipped().items()
        if {(app, name)} - applied and replaced - applied
    )
    if waiting:
        return HealthResult("failed", f"not applied: {', '.join(waiting[:5])}", "run manage.py migrate")
    return HealthResult("ok", "all migrations are applied")


@functools.cache
def _shipped() -> dict[tuple[str, str], frozenset[tuple[str, str]]]:
    """Return the migrations of this version with those each replaces (itself when none); read from disk once."""
    found = MigrationLoader(None, ignore_no_migrations=True).disk_migrations
    return {key: frozenset((old[0], old[1]) for old in migration.replaces or [key]) for key, migration in found.items()}


def _cache() -> HealthResult:
    key = f"health:{uuid7()}"
    cache.set(key, 1, timeout=30)
    if cache.get(key) != 1:
        return HealthResult("failed", "the cache forgot what it was told", "check REDIS_URL and Redis' memory policy")
    cache.delete(key)
    return HealthResult("ok", "Redis answers" if settings.REDIS_URL else "memory of this process")


def _disk() -> HealthResult:
    settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.DATA_DIR).free
    detail = f"{free / 1024**3:.1f} GiB free"
    if free < FREE_DISK_FAILED:
        return HealthResult("failed", detail, "make room on the disk of DATA_DIR")
    if free < FREE_DISK_WARNING:
        return HealthResult("warning", detail, "make room on the disk of DATA_DIR")
    return HealthResult("ok", detail)


def register_core_checks() -> None:
    """Offer what core itself can check; called once, from the app's ready()."""
    offers: tuple[tuple[str, str, Callable[[], HealthResult], bool], ...] = (
        ("database", "The database answers.", _database, True),
        ("migrations", "Every migration of this version is applied.", _migrations, True),
        ("cache", "The cache, and with Redis the broker, answers.", _cache, bool(settings.REDIS_URL)),
        ("disk", "DATA_DIR has room.", _disk, False),
    )
    for name, description, run, critical in offers:
        health_checks.register(HealthCheck(name, description, run, critical))
