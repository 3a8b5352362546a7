"""`manage.py prepare`: bring database, schedules and price book up to this version, without serving."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand

from core.serving.preparation import prepare
from core.starting import exit_on_refusal, require_services, require_sound_configuration

WAIT_SECONDS = 60.0


class Command(BaseCommand):
    """Does what `up` does before it serves: for a release step, before web servers and workers start."""

    help = "Bring database, schedules and price book up to this version."
    requires_system_checks = ()

    def handle(self, **options: Any) -> None:
        """Wait for the stores, then prepare; a refusal is said in words and ends with 1."""
        exit_on_refusal(self._prepare, 1)
        self.stdout.write("Everything is prepared.")

    def _prepare(self) -> None:
        require_sound_configuration()
        require_services(seconds=WAIT_SECONDS)
        prepare()
