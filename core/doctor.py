"""Looks at everything an installation needs and says, for each thing that is wrong, how to mend it."""

from __future__ import annotations

import importlib.metadata
import re
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection

from core.checks import CONFIGURATION, unreachable_broker, unreachable_database
from core.health import findings
from core.ports.health import Status, health_checks

Verdict = Literal["OK", "WARN", "FAIL"]
VERDICTS: dict[Status, Verdict] = {"ok": "OK", "warning": "WARN", "failed": "FAIL"}
OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
CLOCK_WARNING_SECONDS = 5.0
CLOCK_FAILED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the doctor's report."""

    name: str
    verdict: Verdict
    detail: str
    cure: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def examine(*, now: datetime) -> Iterator[Diagnosis]:
    """Look at one thing after another; what needs the database is left out when there is none."""
    yield _python()
    yield _packages()
    yield from _configuration()
    yield from _secret_files()
    yield _mail()
    broker = unreachable_broker()
    if broker is not None:
        yield Diagnosis("broker", "FAIL", broker.msg, broker.hint or "")
    else:
        yield Diagnosis("broker", "OK", "Redis answers" if settings.REDIS_URL else f"files in {settings.QUEUE_DIR}")
    database = unreachable_database()
    if database is not None:
        yield Diagnosis("database", "FAIL", database.msg, database.hint or "")
        return
    yield from _health()
    yield from _guarded("clock", lambda: _clock(now))


def _python() -> Diagnosis:
    version = ".".join(map(str, sys.version_info[:3]))
    if OLDEST_PYTHON <= sys.version_info[:2] <= NEWEST_PYTHON:
        return Diagnosis("python", "OK", version)
    return Diagnosis("python", "WARN", f"{version} is not one that is tested", "use Python 3.11, 3.12 or 3.13")


def _packages() -> Diagnosis:
    wanted = _required_packages(settings.BASE_DIR / "requirements.txt")
    wrong = []
    for name, version in wanted.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "missing"
        if found != version:
            wrong.append(f"{name} {found} instead of {version}")
    if wrong:
        cure = "pip install --require-hashes -r requirements.txt, as `make run` does"
        return Diagnosis("packages", "FAIL", "; ".join(wrong[:5]), cure)
    return Diagnosis("packages", "OK", f"{len(wanted)} packages as pinned")


def _required_packages(path: Path) -> dict[str, str]:
    """Return {package: version} for the pins that hold on this system."""
    from packaging.requirements import Requirement

    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        text = re.sub(r"\s*\\$", "", line)
        if re.match(r"[A-Za-z0-9]", text):
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate():
                found[requirement.name] = str(requirement.specifier).removeprefix("==")
    return found


def _configuration() -> Iterator[Diagnosis]:
    found = run_checks(tags=[CONFIGURATION])
    for message in found:
        verdict: Verdict = "FAIL" if message.level >= ERROR else "WARN"
        yield Diagnosis("configuration", verdict, f"{message.id} {message.msg}", message.hint or "")
    if not found:
        yield Diagnosis("configuration", "OK", f"{settings.ENVIRONMENT}, DATA_DIR={settings.DATA_DIR} can be written")


def _secret_files() -> Iterator[Diagnosis]:
    folder = settings.DATA_DIR / "secrets"
    loose = [path for path in (settings.DATA_DIR, *folder.glob("*")) if path.exists() and _open_to_others(path)]
    if loose:
        names = " ".join(map(str, loose))
        yield Diagnosis("secrets", "WARN", f"other users may read {names}", f"chmod go-rwx {names}")
    else:
        yield Diagnosis("secrets", "OK", "only this user may read DATA_DIR")


def _open_to_others(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _mail() -> Diagnosis:
    if settings.EMAIL_URL.startswith(("consolemail:", "dummymail:", "memorymail:")):
        cure = "set EMAIL_URL=smtp+tls://USER:PASSWORD@HOST:587"
        verdict: Verdict = "WARN" if settings.DEPLOYED else "OK"
        return Diagnosis("mail", verdict, "mails are printed to the log, not sent", cure if verdict == "WARN" else "")
    return Diagnosis("mail", "OK", f"through {settings.EMAIL_HOST}")


def _health() -> Iterator[Diagnosis]:
    for finding in findings(health_checks):
        yield Diagnosis(finding.name, VERDICTS[finding.status], finding.detail, finding.cure)


def _clock(now: datetime) -> Diagnosis:
    """Compare with the database server's clock: budgets and leases are judged by both."""
    if connection.vendor == "sqlite":
        return Diagnosis("clock", "OK", f"{now:%Y-%m-%d %H:%M:%S} UTC; the database uses the same clock")
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs = cursor.fetchone()[0]
    apart = abs((theirs - now).total_seconds())
    detail = f"{apart:.1f} s apart from the database's clock"
    if apart > CLOCK_WARNING_SECONDS:
        verdict: Verdict = "FAIL" if apart > CLOCK_FAILED_SECONDS else "WARN"
        return Diagnosis("clock", verdict, detail, "keep both machines' clocks set by NTP")
    return Diagnosis("clock", "OK", detail)


def _guarded(name: str, look: Callable[[], Diagnosis]) -> Iterator[Diagnosis]:
    try:
        yield look()
    except DatabaseError as error:
        yield Diagnosis(name, "FAIL", str(error).splitlines()[0], "see the database's own log")
