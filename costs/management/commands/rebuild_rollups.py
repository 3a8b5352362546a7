"""`manage.py rebuild_rollups [--from DAY] [--to DAY]`: rollups built again from the events, while ingest goes on."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from costs.services.rollups import rebuild_rollups


class Command(BaseCommand):
    """Builds the rollups of some days, or of all, from nothing but the events."""

    help = "Build rollups again from the events, exactly, while costs keep coming in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the first and the last day, both included."""
        parser.add_argument("--from", dest="first", help="first day, such as 2026-11-01; by default the oldest")
        parser.add_argument("--to", dest="last", help="last day, included; by default the newest")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rebuild and say what was done."""
        report = rebuild_rollups(first=_day(options["first"]), last=_day(options["last"]), now=timezone.now())
        if report.first is None:
            self.stdout.write("There is nothing to build: no events in these days.")
            return
        noun = "event" if report.event_count == 1 else "events"
        self.stdout.write(f"Built {report.first} to {report.last} again from {report.event_count} {noun}.")


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"{text} is no day; write it as 2026-11-01") from error
