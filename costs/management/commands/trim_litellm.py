"""Refresh the trimmed copy of LiteLLM's price map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from costs.importers import litellm
from costs.importers.quotes import SourceError


class Command(BaseCommand):
    """Takes the fields we read from a LiteLLM wheel or its JSON file; for whoever prepares a release."""

    help = "Refresh costs/data/litellm_prices.json.gz from a LiteLLM wheel or its price map."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument("file", type=Path, help="the wheel, or model_prices_and_context_window_backup.json")
        parser.add_argument("--release", required=True, help="the version of LiteLLM that the file is from")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the copy and print how much it holds."""
        try:
            count = litellm.trim(options["file"], options["release"], f"{timezone.now():%Y-%m-%d}")
        except SourceError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Kept {count} entries in {litellm.DATA.name}. State the version and the date in its README.")
