"""`manage.py sync_schedules`: bring the default schedules in."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from core import schedules
from core.ports.schedules import schedules as offered


class Command(BaseCommand):
    """Syncs the schedules that the apps offer into the database, leaving alone what operators changed."""

    help = "Bring the default schedules into the database; what operators changed stays."

    def handle(self, **options: Any) -> None:
        """Sync and say what changed."""
        done = schedules.sync(now=timezone.now())
        if options["verbosity"] < 1:
            return
        for verb, names in (
            ("made", done.made),
            ("changed", done.changed),
            ("removed", done.removed),
            ("switched off", done.switched_off),
        ):
            for name in names:
                self.stdout.write(f"{verb} {name}")
        self.stdout.write(f"{len(offered)} schedules are in place")
