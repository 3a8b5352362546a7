"""The slas app."""

from django.apps import AppConfig


class SLAsConfig(AppConfig):
    """Registers what the slas app offers to the others."""

    name = "slas"
    verbose_name = "SLAs"
