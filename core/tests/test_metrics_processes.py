"""Metrics of a server with several worker processes: whoever is asked answers for all."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from prometheus_client.mmap_dict import MmapedDict

from core.tests.processes import START_SECONDS, copy, environment, manage, wait_for

pytestmark = pytest.mark.processes

ALIVE = re.compile(rb'^http_requests_total\{method="GET",route="healthz",status="200"\} (\S+)$', re.MULTILINE)


class Workers:
    """gunicorn with two worker processes that share a directory for their metrics."""

    def __init__(self, data: Path, shared: Path) -> None:
        self.shared = shared
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", "-w", "2", "-b", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(
            [*command, "--no-control-socket"],
            cwd=settings.BASE_DIR, env=environment(data, PROMETHEUS_MULTIPROC_DIR=str(shared)),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def read(self, path: str) -> bytes:
        """Return a page; nothing when nobody answers yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    def answered(self) -> dict[int, float]:
        """Return how often each process has said that it is alive, as it wrote it down itself."""
        counts = {}
        for file in self.shared.glob("counter_*.db"):
            values = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]  # has no types
            counts[int(file.stem.removeprefix("counter_"))] = sum(
                value for key, value, *_ in values if '"http_requests_total"' in key and '"healthz"' in key
            )
        return counts

    def told(self) -> float:
        """Return how often all of them together did, as /metrics tells it."""
        found = ALIVE.search(self.read("/metrics"))
        return float(found.group(1)) if found else 0.0


@pytest.fixture
def workers(tmp_path: Path, prepared: Path) -> Iterator[Workers]:
    started = Workers(copy(prepared, tmp_path), tmp_path / "not" / "made" / "yet")
    try:
        wait_for(lambda: bool(started.read("/healthz")) or started.process.poll() is not None, START_SECONDS)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(30)


def _until_both_have_answered(workers: Workers) -> bool:
    for _ in range(20):
        workers.read("/healthz")
    return sum(count > 0 for count in workers.answered().values()) >= 2


def test_metrics__two_worker_processes__each_tells_the_sum_of_both(workers: Workers) -> None:
    # given
    wait_for(lambda: _until_both_have_answered(workers), 60)
    counts = workers.answered()

    # when
    told = {workers.told() for _ in range(10)}

    # then
    assert told == {sum(counts.values())}
    assert max(counts.values()) < sum(counts.values())


def test_metrics__worker_process_ends__what_it_counted_stays(workers: Workers) -> None:
    # given
    wait_for(lambda: _until_both_have_answered(workers), 60)
    before = workers.answered()
    victim = max(before, key=lambda pid: before[pid])

    # when
    os.kill(victim, signal.SIGKILL)

    # then
    wait_for(lambda: bool(workers.read("/healthz")) and len(workers.answered()) == 3)
    after = workers.answered()
    assert after[victim] == before[victim]
    assert workers.told() == sum(after.values())


def test_start__shared_directory_cannot_be_made__is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = manage("check", env=environment(tmp_path / "data", PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "file" / "in")))

    assert done.returncode == 1
    assert "core.E001" in done.stderr
    assert "PROMETHEUS_MULTIPROC_DIR" in done.stderr
    assert "Traceback" not in done.stderr
