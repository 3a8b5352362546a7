"""The last app to become ready: closes the ports once every room has filled them."""

import gc

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class AdminConfig(admin_apps.AdminConfig):
    """The admin with our own site: roles, pages and search."""

    default = False
    default_site = "core.adminkit.Site"


class HouseConfig(AppConfig):
    """Closes the ports of `core` and keeps the roles complete."""

    name = "config"
    default = True
    label = "config"
    verbose_name = "Platform"

    def ready(self) -> None:
        """Close the ports, complete the roles after every migration, and let the cycle collector begin."""
        from django.db.models.signals import post_migrate

        from config.roles import after_migrate
        from core.ports import close_all

        close_all()
        post_migrate.connect(after_migrate, dispatch_uid="config.roles")
        # Held off since `config` was imported; what exists by now it never needs to look at.
        gc.freeze()
        gc.enable()
