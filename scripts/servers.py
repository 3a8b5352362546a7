"""PostgreSQL and Redis for the tests: the ones that answer, or ones started from this machine's binaries."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psycopg
from redis import Redis
from redis.exceptions import RedisError

LIBRARY_FOLDERS = ("/usr/lib/postgresql", "/usr/pgsql-17", "/opt/homebrew/opt/postgresql")


@dataclass(frozen=True, slots=True)
class Server:
    """A server to test on: its address without a database name, and what it is."""

    url: str
    description: str


@contextlib.contextmanager
def postgresql() -> Iterator[Server | str]:
    """Yield a PostgreSQL where databases can be made, or a sentence on why there is none."""
    given = os.environ.get("TEST_DATABASE_URL", "")
    for url in [given] if given else _usual_databases():
        version = _database_version(url)
        if version:
            yield Server(url, f"PostgreSQL {version}")
            return
    if given:
        yield "TEST_DATABASE_URL does not lead to a PostgreSQL where this user may make databases"
        return
    with _started_postgresql() as found:
        yield found


@contextlib.contextmanager
def redis() -> Iterator[Server | str]:
    """Yield a Redis with an empty database, or a sentence on why there is none."""
    given = os.environ.get("TEST_REDIS_URL", "")
    for url in [given] if given else [f"redis://127.0.0.1:6379/{number}" for number in range(15, 0, -1)]:
        version = _redis_version(url, must_be_empty=not given)
        if version:
            yield Server(url, f"Redis {version}")
            return
    if given:
        yield "TEST_REDIS_URL does not lead to a Redis"
        return
    with _started_redis() as found:
        yield found


def _usual_databases() -> list[str]:
    user = getpass.getuser()
    return [
        f"postgres://{user}@127.0.0.1:5432/postgres",
        "postgres://postgres:postgres@127.0.0.1:5432/postgres",  # pragma: allowlist secret  # the usual container's
    ]


def _database_version(url: str) -> str:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute(
                "SELECT current_setting('server_version'), rolcreatedb OR rolsuper FROM pg_roles "
                "WHERE rolname = current_user"
            ).fetchone()
    except psycopg.Error:
        return ""
    return str(row[0]).split()[0] if row and row[1] else ""


def _redis_version(url: str, *, must_be_empty: bool) -> str:
    try:
        with contextlib.closing(Redis.from_url(url, socket_connect_timeout=2)) as server:
            if must_be_empty and server.dbsize():
                return ""
            return str(server.info("server")["redis_version"])
    except RedisError:
        return ""


@contextlib.contextmanager
def _started_postgresql() -> Iterator[Server | str]:
    initdb, pg_ctl = _binary("initdb"), _binary("pg_ctl")
    if not initdb or not pg_ctl:
        yield "no PostgreSQL answers on port 5432, and initdb and pg_ctl are not installed"
        return
    account = _unprivileged_account()
    with tempfile.TemporaryDirectory(prefix="agent-factory-postgresql-") as folder:
        if account:
            shutil.chown(folder, account)
        data, port = Path(folder) / "data", _free_port()
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
        start = [pg_ctl, "-D", str(data), "-w", "-l", f"{folder}/log", "-o", options, "start"]
        for command in ([initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"], start):
            done = subprocess.run(command, user=account, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                yield f"PostgreSQL could not be started: {(done.stderr or done.stdout).strip()}"
                return
        try:
            url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            yield Server(url, f"PostgreSQL {_database_version(url)} (started for this run)")
        finally:
            stop = [pg_ctl, "-D", str(data), "-m", "immediate", "stop"]
            subprocess.run(stop, user=account, cwd=folder, capture_output=True, check=False)


@contextlib.contextmanager
def _started_redis() -> Iterator[Server | str]:
    binary = shutil.which("redis-server") or shutil.which("valkey-server")
    if not binary:
        yield "no Redis answers on port 6379, and redis-server is not installed"
        return
    with tempfile.TemporaryDirectory(prefix="agent-factory-redis-") as folder:
        port = _free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen([binary, *options], stdout=subprocess.DEVNULL)
        try:
            url = f"redis://127.0.0.1:{port}/1"
            version = _wait_for_redis(url)
            yield Server(url, f"Redis {version} (started for this run)") if version else "Redis could not be started"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for_redis(url: str) -> str:
    for _ in range(50):
        version = _redis_version(url, must_be_empty=False)
        if version:
            return version
        time.sleep(0.1)
    return ""


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found:
        return found
    candidates = sorted(path for folder in LIBRARY_FOLDERS for path in Path(folder).glob(f"**/bin/{name}"))
    return str(candidates[-1]) if candidates else ""


def _unprivileged_account() -> str | None:
    """Return the user to run PostgreSQL as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody", "daemon") if name in names)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Outage:
    """A PostgreSQL and a Redis of one's own, to be stopped and started while something runs on them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="agent-factory-outage-")
        self._account = _unprivileged_account()
        self._ports = (_free_port(), _free_port())
        self._redis: subprocess.Popen[bytes] | None = None
        self.database_url = f"postgres://postgres@127.0.0.1:{self._ports[0]}/postgres"
        self.redis_url = f"redis://127.0.0.1:{self._ports[1]}/1"

    @staticmethod
    def possible() -> bool:
        """Return whether the binaries are there."""
        return bool(_binary("initdb") and _binary("pg_ctl") and shutil.which("redis-server"))

    def __enter__(self) -> Self:
        if self._account:
            shutil.chown(self._folder.name, self._account)
        self._run(_binary("initdb"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start_database()
        self.start_redis()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_redis()
        self.stop_database()
        self._folder.cleanup()

    def start_database(self) -> None:
        """Start PostgreSQL and wait until it answers."""
        options = f"-p {self._ports[0]} -k {self._folder.name} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run(_binary("pg_ctl"), "-w", "-l", f"{self._folder.name}/log", "-o", options, "start")

    def stop_database(self) -> None:
        """Stop PostgreSQL as a crash would: every connection is cut."""
        self._run(_binary("pg_ctl"), "-m", "immediate", "stop")

    def start_redis(self) -> None:
        """Start Redis, empty, and wait until it answers."""
        options = ["--port", str(self._ports[1]), "--bind", "127.0.0.1", "--save", "", "--dir", self._folder.name]
        self._redis = subprocess.Popen([shutil.which("redis-server") or "", *options], stdout=subprocess.DEVNULL)
        _wait_for_redis(self.redis_url)

    def stop_redis(self) -> None:
        """Kill Redis; what it held is lost."""
        if self._redis is not None:
            self._redis.kill()
            self._redis.wait(10)

    def _run(self, program: str, *arguments: str) -> None:
        command = [program, "-D", f"{self._folder.name}/data", *arguments]
        none = subprocess.DEVNULL
        subprocess.run(command, user=self._account, cwd=self._folder.name, check=True, stdout=none, stderr=none)
