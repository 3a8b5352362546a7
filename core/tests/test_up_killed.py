"""The parent process of `manage.py up` is killed outright: nothing it started stays behind, and one may start anew."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from core.tests.processes import Platform, copy, environment, wait_for

pytestmark = pytest.mark.processes


def _ended(pid: int) -> bool:
    """Say whether a process is over; one that nobody has waited for yet is."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@pytest.mark.skipif("not os.path.exists('/proc/self/stat')", reason="reads /proc")
def test_up__parent_killed__its_children_end_and_another_takes_over(tmp_path: Path, prepared: Path) -> None:
    env = environment(copy(prepared, tmp_path))
    platform = Platform(env)
    children = platform.children()
    try:
        os.kill(platform.process.pid, signal.SIGKILL)
        platform.process.wait(10)

        wait_for(lambda: all(_ended(child) for child in children), 60)
    finally:
        for child in children:
            if not _ended(child):
                os.kill(child, signal.SIGKILL)
    assert children
    again = Platform(env)
    try:
        assert again.status("/readyz") == 200
        assert again.stop(signal.SIGTERM) == 0, again.output
    finally:
        again.kill()
