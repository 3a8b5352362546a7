"""Load the installed price lists into the price book."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from core.context import Context, acting
from costs.importers.quotes import SourceError
from costs.services.prices_sync import sync_prices


class Command(BaseCommand):
    """Reads the price lists that are installed; asks no network, and does nothing when they have not changed."""

    help = "Load the installed price lists into the price book. Does nothing when they have not changed."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("--force", action="store_true", help="read the lists even when they have not changed")

    def handle(self, *args: Any, **options: Any) -> None:
        """Call the service and print what it did."""
        try:
            with acting(Context(channel="command")):
                outcome = sync_prices(now=timezone.now(), force=options["force"])
        except SourceError as error:
            raise CommandError(str(error)) from error
        run = outcome.run
        if not outcome.changed:
            self.stdout.write(f"The price book is up to date (read {run.started_at:%Y-%m-%d %H:%M} UTC).")
            return
        self.stdout.write(
            f"Loaded {run.created_count} prices, {run.unchanged_count} unchanged, {run.waiting_count} waiting for "
            f"approval, {run.discrepancy_count} discrepancies between sources, {run.rounded_count} numbers cleaned."
        )
