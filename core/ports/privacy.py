"""Port `privacy`: what personal data an app holds, and how to export, erase and expire it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from core.ports import Registry

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Subject:
    """The person that a request is about: a user of this platform or a subject known only by an external id."""

    kind: str
    identifier: str


@dataclass(frozen=True, slots=True)
class PersonalData:
    """One store of personal data.

    `erase` returns how many rows it changed and leaves totals intact; `expire(before)` does the same by age, or is
    None where the rows must be kept. `columns` are "table.column" names, for the audit log's commitments.
    """

    name: str
    description: str
    columns: tuple[str, ...]
    export: Callable[[Subject], Iterable[Row]]
    erase: Callable[[Subject], int]
    expire: Callable[[datetime], int] | None = None


personal_data: Registry[PersonalData] = Registry("privacy", key=lambda data: data.name)
