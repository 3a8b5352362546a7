"""What settings need of the file system: private folders and secrets in DATA_DIR, and one folder shared by processes.

Nothing fails here either: a folder that cannot be made is found again by the checks, which say what is wrong.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.environment import Environment


@dataclass(frozen=True, slots=True)
class Folders:
    """Folders below DATA_DIR that only this user may enter."""

    data_dir: Path

    def __call__(self, *names: str) -> Path:
        """Return the folder, made when it can be: `core.E009` tries again and says what is wrong."""
        folder = self.data_dir
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in names:
                folder /= name
                folder.mkdir(exist_ok=True, mode=0o700)
        except OSError:
            return self.data_dir.joinpath(*names)
        return folder

    def secret(self, name: str) -> str:
        """Return a secret that is made at the first start and kept; two processes that start at once agree on it."""
        path = self("secrets") / name.lower()
        try:
            if not path.is_file():
                _keep(path, secrets.token_urlsafe(64))
            return path.read_text().strip()
        except OSError:
            # Nothing starts with a DATA_DIR that cannot be written (core.E009); until then any secret will do.
            return secrets.token_urlsafe(64)


def shared_metrics(env: Environment, name: str) -> str:
    """Return the folder that this variable names, made when it is missing; nothing when it is not set.

    One that cannot be written is noted as a problem. It is then taken out of the environment: the library behind it
    would fail where it is imported, before anybody could be told.
    """
    value: str = env(name, default="")
    try:
        if value:
            Path(value).mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=value).close()
            # It may come from a file; the library looks only here.
            os.environ[name] = value
            return value
    except OSError as error:
        env.note(
            "core.E001", f"{name}={value} cannot be written: {error.strerror}.", "Name a folder this user may write to."
        )
    os.environ.pop(name, None)
    return ""


def _keep(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all, and never replaces the one that another process wrote first."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(draft, "w", opener=_private) as file:
        file.write(text)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, mode=0o600)
