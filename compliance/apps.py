"""The compliance app."""

from django.apps import AppConfig


class ComplianceConfig(AppConfig):
    """Registers what the compliance app offers to the others."""

    name = "compliance"
    verbose_name = "Compliance"
