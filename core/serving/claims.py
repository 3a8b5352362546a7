"""What only one process may have: the port that pages are served on, and the roles of a DATA_DIR."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from core.starting import CannotStart


def claim_port(host: str, port: int) -> socket.socket:
    """Return a socket bound to the port; raises CannotStart, with the way out, when that cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host.strip("[]"), port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise CannotStart(_refused(host, port, error)) from error
    return listener


def claim_roles(folder: Path, roles: Iterable[str]) -> list[IO[str]]:
    """Return the open lock files of these roles in DATA_DIR; held until every process that inherits them has ended.

    Raises CannotStart when another process tree has one of the roles.
    """
    return [_claim_role(folder, role) for role in roles]


def _claim_role(folder: Path, role: str) -> IO[str]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{role}.lock"
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = file.read().strip() or "unknown"
        file.close()
        raise CannotStart(
            f"Agent Factory is already running on DATA_DIR={folder.parent} ({role}: process {holder}).\n"
            "Stop it first (Ctrl-C there), or give this one a directory of its own: DATA_DIR=/another/directory"
        ) from error
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65535 else 8000
        return f"Port {port} on {host} is in use by another program.\nChoose another port, for example: PORT={other}"
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by this user.\nChoose a port above 1023, for example: PORT=8000"
    return f"HOST={host} PORT={port} cannot be used: {error.strerror}.\nUse an address of this machine: HOST=127.0.0.1"
