"""Reading of environment variables: nothing fails here; what is wrong is remembered and reported all at once.

A value that cannot be read is replaced by its default, so that every other problem is found as well. The system
checks of `core.checks` turn what was remembered into messages and stop the start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import environ
from environ.fileaware_mapping import FileAwareMapping

# Names that other programs read from the same `.env` file.
FOREIGN_PREFIXES = ("COMPOSE_", "DOCKER_")
# Every name under these prefixes is ours, so an unknown one is a slip.
OUR_PREFIXES = ("DATABASE_POOL_", "ORGANISATION_", "ORGANIZATION_")
# Names that other programs are known to use, close to one of ours.
FOREIGN_NAMES = frozenset({"HOSTS", "PORTS", "DEBUGGER"})


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the configuration, under the id of its system check, and how to mend it."""

    id: str
    message: str
    cure: str


class _Variables(FileAwareMapping):  # type: ignore[misc]  # the library ships no types
    """The environment; a value kept in a file (NAME_FILE) ends before the file's last line break."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).rstrip("\r\n")


class Environment(environ.FileAwareEnv):  # type: ignore[misc]  # the library ships no types
    """django-environ that reads `NAME_FILE` too, knows every name it was asked for and collects problems."""

    ENVIRON = _Variables()

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()
        self.written: set[str] = set()
        self.problems: list[Problem] = []

    def get_value(
        self, var: Any, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: Any = False
    ) -> Any:
        """Return one value, or its default after noting why the given one cannot be used. Empty counts as not set."""
        name = str(var)
        self.known.add(name)
        raw = self._raw(name)
        if raw == "":
            return default
        try:
            # Read from here on by us: the library takes a leading `$`, which a secret may have, for a reference.
            return _READERS[cast](raw) if cast in (bool, float, list) else self.parse_value(raw, cast or str)
        except (ValueError, TypeError, KeyError):
            kind = {int: "a whole number", float: "a number", bool: "yes or no"}.get(cast, "a value it can take")
            return self._refuse(name, f"{name}={_short(raw)} is not {kind}.", default)

    def integer(self, name: str, *, default: int, minimum: int, maximum: int) -> int:
        """Return a whole number within its bounds."""
        value: int = self.int(name, default=default)
        if minimum <= value <= maximum:
            return value
        refused: int = self._refuse(name, f"{name}={value} is not between {minimum} and {maximum}.", default)
        return refused

    def choice(self, name: str, *, default: str, choices: Sequence[str], otherwise: str | None = None) -> str:
        """Return one of `choices`; `otherwise` is what a wrong value counts as while problems are gathered."""
        value: str = self.str(name, default=default)
        if value in choices:
            return value
        message = f"{name}={_short(value)} is not one of {', '.join(choices)}."
        refused: str = self._refuse(name, message, default if otherwise is None else otherwise)
        return refused

    def note(self, check: str, message: str, cure: str) -> None:
        """Remember a problem found by whoever interprets the values."""
        self.problems.append(Problem(check, message, cure))

    def load(self, path: Path, *, required: bool) -> None:
        """Read a file of NAME=value lines; what is set in the environment wins over it."""
        if not path.exists():
            if required:
                self.note("core.E001", f"ENV_FILE={path} does not exist.", "Write the file, or do not set ENV_FILE.")
            return
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            self.note("core.E001", f"{path} cannot be read: {error}.", "Make it readable for this user, as UTF-8 text.")
            return
        self.written = set(re.findall(r"^(?:export )?([A-Za-z_0-9]+)=", text, flags=re.MULTILINE))
        for name in self.written:
            # Set to nothing counts as not set, here as everywhere.
            if os.environ.get(name) == "":
                del os.environ[name]
        type(self).read_env(str(path), parse_comments=True)

    def unknown_names(self) -> list[Problem]:
        """Return the names that nothing reads but that were meant for us: misspelt, or written in the `.env` file."""
        slips = misspelt(self.known)
        strangers = {
            name: "" for name in sorted(self.written - _accepted(self.known)) if not name.startswith(FOREIGN_PREFIXES)
        }
        return [
            Problem(
                "core.E008",
                f"{name} is set, but nothing is called that.",
                f"Did you mean {meant}?"
                if meant
                else "Take it out of the .env file, or see .env.example for the names.",
            )
            for name, meant in {**strangers, **slips}.items()
        ]

    def _raw(self, name: str) -> str:
        try:
            return str(self.ENVIRON.get(name, ""))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            path = os.environ.get(f"{name}_FILE")
            self.note(
                "core.E001", f"{name}_FILE={path} cannot be read: {reason}.", "Give a file that this user may read."
            )
            return ""

    def _refuse(self, name: str, message: str, instead: Any) -> Any:
        self.note("core.E001", message, f"Correct {name}, or leave it out for its default.")
        return instead


def misspelt(known: Iterable[str], given: Iterable[str] | None = None) -> dict[str, str]:
    """Return {unknown name: the setting it looks like} for the variables of this process.

    A name counts as one of ours when it differs from a known one by a slip (DATABSE_URL) or begins like a family of
    ours (DATABASE_POOL_MAXIMUM). Names of other programs are left alone, and so is a name that only resembles one
    of ours which is set as well.
    """
    names = set(os.environ if given is None else given)
    accepted = _accepted(known)
    found: dict[str, str] = {}
    for name in sorted(names - accepted - FOREIGN_NAMES):
        if not name.isupper():
            continue
        cutoff = 0.5 if name.startswith(OUR_PREFIXES) else 0.88
        close = get_close_matches(name, sorted(accepted), n=1, cutoff=cutoff)
        if close and (close[0] not in names or cutoff < 0.88):
            found[name] = close[0]
    return found


def _accepted(known: Iterable[str]) -> set[str]:
    names = set(known)
    return names | {f"{name}_FILE" for name in names}


def _truth(raw: str) -> bool:
    value = raw.strip().lower()
    if value in {"1", "true", "yes", "on", "y", "t", "ok"}:
        return True
    if value in {"0", "false", "no", "off", "n", "f"}:
        return False
    raise ValueError(raw)


def _parts(raw: str) -> list[str]:
    return [part for part in (item.strip() for item in raw.split(",")) if part]


# The library reads these three leniently: "maybe" would be no, and "12abc" twelve.
_READERS: dict[Any, Any] = {bool: _truth, float: float, list: _parts}


def _short(raw: str) -> str:
    return raw if len(raw) <= 40 else f"{raw[:37]}…"
