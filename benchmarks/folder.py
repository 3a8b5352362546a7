"""Folds rollups twice a second until it is stopped: the scheduled task's work, without its schedule."""

from __future__ import annotations

import os
import time

import django


def main() -> None:
    """Fold for ever."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.utils import timezone

    from costs.services.rollups import fold

    while True:
        fold(now=timezone.now())
        time.sleep(0.5)


if __name__ == "__main__":
    main()
