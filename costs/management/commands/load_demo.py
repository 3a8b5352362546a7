"""Add the demonstration data, or remove it."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.context import Context, acting
from costs.demo.load import is_loaded, load_demo
from costs.demo.removal import remove_demo


class Command(BaseCommand):
    """Loads or removes an invented fleet; nothing but its own rows is touched."""

    help = "Add an invented fleet with its costs and budgets, all marked; with --reset remove it, to the last row."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--days", type=int, default=90, help="how many days of costs, today included (1 to 180)")
        parser.add_argument("--reset", action="store_true", help="remove the demonstration data and add nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Call the service and print what it did."""
        now = timezone.now()
        with acting(Context(channel="command")):
            if options["reset"]:
                self._remove(now)
                return
            if not 1 <= options["days"] <= 180:
                raise CommandError("--days is from 1 to 180")
            if is_loaded():
                self.stdout.write("The demonstration data is there already.")
                return
            report = load_demo(days=options["days"], now=now)
        self.stdout.write(
            f"Added {report.event_count:,} costs of {report.entity_count} invented entities and "
            f"{report.budget_count} budgets. Remove them with: manage.py load_demo --reset"
        )

    def _remove(self, now: Any) -> None:
        report = remove_demo(now=now)
        self.stdout.write(
            f"Removed {report.event_count:,} costs, {report.entity_count} entities and {report.budget_count} budgets."
        )
        if report.kept_entities:
            self.stdout.write(f"Kept, because real data uses them: {', '.join(report.kept_entities)}.")
