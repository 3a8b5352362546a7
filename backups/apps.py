"""The backups app."""

from django.apps import AppConfig


class BackupsConfig(AppConfig):
    """Registers what the backups app offers to the others."""

    name = "backups"
    verbose_name = "Backups"
