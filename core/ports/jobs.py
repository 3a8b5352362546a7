"""Port `jobs`: the kinds of long work an app can do in the background, watched by a person.

A job may be run again after its worker died, so its function has to be safe to start over. It reports through its
context; when the job was cancelled, or given to another worker, the next report raises `JobStoppedError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core.ports import Registry


class JobStoppedError(Exception):
    """The job is no longer this worker's: leave without writing anything more."""


class JobContext(Protocol):
    """What a job's function is given."""

    def progress(self, percent: int, message: str = "") -> None:
        """Report how far it is; written at most twice a second. Raises JobStoppedError when the job was taken away."""

    def file(self, name: str) -> Path:
        """Return the path of a file to write a result to; give its name back in the JobResult."""


@dataclass(frozen=True, slots=True)
class JobResult:
    """What came of a job: in words, with the file it wrote (`context.file(name)`) or an address to go to."""

    summary: str
    file: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class JobKind:
    """One kind of long work; `permission` is what a person needs to start, watch and cancel it."""

    name: str
    title: str
    run: Callable[..., JobResult]
    permission: str


job_kinds: Registry[JobKind] = Registry("jobs", key=lambda kind: kind.name)
