"""Workers killed with -9 while they change alerts and deliver: a short race on whichever database the suite runs on.

The long one is `python -m alerts.tests.delivery_race --kills 50`; the figures are printed (pytest -s).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alerts.models import Channel
from alerts.tests.delivery_race.race import race
from core.tests.processes import database_url, environment

KILLS = int(os.environ.get("DELIVERY_RACE_KILLS", "10"))

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]


def test_delivery__with_workers_killed_at_random__loses_nothing(tmp_path: Path) -> None:
    Channel.objects.update(enabled=False)
    env = environment(tmp_path, DATABASE_URL=database_url(), DJANGO_SETTINGS_MODULE="config.settings")

    figures = race(env, tmp_path, kills=KILLS, deliverers=2, writers=1, seed=7)
    print(f"\n{figures}")

    assert figures.broken == 0
    assert figures.kills == KILLS
    assert figures.transitions > 20
    assert figures.notifications == figures.transitions
