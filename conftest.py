"""What every test may use, and the little that the suite needs to run on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

pytest_plugins = ("core.tests.browser",)


def pytest_report_header() -> str:
    broker = "Redis" if settings.REDIS_URL else "no Redis"
    return f"running on {connection.vendor} with {broker}"


def pytest_unconfigure() -> None:
    shutil.rmtree(settings.DATA_DIR, ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("postgresql") and connection.vendor != "postgresql":
            item.add_marker(pytest.mark.skip(reason="needs PostgreSQL"))
        if item.get_closest_marker("redis") and not settings.REDIS_URL:
            item.add_marker(pytest.mark.skip(reason="needs Redis"))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Let no session that a killed process or a browser's request left on the server keep the test database alive."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DATA_DIR with all tables made, to be copied by tests that start the product on SQLite."""
    from core.tests.processes import environment, manage

    folder = tmp_path_factory.mktemp("prepared") / "data"
    done = manage("migrate", "--verbosity", "0", env=environment(folder))
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def now() -> datetime:
    """A fixed instant: a Wednesday noon, far from midnight in most time zones."""
    return datetime(2026, 3, 18, 12, 0, tzinfo=UTC)


@pytest.fixture
def run_on_commit(django_capture_on_commit_callbacks: Callable[..., Any]) -> Callable[..., Any]:
    """Return a context in which what was left for after the commit is done at the end."""
    return lambda: django_capture_on_commit_callbacks(execute=True)


@pytest.fixture(autouse=True)
def _fresh_price_book() -> None:
    """Let no test be priced by the book of the one before, which was rolled back under the process's memory."""
    from costs import pricebook

    pricebook.forget()
