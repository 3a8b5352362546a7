"""`manage.py sweep_jobs`: look after long jobs now, without waiting for the schedule."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from core import jobs


class Command(BaseCommand):
    """Sends lost messages again and takes jobs back from workers that have gone silent."""

    help = "Send lost job messages again and take jobs back from dead workers."

    def handle(self, **options: Any) -> None:
        """Sweep once and say what was done."""
        done = jobs.sweep(now=timezone.now())
        self.stdout.write(f"{done.resent} sent again, {done.taken_back} taken back, {done.given_up} given up")
