"""What the running platform does while its database or its broker is away, and when they come back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from core.tests.processes import Platform, environment, shell, wait_for
from scripts.servers import Outage

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif("not Outage.possible()", reason="needs the binaries of PostgreSQL and Redis"),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="the servers of the real set-up"),
]
SEND = "from celery import current_app; current_app.send_task"


@pytest.fixture(scope="module")
def outage() -> Iterator[Outage]:
    """Servers of this module's own, to be stopped and started."""
    with Outage() as servers:
        yield servers


@pytest.fixture(scope="module")
def platform(outage: Outage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    env = environment(
        tmp_path_factory.mktemp("outage") / "data", DATABASE_URL=outage.database_url, REDIS_URL=outage.redis_url
    )
    platform = Platform(env)
    yield platform
    platform.kill()


def works(platform: Platform, folder: Path, name: str) -> None:
    done = folder / name
    shell(f"{SEND}('fleet.tell', kwargs={{'path': {str(done)!r}}})", platform.env)
    wait_for(done.exists, 90)


def test_database__gone_and_back__is_alive_not_ready_and_goes_on(
    platform: Platform, outage: Outage, tmp_path: Path
) -> None:
    children = platform.children()
    wait_for(lambda: platform.status("/readyz") == 200)

    outage.stop_database()
    try:
        assert platform.status("/healthz") == 200
        wait_for(lambda: platform.status("/readyz") == 503)
    finally:
        outage.start_database()

    wait_for(lambda: platform.status("/readyz") == 200, 60)
    works(platform, tmp_path, "after")
    assert platform.children() == children


def test_broker__gone_and_back__pages_are_served_and_tasks_go_on(
    platform: Platform, outage: Outage, tmp_path: Path
) -> None:
    outage.stop_redis()
    try:
        assert platform.status("/healthz") == 200
        assert platform.status("/admin/login/") == 200
        arguments = {"seconds": 0, "started": str(tmp_path / "started")}
        job = (
            "from core import jobs; from django.utils import timezone; from core.models import Job; "
            f"jobs.start_job('fleet.copy', now=timezone.now(), arguments={arguments!r}); "
            "print(Job.objects.get().status)"
        )
        assert shell(job, platform.env).splitlines()[-1] == "queued"
    finally:
        outage.start_redis()

    works(platform, tmp_path, "after")
    age = "from core.models import Job; from datetime import timedelta; from django.utils import timezone; "
    shell(f"{age}Job.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))", platform.env)
    shell("from core import jobs; from django.utils import timezone; jobs.sweep(now=timezone.now())", platform.env)
    wait_for(lambda: "succeeded" in shell(f"{age}print(Job.objects.get().status)", platform.env), 60)
