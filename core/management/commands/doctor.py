"""`manage.py doctor`: what is wrong with this installation, and the cure."""

from __future__ import annotations

import json
from typing import Any

from django.core.management import BaseCommand, CommandParser
from django.utils import timezone

from core.doctor import examine


class Command(BaseCommand):
    """Examines the installation; ends with 1 when something failed."""

    help = "Say what is wrong with this installation, and how to mend it."
    # It reports what the system checks find; they must not stop it.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """For people by default, for programs with --json."""
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, **options: Any) -> None:
        """Print one line for each thing looked at."""
        found = list(examine(now=timezone.now()))
        if options["json"]:
            self.stdout.write(json.dumps([diagnosis.as_dict() for diagnosis in found], indent=2))
        else:
            for diagnosis in found:
                self.stdout.write(f"{diagnosis.verdict:4}  {diagnosis.name:14}  {diagnosis.detail}")
                if diagnosis.cure and diagnosis.verdict != "OK":
                    self.stdout.write(f"{'':22}→ {diagnosis.cure}")
        if any(diagnosis.verdict == "FAIL" for diagnosis in found):
            raise SystemExit(1)
