"""The experiments app."""

from django.apps import AppConfig


class ExperimentsConfig(AppConfig):
    """Registers what the experiments app offers to the others."""

    name = "experiments"
    verbose_name = "Experiments"
