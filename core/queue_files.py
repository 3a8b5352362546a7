"""The embedded queue's files: what was taken from it stays behind until it is tidied away."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

KEEP = timedelta(hours=1)


def remove_processed(folder: Path, *, now: datetime) -> int:
    """Remove the files of messages taken more than an hour ago and return how many; those waiting are elsewhere."""
    before = (now - KEEP).timestamp()
    removed = 0
    # The change time is when the message was taken; the modification time is when it was sent.
    for path in folder.glob("*.msg"):
        try:
            if path.stat().st_ctime < before:
                path.unlink()
                removed += 1
        except FileNotFoundError:
            # Another worker tidied it just now.
            continue
    return removed
