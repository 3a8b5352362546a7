"""`manage.py sweep`: run the passes of the alerts once, without a worker and a scheduler; made for cron."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from alerts import sweeps

ROUNDS = 100


class Command(BaseCommand):
    """Runs every pass in order. Ends with 0 when all succeeded, 1 when one failed, 2 when work is left over."""

    help = "Run the passes of the alerts once: evaluate rules, route, send. Exit code 1 when one fails."

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to run, and how long."""
        names = ", ".join(sweeps.SWEEPS)
        parser.add_argument("--only", action="append", default=[], help=f"Only these passes, of: {names}.")
        parser.add_argument(
            "--until-done", action="store_true", help=f"Go on until nothing is left to do, {ROUNDS} rounds at most."
        )

    def handle(self, *, only: Sequence[str], until_done: bool, verbosity: int, **options: Any) -> None:
        """Run the passes; a pass that fails does not keep the others from their work."""
        unknown = sorted(set(only) - sweeps.SWEEPS.keys())
        if unknown:
            raise CommandError(f"There is no pass {', '.join(unknown)} (known: {', '.join(sweeps.SWEEPS)}).")
        names = [name for name in sweeps.SWEEPS if not only or name in only]
        rounds = ROUNDS if until_done else 1
        failed, left = False, False
        for _ in range(rounds):
            items, broken = self._round(names, verbosity)
            failed = failed or broken
            left = until_done and items > 0
            if not left or broken:
                break
        if failed:
            sys.exit(1)
        if left:
            self.stderr.write(f"There is still work after {ROUNDS} rounds.")
            sys.exit(2)

    def _round(self, names: Sequence[str], verbosity: int) -> tuple[int, bool]:
        """Run each pass once; return what they did, watching not counted, and whether one failed."""
        total, broken = 0, False
        for name in names:
            begun = time.monotonic()
            try:
                items = sweeps.run(name, timezone.now())
            except Exception as error:  # noqa: BLE001  # the pass has kept it; the others go on
                self.stderr.write(f"{name}: {type(error).__name__}: {error}")
                broken = True
                continue
            total += items if name in sweeps.WORKING else 0
            if verbosity:
                self.stdout.write(f"{name}: {items} in {time.monotonic() - begun:.2f} s")
        return total, broken
