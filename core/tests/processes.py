"""Starts the product as people do, in real processes, and talks to it from outside."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
from django.conf import settings
from django.db import connection

KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
START_SECONDS = 90.0


def environment(data_dir: Path, **variables: str) -> dict[str, str]:
    """Return a clean environment: nothing of the developer's, everything written below `data_dir`."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    ours = {"ENV_FILE": os.devnull, "DATA_DIR": str(data_dir), "PORT": "0", "PYTHONUNBUFFERED": "1"}
    return {**kept, **ours, "DJANGO_SETTINGS_MODULE": "config.tests.fleet.settings", **variables}


def manage(*arguments: str, env: Mapping[str, str], seconds: float = START_SECONDS) -> subprocess.CompletedProcess[str]:
    """Run one management command to its end."""
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=settings.BASE_DIR, env=dict(env), capture_output=True, text=True, timeout=seconds, check=False
    )


def shell(code: str, env: Mapping[str, str]) -> str:
    """Run a line of Python inside the product, in a process of its own, and return what it prints."""
    program = f"import django; django.setup(); {code}"
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", program],
        cwd=settings.BASE_DIR, env=dict(env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def copy(prepared: Path, folder: Path) -> Path:
    """Return a DATA_DIR in `folder` with all tables made."""
    return Path(shutil.copytree(prepared, folder / "data"))


class Platform:
    """A running `manage.py up`."""

    def __init__(self, env: Mapping[str, str], *arguments: str) -> None:
        self.env = dict(env)
        self.log = Path(env["DATA_DIR"]).parent / f"up-{uuid.uuid4().hex[:8]}.log"
        begun = time.monotonic()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *arguments],
                cwd=settings.BASE_DIR, env=self.env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            wait_for(lambda: "Ctrl-C stops it" in self.output or self.process.poll() is not None, START_SECONDS)
            found = re.search(r"runs at (http://\S+)", self.output)
            self.address = found.group(1) if found else ""
            assert self.process.poll() is None, self.output
            if self.address:
                wait_for(lambda: self.status("/healthz") == 200, START_SECONDS)
        except BaseException:
            self.kill()
            raise
        self.seconds = time.monotonic() - begun

    @property
    def output(self) -> str:
        """Everything it printed until now."""
        return self.log.read_text()

    def status(self, path: str) -> int:
        """Return the status of a page, after redirects; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"{self.address}{path}", timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def children(self) -> list[int]:
        """Return the processes that this one started."""
        done = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in done.stdout.split()]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Press Ctrl-C, as a terminal does: both processes get the signal."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it at once, with its children."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until the condition holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.1)


@contextlib.contextmanager
def stores() -> Iterator[dict[str, str]]:
    """Yield the variables of the stores under test: an empty PostgreSQL database and Redis, or nothing (embedded)."""
    if connection.vendor != "postgresql":
        yield {}
        return
    url = os.environ["DATABASE_URL"]
    name = f"test_up_{uuid.uuid4().hex[:12]}"
    server = f"{url.rsplit('/', 1)[0]}/postgres"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
    try:
        yield {"DATABASE_URL": f"{url.rsplit('/', 1)[0]}/{name}", "REDIS_URL": os.environ.get("REDIS_URL", "")}
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def database_url() -> str:
    """Return the address of the database this test runs on, for a process beside it."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    user = database["USER"] + (f":{database['PASSWORD']}" if database["PASSWORD"] else "")
    return f"postgres://{user}@{database['HOST']}:{database['PORT'] or 5432}/{database['NAME']}"


def deadlock_count() -> int:
    """Return how many deadlocks PostgreSQL has ended in this database so far; SQLite has none."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
