"""What every benchmark needs: a scratch database, a server of its own, processor time, rounds and ratios."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parent.parent
TICK = os.sysconf("SC_CLK_TCK")
_NUMBERS = itertools.count(1)
POSTGRESQL_URL = os.environ.get("BENCH_DATABASE_URL", "postgres://localhost/postgres")


@dataclass(frozen=True)
class Sample:
    """One timed piece of work: items done, wall seconds, processor seconds of web (or script) and database."""

    items: int
    wall: float
    web_cpu: float = 0.0
    db_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Items per wall second."""
        return self.items / self.wall

    @property
    def cpu_us(self) -> float:
        """Processor microseconds per item, web and database together; never less than one tick of the clock."""
        return max(self.web_cpu + self.db_cpu, 1 / TICK) / self.items * 1e6


@dataclass
class Line:
    """One row of the report: our samples beside the reference's, round by round."""

    name: str
    reference: str
    ours: list[Sample] = field(default_factory=list)
    theirs: list[Sample] = field(default_factory=list)
    by_cpu: bool = False
    goal: float | None = None
    at_most: bool = False

    @property
    def ratios(self) -> list[float]:
        """Per round: our rate over the reference's (or its CPU per item over ours), > 1 when we are faster."""
        if self.by_cpu:
            return [b.cpu_us / a.cpu_us for a, b in zip(self.ours, self.theirs, strict=True)]
        return [a.rate / b.rate for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The median over the rounds."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without a goal."""
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal

    def row(self) -> str:
        """Return the printed row."""
        ours, theirs = (statistics.median(s.cpu_us for s in side) for side in (self.ours, self.theirs))
        web = statistics.median(s.web_cpu / s.items * 1e6 for s in self.ours)
        spread = f"{min(self.ratios):.3g}–{max(self.ratios):.3g}"
        sign = "≤" if self.at_most else "≥"
        goal = "" if self.goal is None else f"  goal {sign} {self.goal:g} {'met' if self.met else 'MISSED'}"
        rate = statistics.median(s.rate for s in self.ours)
        return (
            f"{self.name:<46} {self.ratio:>8.3g} × {self.reference:<30} [{spread}]  "
            f"CPU µs/item {ours:,.1f} (web {web:,.1f}) against {theirs:,.1f}  {rate:,.0f}/s{goal}"
        )


def interleaved(line: Line, ours: Callable[[int], Sample], theirs: Callable[[int], Sample], rounds: int = 3) -> Line:
    """Fill a line round by round, the reference first in each; the argument is the round's number."""
    for number in range(rounds):
        line.theirs.append(theirs(number))
        line.ours.append(ours(number))
    rates = [sample.rate for sample in line.theirs]
    if max(rates) > 1.4 * min(rates):
        print(
            f"  note: the reference of '{line.name}' varied by {max(rates) / min(rates):.1f} between rounds", flush=True
        )
    print(line.row(), flush=True)
    return line


# --- Processor time ----------------------------------------------------------------------------------------------
def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _children() -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                found.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    return found


def cpu_seconds(*roots: int) -> float:
    """Return the processor seconds used so far by these processes, their children, and children that have ended."""
    children, total, waiting = _children(), 0, list(roots)
    while waiting:
        pid = waiting.pop()
        with contextlib.suppress(OSError, IndexError):
            total += sum(int(part) for part in _stat(pid)[11:15])
        waiting += children.get(pid, [])
    return total / TICK


def timed(items: int, work: Callable[[], object], *, web: Sequence[int], database: Sequence[int]) -> Sample:
    """Run `work` once and return its sample."""
    before = cpu_seconds(*web), cpu_seconds(*database)
    start = time.perf_counter()
    work()
    wall = time.perf_counter() - start
    after = cpu_seconds(*web), cpu_seconds(*database)
    return Sample(items, wall, after[0] - before[0], after[1] - before[1])


# --- Databases and servers ---------------------------------------------------------------------------------------
@dataclass
class Scratch:
    """A database of our own with the product's tables in it, and the environment that leads to it."""

    kind: str
    url: str
    folder: Path
    postmaster: tuple[int, ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """The variables for a process that works on this database."""
        kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL"}}
        return {
            **kept,
            "DATABASE_URL": self.url,
            "DATA_DIR": str(self.folder),
            "API_RATE_LIMIT_PER_MINUTE": "0",
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": str(ROOT),
        }

    def manage(self, *arguments: str) -> str:
        """Run a management command on this database and return what it prints."""
        return self._python(str(ROOT / "manage.py"), *arguments)

    def module(self, *arguments: str) -> str:
        """Run a module on this database and return the last line that it prints."""
        return self._python("-m", *arguments).strip().rpartition("\n")[2]

    def _python(self, *arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(  # noqa: S603
            command, env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Scratch]:
    """Make a migrated scratch database ("sqlite" or "postgresql") with prices loaded; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    try:
        if kind == "sqlite":
            base = Scratch(kind, f"sqlite:///{folder / 'bench.sqlite3'}", folder)
            _prepare(base)
            yield base
        else:
            with _postgresql() as (url, postmaster):
                base = Scratch(kind, url, folder, (postmaster,))
                _prepare(base)
                yield base
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(base: Scratch) -> None:
    base.manage("migrate", "--verbosity", "0")
    base.manage("load_prices")


@contextlib.contextmanager
def _postgresql() -> Iterator[tuple[str, int]]:
    name = f"bench_{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(POSTGRESQL_URL, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        row = admin.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        postmaster = int(_stat(row[0])[1])
        try:
            yield POSTGRESQL_URL.rpartition("/")[0] + f"/{name}", postmaster
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def free_port() -> int:
    """Return a free port below the range that clients are given theirs from."""
    for port in range(18080, 32000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise RuntimeError("no free port")


@dataclass
class Server:
    """A running web server."""

    port: int
    pid: int


@contextlib.contextmanager
def server(base: Scratch, application: str = "config.wsgi:application", **extra: str) -> Iterator[Server]:
    """Run gunicorn with one worker of 4 threads on the scratch database until the block ends."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", application, "-k", "gthread", "-w", "1", "--threads", "4"]
    command += ["-b", f"127.0.0.1:{port}", "--log-level", "warning", "--keep-alive", "30"]
    process = subprocess.Popen(command, env={**base.environment, **extra}, cwd=ROOT)  # noqa: S603
    try:
        _wait_for(port, process)
        yield Server(port, process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError("the server does not answer")


@contextlib.contextmanager
def background(base: Scratch, *arguments: str) -> Iterator[int]:
    """Run a python process beside the work, on the scratch database; yields its pid."""
    process = subprocess.Popen([sys.executable, *arguments], env=base.environment, cwd=ROOT)  # noqa: S603
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)
