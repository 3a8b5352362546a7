"""Brings every secret in the database to the first of ENCRYPTION_KEYS, so that former keys can be taken out."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.encryption import reencrypt_all


class Command(BaseCommand):
    """`manage.py reencrypt_secrets`, after a new key was put in front of the former ones."""

    help = "Encrypt every stored secret anew with the first of ENCRYPTION_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        """Rewrite what needs it; fail when there are values that no key opens."""
        rewritten, unreadable = reencrypt_all()
        if unreadable:
            raise CommandError(
                f"{rewritten} value(s) rewritten; {len(unreadable)} cannot be decrypted with any of ENCRYPTION_KEYS: "
                f"{', '.join(unreadable[:20])}. Put the former key back, or enter these secrets again."
            )
        self.stdout.write(f"{rewritten} value(s) rewritten; every value opens with the first key.")
