"""`manage.py up` in real processes: first and second start, refusals, stopping, and every way a part can die."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from core.tests.processes import Platform, copy, environment, manage, shell, stores, wait_for

pytestmark = pytest.mark.processes

SEND = "from celery import current_app; current_app.send_task"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of one installation that the tests of this module share."""
    folder = tmp_path_factory.mktemp("up")
    elsewhere = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    for path in elsewhere.values():
        Path(path).mkdir()
    with stores() as variables:
        yield environment(folder / "data", **elsewhere, **variables)


@pytest.fixture(scope="module")
def first(home: dict[str, str]) -> Iterator[Platform]:
    """The first start, from an empty directory."""
    platform = Platform(home)
    yield platform
    platform.kill()


@pytest.fixture(scope="module")
def platform(first: Platform, home: dict[str, str]) -> Iterator[Platform]:
    """The second start, on what the first one left."""
    first.stop()
    platform = Platform(home)
    yield platform
    platform.kill()


def test_up__empty_directory__serves_pages_and_shows_the_way_in(first: Platform) -> None:
    assert "Preparing the database" in first.output
    assert f"{first.address}/setup/?token=" in first.output
    assert first.status("/healthz") == 200
    assert first.status("/admin/") == 200
    assert stat.S_IMODE(Path(first.env["DATA_DIR"]).stat().st_mode) == 0o700


def test_up__first_start__nothing_is_written_to_home_or_the_temporary_folder(first: Platform) -> None:
    for name in ("HOME", "TMPDIR"):
        assert list(Path(first.env[name]).iterdir()) == []


def test_up__first_start__a_worker_does_what_is_sent(first: Platform, tmp_path: Path) -> None:
    done = tmp_path / "done"

    shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 0, 'done': {str(done)!r}}})", first.env)

    wait_for(done.exists)


def test_up__same_data_dir__second_one_says_so_and_ends(first: Platform) -> None:
    refused = manage("up", env=first.env)

    assert refused.returncode == 1
    assert "already running on DATA_DIR=" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert first.status("/healthz") == 200


def test_up__ctrl_c__lets_the_running_task_finish(first: Platform, tmp_path: Path) -> None:
    done, begun = tmp_path / "done", tmp_path / "begun"
    shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 0, 'done': {str(begun)!r}}})", first.env)
    shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 4, 'done': {str(done)!r}}})", first.env)
    wait_for(begun.exists)
    time.sleep(1.5)

    code = first.stop()

    assert code == 0
    assert done.read_text() == "done"
    assert "Traceback" not in first.output


def test_up__second_start__prepares_nothing_and_is_quicker(first: Platform, platform: Platform) -> None:
    assert "Preparing the database" not in platform.output
    assert platform.seconds < first.seconds


def test_up__child_killed__another_takes_its_place_and_goes_on(platform: Platform, tmp_path: Path) -> None:
    [child] = platform.children()
    done = tmp_path / "done"

    os.kill(child, signal.SIGKILL)

    wait_for(lambda: platform.children() not in ([], [child]))
    wait_for(lambda: platform.status("/healthz") == 200)
    shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 0, 'done': {str(done)!r}}})", platform.env)
    wait_for(done.exists)


def test_up__worker_thread_ends__the_process_starts_anew(platform: Platform, tmp_path: Path) -> None:
    [child] = platform.children()
    done = tmp_path / "done"

    shell(f"{SEND}('fleet.break_worker')", platform.env)

    wait_for(lambda: platform.children() not in ([], [child]), 60)
    wait_for(lambda: platform.status("/healthz") == 200)
    shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 0, 'done': {str(done)!r}}})", platform.env)
    wait_for(done.exists)


def test_up__sigterm__ends_with_0_and_leaves_no_process(platform: Platform) -> None:
    children = platform.children()

    code = platform.stop(signal.SIGTERM)

    assert code == 0
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_up__port_in_use__names_the_port_and_the_cure(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        refused = manage("up", env=environment(tmp_path / "data", PORT=str(port)))

    assert refused.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use" in refused.stderr
    assert f"PORT={port + 1}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_up__value_that_does_not_parse__one_sentence_and_no_data(tmp_path: Path) -> None:
    refused = manage("up", env=environment(tmp_path / "data", PORT="abc"))

    assert refused.returncode == 1
    assert "core.E001  PORT=abc is not a whole number." in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "data" / "agent_factory.sqlite3").exists()


def test_up__without_web__works_and_ends_in_order(tmp_path: Path, prepared: Path) -> None:
    env = environment(copy(prepared, tmp_path))
    done = tmp_path / "done"
    platform = Platform(env, "--no-web")
    try:
        shell(f"{SEND}('fleet.sleep', kwargs={{'seconds': 0, 'done': {str(done)!r}}})", env)
        wait_for(lambda: done.exists() or platform.process.poll() is not None)
        assert platform.stop(signal.SIGTERM) == 0, platform.output
        assert done.exists(), platform.output
    finally:
        platform.kill()


@pytest.mark.postgresql
@pytest.mark.redis
def test_celery_worker__prefork_with_a_pool__each_process_has_its_own_connection(
    home: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "--concurrency", "2", "--loglevel", "INFO"]
    log = tmp_path / "worker.log"
    with log.open("w") as file:
        worker = subprocess.Popen(command, cwd=settings.BASE_DIR, env=home, stdout=file, stderr=subprocess.STDOUT)
    try:
        paths = [tmp_path / f"told-{number}" for number in range(6)]
        for path in paths:
            shell(f"{SEND}('fleet.tell', kwargs={{'path': {str(path)!r}}})", home)
        wait_for(lambda: all(path.exists() for path in paths), 60)
        assert str(worker.pid) not in {path.read_text().split()[0] for path in paths}
    finally:
        worker.terminate()
        worker.wait(30)
    assert "Traceback" not in log.read_text()
