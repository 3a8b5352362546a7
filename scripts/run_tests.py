"""Runs the suite on SQLite, and on PostgreSQL with Redis when there are any; says which it ran.

With CI=true a missing server, a missing browser or a missing accessibility checker fails the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts import servers

ROOT = Path(__file__).resolve().parent.parent
# What tests may see of the caller's environment; the rest could change what they find.
KEPT = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "CI", "TERM", "CHROMIUM")


def main(arguments: list[str]) -> int:
    """Run everything; the exit code is not 0 when anything failed or, in CI, was left out."""
    strict = os.environ.get("CI", "").lower() == "true"
    prepared = _install_browser_checker()
    outcomes: list[str] = []
    failed = _run("SQLite", {}, arguments, outcomes)
    with _both_servers() as found:
        if isinstance(found, str):
            outcomes.append(f"PostgreSQL and Redis: NOT TESTED, {found}")
            failed |= strict
        else:
            database, broker = found
            addresses = {"DATABASE_URL": _with_database(database.url), "REDIS_URL": broker.url}
            failed |= _run(f"{database.description} with {broker.description}", addresses, arguments, outcomes)
    if prepared:
        outcomes.append(prepared)
        failed |= strict
    print("\n".join(["", "This run:", *(f"  {line}" for line in outcomes)]), flush=True)
    return int(failed)


@contextlib.contextmanager
def _both_servers() -> Iterator[tuple[servers.Server, servers.Server] | str]:
    with servers.postgresql() as database, servers.redis() as broker:
        if isinstance(database, str):
            yield database
        elif isinstance(broker, str):
            yield broker
        else:
            yield database, broker


def _run(name: str, addresses: Mapping[str, str], arguments: list[str], outcomes: list[str]) -> bool:
    print(f"\n=== Tests on {name} ===", flush=True)
    environment = {key: os.environ[key] for key in KEPT if key in os.environ}
    begun = time.monotonic()
    command = [sys.executable, "-m", "pytest", *_processes(arguments), *arguments]
    code = subprocess.run(command, cwd=ROOT, env={**environment, **addresses}, check=False).returncode
    seconds = round(time.monotonic() - begun)
    outcomes.append(f"{name}: {'passed' if code == 0 else 'FAILED'} in {seconds} s")
    return code != 0


def _processes(arguments: list[str]) -> list[str]:
    """Use both cores for the whole suite; for a part of it, starting twice would cost more than it saves."""
    whole = all(argument.startswith("-") for argument in arguments)
    given = any(argument.startswith("-n") for argument in arguments)
    return ["-n", "2"] if whole and not given and (os.cpu_count() or 1) > 1 else []


def _with_database(url: str) -> str:
    """Name a database of this run, so that two runs at once do not share one; Django adds `test_`."""
    return f"{url.rsplit('/', 1)[0]}/agent_factory_{os.getpid()}"


def _install_browser_checker() -> str:
    """Install the accessibility checker of the browser tests; return why it is missing, or nothing."""
    folder = ROOT / "frontend-tests"
    lock = folder / "package-lock.json"
    if not lock.exists():
        return ""
    npm = shutil.which("npm")
    if not npm:
        return "Accessibility checks: LEFT OUT, npm is not installed"
    stamp = folder / "node_modules" / ".installed"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == digest:
        return ""
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
    if subprocess.run(command, cwd=folder, check=False).returncode:
        return "Accessibility checks: LEFT OUT, `npm ci` failed"
    stamp.write_text(digest)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
